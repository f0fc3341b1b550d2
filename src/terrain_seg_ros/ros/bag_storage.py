"""The storage format for `ros2 bag record`."""

from __future__ import annotations

from collections.abc import Container

MCAP_PLUGIN = "rosbag2_storage_mcap"


def bag_storage(installed: Container[str]) -> str:
    """Return the storage for a recording: mcap where its plugin is installed, else sqlite3.

    Humble's `ros2 bag` comes with sqlite3 alone, and refuses a storage that is not installed.

    Args:
        installed: names of the ROS packages.
    """
    return "mcap" if MCAP_PLUGIN in installed else "sqlite3"
