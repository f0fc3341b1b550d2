"""Configure and activate a lifecycle node through its services, and take it back at the end.

Run as `python -m terrain_seg_ros.ros.operator`; Nav2's lifecycle manager or `ros2 lifecycle` do the
same on a vehicle. Each transition is one line on stdout.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.ros.loading import loading_ros, refuse

PROGRAM = "terrain_seg_operator"


def main(arguments: Sequence[str] | None = None) -> int:
    """Bring a node up, wait for SIGINT, SIGTERM or SIGHUP, and bring it down."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description=__doc__)
    parser.add_argument("--node", default="/terrain/terrain_seg", help="full name of the node")
    options = parser.parse_args(arguments)
    ending: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        ending.append(number)

    with loading_ros(PROGRAM):
        from terrain_seg_ros.ros.lifecycle_client import operate  # noqa: PLC0415  (needs rclpy)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, note)
    try:
        wrong = operate(options.node, ending)
    except ConfigError as error:
        refuse(PROGRAM, str(error))
    if wrong:
        sys.stderr.write(f"{wrong}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
