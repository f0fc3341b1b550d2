"""Recordings ask for a storage that is installed; ROS is not needed for this."""

from __future__ import annotations

import pytest

from terrain_seg_ros.ros.bag_storage import bag_storage


@pytest.mark.parametrize(
    ("installed", "storage"),
    [
        ({"rosbag2_storage_mcap": "/opt", "rosbag2_storage_sqlite3": "/opt"}, "mcap"),
        ({"rosbag2_storage": "/opt", "rosbag2_storage_default_plugins": "/opt"}, "sqlite3"),
    ],
)
def test_mcap_only_where_its_plugin_is_installed(installed, storage):
    assert bag_storage(installed) == storage
