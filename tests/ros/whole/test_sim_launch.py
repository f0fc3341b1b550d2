"""The launch file for Gazebo, with stand-ins for Gazebo and its bridge."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("rclpy", reason="no ROS 2 here; `make test-ros` runs these beside one")

from ament_index_python.packages import (
    PackageNotFoundError,
    get_package_share_directory,
    get_packages_with_prefixes,
)

try:
    SHARE = Path(get_package_share_directory("terrain_seg_ros"))
except PackageNotFoundError:
    pytest.skip("the package is not built with colcon here", allow_module_level=True)

WITHOUT_GAZEBO = pytest.mark.skipif(
    "ros_gz_sim" in get_packages_with_prefixes(), reason="ros_gz is installed here"
)
GAZEBO = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, ExecuteProcess
from launch.substitutions import LaunchConfiguration

def generate_launch_description():
    told = ["printf '%s' '", LaunchConfiguration("gz_args"), "' > {answer}"]
    return LaunchDescription(
        [DeclareLaunchArgument("gz_args"), ExecuteProcess(cmd=told, shell=True)]
    )
"""
BRIDGE = """#!/bin/sh
printf '%s ' "$@" > {answer}
exec sleep 60
"""


def start(*words, prefix="", domain=0):
    paths = [path for path in (prefix, os.environ["AMENT_PREFIX_PATH"]) if path]
    return subprocess.Popen(
        ["ros2", "launch", "terrain_seg_ros", "sim.launch.py", *words],
        env={
            **os.environ,
            "AMENT_PREFIX_PATH": ":".join(map(str, paths)),
            "ROS_DOMAIN_ID": str(100 + (os.getpid() + domain) % 90),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def stop(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
    return process.communicate(timeout=60.0)[0]


def install(prefix, name):
    index = prefix / "share" / "ament_index" / "resource_index" / "packages"
    for folder in (index, prefix / "share" / name / "launch", prefix / "lib" / name):
        folder.mkdir(parents=True, exist_ok=True)
    (index / name).touch()


@pytest.fixture
def prefix(tmp_path):
    """Return a prefix with packages that stand in for Gazebo's and note how they are called."""
    for name in ("ros_gz_sim", "ros_gz_bridge", "tf2_ros"):
        install(tmp_path, name)
    launch = tmp_path / "share" / "ros_gz_sim" / "launch" / "gz_sim.launch.py"
    launch.write_text(GAZEBO.replace("{answer}", str(tmp_path / "gazebo.txt")))
    programs = {
        "ros_gz_bridge/parameter_bridge": "bridge.txt",
        "tf2_ros/static_transform_publisher": "frames_$$.txt",
    }
    for program, answer in programs.items():
        path = tmp_path / "lib" / program
        path.write_text(BRIDGE.replace("{answer}", str(tmp_path / answer)))
        path.chmod(0o755)
    return tmp_path


def test_arguments_are_described_without_gazebo():
    process = start("--show-args")
    told = process.communicate(timeout=60.0)[0]
    assert process.returncode == 0, told
    assert "no description" not in told.lower()
    for name in ["world", "seed", "mode", "params_file", "model", "headless", "rviz", "record"]:
        assert f"'{name}'" in told


@WITHOUT_GAZEBO
def test_missing_gazebo_is_named_with_the_remedy():
    process = start()
    told = process.communicate(timeout=60.0)[0]
    assert process.returncode != 0
    assert "sim.launch.py requires ros_gz_sim and ros_gz_bridge" in told
    assert "sudo apt install ros-$ROS_DISTRO-ros-gz" in told


def test_unknown_world_is_refused(prefix):
    process = start("world:=venus", prefix=prefix)
    told = process.communicate(timeout=60.0)[0]
    assert process.returncode != 0
    assert "arguments world, seed and mode: 'venus' is not a valid Body" in told


@pytest.mark.parametrize(("mode", "world"), [("rover", "mars"), ("lander", "moon")])
def test_gazebo_bridge_frames_and_node_start(prefix, mode, world):
    words = (f"mode:={mode}", f"world:={world}", "headless:=true")
    process = start(*words, prefix=prefix, domain=len(mode))
    try:
        until = time.monotonic() + 60.0
        while len(list(prefix.glob("*.txt"))) < 4 and time.monotonic() < until:
            time.sleep(0.2)
        time.sleep(3.0)
    finally:
        told = stop(process)
    assert "terrain_seg_node" in told
    *flags, sdf = (prefix / "gazebo.txt").read_text().split()
    assert flags == ["-r", "-s", "--headless-rendering"]
    vehicle = ElementTree.parse(sdf).getroot().find("world/model[@name='vehicle']")
    assert (vehicle.find("link/gravity") is not None) == (mode == "lander")
    frames = sorted(path.read_text() for path in prefix.glob("frames_*.txt"))
    assert "--frame-id base_link --child-frame-id navcam_link" in frames[0]
    assert "--frame-id navcam_link --child-frame-id navcam_optical" in frames[1]
    given = (prefix / "bridge.txt").read_text()
    (file,) = [word for word in given.split() if word.startswith("/")][:1]
    assert str(SHARE / "config" / "gz_bridge.yaml") in Path(file).read_text()
