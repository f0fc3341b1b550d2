"""A viewer beside a running node shows it, with and without ROS, and waits where there is none."""

from __future__ import annotations

import signal
import subprocess

import numpy as np
import pytest

from support.buses import free_domain, wait_until
from support.chromium import browser_tab
from terrain_seg_ros.dds.discovery import Discovery
from terrain_seg_ros.demo.frames import APART_M
from terrain_seg_ros.demo.processes import module_command, started
from terrain_seg_ros.demo.ros_node import (
    RosFacts,
    find_ros,
    node_command,
    operator_command,
    ros_environment,
)
from terrain_seg_ros.view.bus_source import BusWatcher
from terrain_seg_ros.view.topics import ViewTopics

PICTURES = 3
NODE_LIMIT_S = 120.0
MODEL = {"model": "synthetic", "backend": "constant"}


@pytest.fixture
def domain(monkeypatch):
    monkeypatch.delenv("CYCLONEDDS_URI", raising=False)
    return free_domain()


@pytest.fixture
def watcher(domain):
    found = BusWatcher(
        ViewTopics(), domain_id=domain, discovery=Discovery.HOST, base_frame="base_link"
    )
    found.start()
    yield found
    found.close()


def node_without_ros(domain):
    command = module_command("cli.main", "run", "--domain", domain, "--discovery", "host")
    command += ["--duration", str(NODE_LIMIT_S)]
    return [*command, *(word for name, value in MODEL.items() for word in (f"--{name}", value))]


def player(domain, *, listeners):
    command = module_command("demo.player", "--domain", domain, "--pictures", PICTURES)
    return [*command, "--listeners", str(listeners), "--settle", "1.0"]


def check_moment(watcher):
    """Check that the watcher has everything of the last picture, at one place."""
    moment = watcher.keeper.moment()
    assert moment.vehicle_pose.translation_m[0] == pytest.approx((PICTURES - 1) * APART_M)
    assert moment.camera_pose.translation_m[2] == pytest.approx(1.9)
    assert moment.mask.shape == moment.confidence.shape
    assert moment.class_names[0]
    grid = moment.grid
    middle_m = grid.origin_x_m + grid.values.shape[1] * grid.resolution_m / 2
    assert middle_m == pytest.approx(moment.vehicle_pose.translation_m[0], abs=1.0)
    assert (grid.values >= 0).sum() > 1000
    assert moment.reason.values.shape == moment.safe_map.values.shape == grid.values.shape
    assert {"class", "confidence", "hazard", "age"} <= set(moment.layers.layers)
    assert moment.delays
    assert moment.health
    assert moment.problems == {}
    assert watcher.error == ""


def wait_for_last_picture(watcher):
    def is_complete():
        return has_last_picture(watcher.keeper.moment())

    wait_until(is_complete, "the last picture", seconds=NODE_LIMIT_S, every=0.2)


def has_last_picture(moment):
    return (
        moment.path_xyz_m is not None
        and moment.path_xyz_m[-1][0] > (PICTURES - 1.5) * APART_M
        and moment.health
        and all(item is not None for item in (moment.layers, moment.reason, moment.safe_map))
        and moment.grid is not None
        and (moment.grid.values >= 0).sum() > 1000
    )


def test_a_node_without_ros_is_shown_until_it_takes_its_grid_back(domain, watcher, tmp_path):
    with (
        started("node", node_without_ros(domain), folder=tmp_path) as node,
        started("player", player(domain, listeners=2), folder=tmp_path),
    ):
        wait_for_last_picture(watcher)
        check_moment(watcher)
        node.interrupt()
    wait_until(lambda: not (watcher.keeper.moment().grid.values == 0).any(), "the grid taken back")


def test_the_lifecycle_node_is_shown(domain, watcher, tmp_path):
    ros = find_ros(domain)
    if not isinstance(ros, RosFacts):
        pytest.skip(ros)
    changes = ros_environment(domain)
    node = node_command(MODEL, json_file=tmp_path / "node.json", limit_s=NODE_LIMIT_S)
    with (
        started("node", node, folder=tmp_path, changes=changes) as running,
        started("operator", operator_command(), folder=tmp_path, changes=changes) as operating,
        started("player", player(domain, listeners=2), folder=tmp_path),
    ):
        wait_for_last_picture(watcher)
        check_moment(watcher)
        for child in (operating, running):
            child.interrupt()


class Viewer:
    """`terrain-seg view` as users start it; `address` is what it printed."""

    def __init__(self, *words):
        command = module_command("cli.main", "view", *words, "--port", 0, "--no-browser")
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        self.address = self.said("page at").split("page at ")[1].split()[0]

    def said(self, text):
        for line in self.process.stderr:
            if text in line:
                return line
        raise AssertionError(f"it never said {text!r}")

    def end(self):
        self.process.send_signal(signal.SIGINT)
        _, errors = self.process.communicate(timeout=30.0)
        return self.process.returncode, errors


def test_the_page_shows_a_live_node_and_ctrl_c_ends_it(domain, tmp_path):
    pytest.importorskip("viser", reason="viser is not installed")
    node = node_without_ros(domain)
    with browser_tab(tmp_path, width=1300, height=800) as tab:
        viewer = Viewer("--domain", domain, "--discovery", "host")
        try:
            tab.open(viewer.address)
            with (
                started("node", node, folder=tmp_path),
                started("player", player(domain, listeners=2), folder=tmp_path),
            ):
                # A busy machine drops images, which the node warns of.
                wait_until(
                    lambda: any(level in tab.text() for level in ("OK: ", "WARN: ")),
                    "the node's state",
                    seconds=NODE_LIMIT_S,
                )
                wait_until(lambda: "100%" in tab.text(), "the classes", seconds=NODE_LIMIT_S)
                first = tab.picture().astype(int)
                wait_until(
                    lambda: np.abs(tab.picture() - first).mean() > 1.0,
                    "another picture",
                    seconds=NODE_LIMIT_S,
                    every=0.5,
                )
            wait_until(lambda: "the node has left" in tab.text(), "its end", seconds=60.0)
            code, errors = viewer.end()
        finally:
            viewer.process.kill()
            viewer.process.wait()
    assert code == 0
    assert "Traceback" not in errors


def test_a_bus_without_a_node_is_told_once_and_the_page_waits(domain):
    pytest.importorskip("viser", reason="viser is not installed")
    viewer = Viewer("--domain", domain, "--discovery", "host")
    try:
        line = viewer.said("nobody publishes")
        assert "/terrain/mask or /terrain/hazard_grid yet; start the node with" in line
        assert line.rstrip().endswith("still waiting")
        assert viewer.process.poll() is None
        assert viewer.end() == (0, "")
    finally:
        viewer.process.kill()
        viewer.process.wait()
