"""Where ROS has every message package, nothing goes by Cyclone DDS beside it."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="no ROS 2 here; `make test-ros` runs these beside one")

from support.ros_peer import wait_until
from support.without_packages import without_packages


def test_a_whole_ros_has_no_second_participant(start, peer):
    node = start()
    peer.bring_up()
    assert "Cyclone DDS in this process" not in node.log
    names = {name for name, _ in peer.node.get_node_names_and_namespaces()}
    assert "_terrain_seg_dds" not in names


def test_an_rclpy_subscriber_hears_what_goes_by_dds(start, peer, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", without_packages(tmp_path, ["vision_msgs"]), prepend=":")
    start()
    peer.listen("label_info")
    peer.bring_up()
    message = wait_until(lambda: peer.got["label_info"], "the class names")[0]
    assert message.class_map[0].class_name
