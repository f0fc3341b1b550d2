"""The launch files as users call them."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="no ROS 2 here; `make test-ros` runs these beside one")

import launch_pytest
from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from launch import LaunchDescription
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

from support.ros_peer import RosPeer, stamped, wait_until

try:
    SHARE = Path(get_package_share_directory("terrain_seg_ros"))
except PackageNotFoundError:
    pytest.skip("the package is not built with colcon here", allow_module_level=True)

DOMAIN = 100 + os.getpid() % 90
PARAMETERS = """
terrain_seg:
  ros__parameters:
    mounting: {use_tf: false}
    horizontal_fov_rad: 1.0
    watchdog: {stale_after_s: 0.0}
"""


def seg(**arguments):
    source = PythonLaunchDescriptionSource(str(SHARE / "launch" / "seg.launch.py"))
    return IncludeLaunchDescription(source, launch_arguments=arguments.items())


@launch_pytest.fixture
def active_node(tmp_path):
    os.environ["ROS_DOMAIN_ID"] = str(DOMAIN)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    (tmp_path / "own.yaml").write_text(PARAMETERS)
    arguments = {
        "params_file": str(tmp_path / "own.yaml"),
        "model": "synthetic",
        "backend": "constant",
        "image_topic": "/rover/image_raw",
    }
    return LaunchDescription([seg(**arguments), launch_pytest.actions.ReadyToTest()])


@pytest.mark.launch(fixture=active_node)
def test_launch_brings_the_node_to_active_and_remaps(active_node):
    peer = RosPeer(DOMAIN)
    try:
        peer.listen("mask", "hazard_grid")
        image = peer.publisher("/rover/image_raw", "image")
        wait_until(image.get_subscription_count, "the remapped subscription", seconds=40.0)
        assert peer.state() == "active"
        (value,) = peer.get("horizontal_fov_rad")
        assert value.double_value == 1.0

        def answered():
            image.publish(stamped(time.time_ns()))
            return peer.got["mask"] and peer.got["hazard_grid"]

        wait_until(answered, "mask and grid", every=0.2)
    finally:
        peer.close()


@launch_pytest.fixture
def active_lander(tmp_path):
    os.environ["ROS_DOMAIN_ID"] = str(DOMAIN)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    (tmp_path / "own.yaml").write_text(PARAMETERS)
    arguments = {
        "mode": "lander",
        "params_file": str(tmp_path / "own.yaml"),
        "model": "synthetic",
        "backend": "constant",
    }
    return LaunchDescription([seg(**arguments), launch_pytest.actions.ReadyToTest()])


@pytest.mark.launch(fixture=active_lander)
def test_mode_lander_takes_the_lander_s_values_below_the_user_s(active_lander):
    peer = RosPeer(DOMAIN)
    try:
        wait_until(peer.image.get_subscription_count, "the subscription", seconds=40.0)
        enabled, slope, fov = peer.get(
            "landing.enable", "slope.max_slope_deg", "horizontal_fov_rad"
        )
        assert (enabled.bool_value, slope.double_value) == (True, 10.0)
        assert fov.double_value == 1.0
    finally:
        peer.close()


def ros2(*words, **environment):
    return subprocess.run(
        ["ros2", *words],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60.0,
        check=False,
    )


@pytest.mark.parametrize(
    ("file", "names"),
    [
        (
            "seg.launch.py",
            (
                "mode params_file namespace image_topic camera_info_topic model backend "
                "use_sim_time log_level rviz record autostart enclave"
            ),
        ),
        ("replay.launch.py", "bag limits truth scored_bag rviz foxglove record rate"),
    ],
)
def test_arguments_are_described(file, names):
    answer = ros2("launch", "terrain_seg_ros", file, "--show-args")
    assert answer.returncode == 0, answer.stderr
    assert "no description" not in answer.stdout.lower()
    for name in names.split():
        assert f"'{name}'" in answer.stdout


def test_a_file_keyed_to_another_node_is_refused_by_name(tmp_path):
    (tmp_path / "other.yaml").write_text("camera_driver:\n  ros__parameters: {gain: 1.0}\n")
    answer = ros2(
        "launch", "terrain_seg_ros", "seg.launch.py", f"params_file:={tmp_path / 'other.yaml'}"
    )
    assert answer.returncode != 0
    assert "is keyed to ['/camera_driver']" in answer.stdout + answer.stderr
