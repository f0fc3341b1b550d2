"""`ros2 bag` plays to the node and records what it says."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

pytest.importorskip("rclpy", reason="no ROS 2 here; `make test-ros` runs these beside one")
pytest.importorskip("rosbag2_py", reason="no rosbag2 here")

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

from support.bags import drive, read_bag, write_bag
from support.ros_peer import wait_until

QUICK = ["model:=synthetic", "backend:=constant"]
TOPICS = ["image_topic:=/navcam/image_raw", "camera_info_topic:=/navcam/camera_info"]


@pytest.fixture(autouse=True)
def built():
    try:
        get_package_share_directory("terrain_seg_ros")
    except PackageNotFoundError:
        pytest.skip("the package is not built with colcon here")


def launched(*words, cwd=None):
    return subprocess.run(
        ["ros2", "launch", "terrain_seg_ros", *words],
        capture_output=True,
        text=True,
        timeout=120.0,
        check=False,
        cwd=cwd,
        env=dict(os.environ),
    )


def test_a_played_bag_gives_masks_and_grids_and_the_launch_ends(peer, tmp_path):
    source = write_bag(tmp_path / "drive", drive(30))
    peer.listen("mask", "hazard_grid", "label_info")
    answer = launched("replay.launch.py", f"bag:={source}", "start_after_s:=4", *QUICK, *TOPICS)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert len(peer.got["mask"]) >= 25
    assert len(peer.got["hazard_grid"]) >= 20
    assert peer.got["label_info"]


@pytest.mark.parametrize(("availability", "code"), [(0.5, 0), (1.5, 1)])
def test_a_launch_with_limits_fails_where_one_is_missed(domain, tmp_path, availability, code):
    source = write_bag(tmp_path / "drive", drive(5))
    limits = tmp_path / "limits.yaml"
    limits.write_text(f"minimum: {{grid_availability: {availability}}}\n")
    words = [f"bag:={source}", f"limits:={limits}", f"scored_bag:={tmp_path / 'scored'}"]
    answer = launched("replay.launch.py", *words, "start_after_s:=2", *QUICK, *TOPICS)
    said = answer.stdout + answer.stderr
    assert (answer.returncode != 0) == bool(code), said
    assert ("expected at least 1.5" in said) == bool(code), said
    assert (tmp_path / "scored").is_dir()


def test_a_bag_that_is_not_there_is_refused_by_name():
    answer = launched("replay.launch.py", "bag:=none")
    assert answer.returncode != 0
    assert "argument bag: 'none' does not exist" in answer.stdout + answer.stderr


def test_what_the_node_says_can_be_recorded(start, peer, tmp_path):
    start()
    peer.listen("mask", "hazard_grid")
    peer.bring_up()
    recorder = subprocess.Popen(
        ["ros2", "bag", "record", "-s", "mcap", "-o", str(tmp_path / "bag"), "--all-topics"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(
            lambda: "rosbag2_recorder" in peer.node.get_node_names(), "the recorder", seconds=40.0
        )
        time.sleep(1.0)
        for _ in range(5):
            peer.good()
    finally:
        recorder.send_signal(signal.SIGINT)
        recorder.wait(30.0)
    made = read_bag(
        tmp_path / "bag", only=("/terrain/mask", "/terrain/hazard_grid", "/terrain/label_info")
    )
    assert len(made["/terrain/mask"]) >= 4
    assert len(made["/terrain/hazard_grid"]) >= 4
    assert made["/terrain/label_info"]
