"""The doctor beside a real ROS."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="no ROS 2 here; `make test-ros` runs these beside one")

from terrain_seg_ros.doctor import ros as doctor_ros
from terrain_seg_ros.doctor.finding import State


def found(monkeypatch, item):
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    return next(row for row in doctor_ros.ros_findings() if row.item == item)


def test_what_the_node_needs_is_there(monkeypatch):
    assert found(monkeypatch, "ROS 2").state is State.USABLE
    assert found(monkeypatch, "ROS packages").state is State.USABLE
    assert "rmw_" in found(monkeypatch, "RMW").detail


def test_absent_options_say_what_goes_without_and_how_to_get_them(monkeypatch):
    monkeypatch.setitem(doctor_ros.OPTIONAL, "none_such", "no nonsense")
    row = found(monkeypatch, "ROS options")
    assert row.state is State.ABSENT
    assert "none_such absent: no nonsense" in row.detail
    assert "ros-jazzy-none-such" in row.remedy


def test_a_node_built_for_another_interpreter_is_named(monkeypatch, tmp_path):
    script = tmp_path / "lib" / "terrain_seg_ros" / "terrain_seg_node"
    script.parent.mkdir(parents=True)
    script.write_text("#!/bin/sh\n")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    row = found(monkeypatch, "ROS node")
    assert row.state is State.ABSENT
    assert "runs /bin/sh" in row.detail
    assert "python -m colcon build" in row.remedy


def test_a_node_that_was_not_built_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    assert "colcon build" in found(monkeypatch, "ROS node").remedy
