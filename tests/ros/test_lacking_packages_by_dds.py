"""Topics whose message package ROS lacks go by Cyclone DDS from pip, in the same process."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="no ROS 2 here; `make test-ros` runs these beside one")
pytest.importorskip("cyclonedds", reason="no Cyclone DDS from pip here")

from support.ros_peer import wait_until
from support.without_packages import without_packages
from terrain_seg_ros.ros.wire import why_not

LACKING = ("vision_msgs", "tf2_msgs", "tf2_ros", "map_msgs", "nav2_msgs", "grid_map_msgs")
"""What PyPI's wheels of ROS lack."""


@pytest.fixture
def lacking(start, tmp_path, monkeypatch):
    """Return a function that starts a node whose ROS lacks packages."""

    def started(*blocked, **parameters):
        monkeypatch.setenv("PYTHONPATH", without_packages(tmp_path, blocked), prepend=":")
        return start(**parameters)

    return started


def test_transforms_and_class_names_go_by_dds(lacking, peer):
    node = lacking(*LACKING)
    peer.listen("mask", "hazard_grid", "/diagnostics")
    peer.bring_up()
    _, grid = peer.good()
    assert any(value >= 0 for value in grid.data)
    wait_until(lambda: "/tf_static by Cyclone DDS" in node.log, "the transport in the log")
    status = peer.status(lambda s: "tf2_msgs" in s.values.get("assumed: transport", ""))
    text = status.values["assumed: transport"]
    assert "/terrain/label_info" in text
    assert "because ROS lacks" in text
    assert "Traceback" not in node.log


def test_the_node_returns_from_inactive_with_its_transforms(lacking, peer):
    lacking(*LACKING)
    peer.listen("mask", "hazard_grid")
    peer.bring_up()
    peer.good()
    assert peer.change("deactivate")
    assert peer.change("activate")
    peer.got["mask"].clear()
    peer.good()
    assert peer.change("deactivate")
    assert peer.change("cleanup")
    peer.bring_up()
    peer.good()


@pytest.mark.parametrize(
    ("middleware", "environment", "why"),
    [
        ("rmw_zenoh_cpp", {}, "rmw_zenoh_cpp does not speak DDS"),
        ("rmw_fastrtps_cpp", {"ROS_SECURITY_ENABLE": "true"}, "no security plug-ins"),
        ("rmw_cyclonedds_cpp", {"ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF"}, "is OFF"),
    ],
)
def test_where_dds_cannot_help_the_reason_is_known(middleware, environment, why):
    assert why in why_not(middleware, environment)
    assert why_not(middleware, {}) is None or not environment


def test_without_dds_from_pip_the_log_says_so_once(lacking, peer):
    node = lacking("vision_msgs", "cyclonedds", mounting__use_tf=False)
    peer.listen("mask", "hazard_grid")
    peer.bring_up()
    peer.good()
    wait_until(lambda: "cannot go by Cyclone DDS" in node.log, "why")
    assert node.log.count("cannot go by Cyclone DDS") == 1
    assert node.log.count("vision_msgs/msg/LabelInfo is not installed") == 1
    assert "Traceback" not in node.log
