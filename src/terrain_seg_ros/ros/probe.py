"""Whether the ROS 2 node can run here: load all of it, join, leave, and say which ROS it is.

Run as `python -m terrain_seg_ros.ros.probe`: a process of its own, since a ROS that does not fit
this Python may end the process that loads it. The answer is one JSON object on stdout.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import sys

from terrain_seg_ros.ros.loading import loading_ros

DISTRIBUTIONS = ("ros-rclpy", "rclpy")
"""Names of rclpy among installed Python distributions: PyPI's wheels, and ROS itself."""


def main() -> int:
    """Make a node and destroy it, then print which rclpy and which middleware it was."""
    with loading_ros("probe"):
        # Imported late because what keeps them from loading is said in one line.
        import rclpy  # noqa: PLC0415
        from rclpy.signals import SignalHandlerOptions  # noqa: PLC0415
        from rclpy.utilities import get_rmw_implementation_identifier  # noqa: PLC0415

        from terrain_seg_ros.ros.node import TerrainSegNode  # noqa: PLC0415
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    try:
        TerrainSegNode().destroy_node()
    finally:
        rclpy.try_shutdown()
    about = {
        "rclpy": _version(),
        "middleware": get_rmw_implementation_identifier(),
        "source": _source(),
    }
    sys.stdout.write(json.dumps(about) + "\n")
    return 0


def _version() -> str:
    installed = {item.metadata["Name"]: item.version for item in importlib.metadata.distributions()}
    return next((installed[name] for name in DISTRIBUTIONS if name in installed), "(unknown)")


def _source() -> str:
    distribution = os.environ.get("ROS_DISTRO", "")
    is_sourced = bool(os.environ.get("AMENT_PREFIX_PATH"))
    return f"ROS 2 {distribution} as sourced" if is_sourced else "the wheels of PyPI"


if __name__ == "__main__":
    sys.exit(main())
