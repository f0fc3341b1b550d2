"""The entry of the process `terrain_seg_node`; rclpy is loaded after the environment is checked."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from terrain_seg_ros.ros.loading import loading_ros

PROGRAM = "terrain_seg_node"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the node until SIGINT, SIGTERM or a shutdown from outside.

    Raises:
        SystemExit: the command line or the environment is refused; the reason is on the console.
    """
    with loading_ros(PROGRAM):
        from terrain_seg_ros.ros.process import run_process  # noqa: PLC0415  (needs rclpy)
    run_process(sys.argv[1:] if arguments is None else list(arguments))


if __name__ == "__main__":
    main()
