"""`terrain-seg demo` with the ROS 2 node: brought up, fed, recorded, compared and taken back."""

from __future__ import annotations

import json
import re

import pytest

pytest.importorskip("rclpy", reason="no ROS 2 here")

from support.demo_runs import Demo, ros_processes, running
from terrain_seg_ros.demo.frames import HOLD
from terrain_seg_ros.demo.ros_node import RosFacts, find_ros

PICTURES = 2
FRAMES = PICTURES * HOLD
NODES = ("ros", "dds")
SAME = re.compile(r"(\w+) (\d+) of (\d+)")


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo_ros")
    words = ("--backend", "onnxruntime", "--pictures", str(PICTURES), "--no-sim")
    demo = Demo(folder, *words, with_ros=True)
    demo.code, demo.output, demo.errors = demo.end()
    assert demo.code == 0, demo.errors
    return demo


def test_the_summary_names_rclpy_and_its_middleware(shown):
    assert re.search(r"node +ROS 2 lifecycle node, rclpy \S+ with rmw_\w+_cpp", shown.output)
    summary = json.loads((shown.folder / "node.json").read_text())
    # A reader may miss the first image of a writer of another vendor; a busy machine drops some.
    assert FRAMES - 1 <= summary["images_in"] <= FRAMES
    assert summary["images_out"] + sum(summary["dropped"].values()) == summary["images_in"]
    assert summary["ended_by"] == "SIGINT"
    assert "rclpy" in (shown.folder / "index.html").read_text()


def test_the_lifecycle_services_brought_it_up_and_took_it_back(shown):
    log = (shown.folder / "node.log").read_text()
    assert "Traceback" not in log
    assert (shown.folder / "operator.log").read_text() == ""


def test_both_nodes_answer_every_image_alike(shown):
    (line,) = [text for text in shown.output.splitlines() if "identical between" in text]
    found = {name: (int(same), int(both)) for name, same, both in SAME.findall(line)}
    assert set(found) == {"mask", "hazard_grid", "hazard_reason"}
    assert found["mask"][0] == found["mask"][1] >= FRAMES // 2
    nodes = [json.loads((shown.folder / "twins" / f"node_{n}.json").read_text()) for n in NODES]
    if all(node["images_out"] == FRAMES + 1 for node in nodes):
        # Grids are fused: they are alike where neither node missed an image.
        assert all(same == both >= FRAMES // 2 for same, both in found.values())
    assert "Both nodes on the same images" in (shown.folder / "index.html").read_text()


def test_no_process_is_left(shown):
    assert running(shown.domain) == {}
    assert ros_processes(shown.domain) == []


def test_a_ros_that_cannot_be_loaded_is_named(monkeypatch, tmp_path):
    (tmp_path / "rclpy.py").write_text("raise ImportError('compiled for another Python')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    reason = find_ros(77)
    assert not isinstance(reason, RosFacts)
    assert "compiled for another Python" in reason
