"""Without optional packages the node says so once and works without that output."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="no ROS 2 here; `make test-ros` runs these beside one")

from support.ros_peer import wait_until
from support.without_packages import without_packages
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.ros.message_classes import has_message, message_class


@pytest.mark.parametrize(
    ("blocked", "named"),
    [
        ({"vision_msgs", "cyclonedds"}, ["vision_msgs/msg/LabelInfo"]),
        ({"diagnostic_msgs", "cyclonedds"}, ["diagnostic_msgs/msg/DiagnosticArray"]),
        ({"tf2_ros", "tf2_py"}, ["this package's own buffer"]),
        ({"grid_map_msgs", "cyclonedds"}, ["grid_map_msgs/msg/GridMap"]),
        ({"bondpy", "cv_bridge"}, []),
    ],
)
def test_the_node_goes_on_without(start, peer, tmp_path, monkeypatch, blocked, named):
    monkeypatch.setenv("PYTHONPATH", without_packages(tmp_path, blocked), prepend=":")
    node = start(mounting__use_tf="cyclonedds" not in blocked)
    peer.listen("mask", "hazard_grid")
    peer.bring_up()
    mask, grid = peer.good()
    assert mask.encoding == "mono8"
    assert any(value >= 0 for value in grid.data)
    for words in named:
        wait_until(lambda w=words: w in node.log, f"{words} in the log")
        assert node.log.count(words) == 1
    assert "Traceback" not in node.log


def test_a_missing_type_names_the_package():
    assert not has_message("none_msgs/msg/None")
    with pytest.raises(ConfigError, match="ros-\\$ROS_DISTRO-none-msgs"):
        message_class("none_msgs/msg/None")
