"""A real costmap of Nav2, with the shipped parameters, says what the hazard grid says."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("rclpy", reason="no ROS 2 here; `make test-ros` runs these beside one")

from ament_index_python.packages import PackageNotFoundError, get_package_prefix
from lifecycle_msgs.srv import ChangeState
from nav_msgs.msg import OccupancyGrid
from rclpy.qos import DurabilityPolicy, QoSProfile
from ros_peer import Transition, wait_until

FILE = Path(__file__).parents[2] / "config" / "nav2_static.yaml"
FREE, LETHAL, UNKNOWN = 0, 100, -1


@pytest.fixture
def costmap(domain, opened, tmp_path):
    """Start Nav2's costmap, a process of its own here, with the shipped file's parameters."""
    shipped = yaml.safe_load(FILE.read_text())["local_costmap"]["local_costmap"]
    (tmp_path / "costmap.yaml").write_text(yaml.safe_dump({"/**": shipped}))
    try:
        prefix = Path(get_package_prefix("nav2_costmap_2d"))
    except PackageNotFoundError:
        pytest.skip("no nav2_costmap_2d here")

    class Costmap:
        def __init__(self):
            command = [str(prefix / "lib" / "nav2_costmap_2d" / "nav2_costmap_2d"), "--ros-args"]
            command += ["--params-file", str(tmp_path / "costmap.yaml")]
            self.process = subprocess.Popen(command, env=dict(os.environ))

        def close(self):
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(15.0)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    opened.append(Costmap())
    return opened[-1]


def change(peer, transition):
    name = "/costmap/change_state"
    client = peer.node.create_client(ChangeState, name)
    assert client.wait_for_service(30.0)
    future = client.call_async(ChangeState.Request(transition=Transition(id=transition)))
    wait_until(lambda: peer.place_now() or future.done(), "the costmap's transition", every=0.1)
    assert future.result().success


def cells(message):
    """Return the values by the cell's place in odom, in whole cells."""
    values = np.array(message.data).reshape(message.info.height, message.info.width)
    origin = message.info.origin.position
    col0, row0 = round(origin.x / 0.1), round(origin.y / 0.1)
    return {
        (row + row0, col + col0): int(values[row, col])
        for row in range(values.shape[0])
        for col in range(values.shape[1])
    }


@pytest.mark.parametrize(("hazard", "expected"), [(1.0, LETHAL), (0.0, FREE), (0.25, None)])
def test_lethal_graded_free_and_unknown_arrive_as_they_were_sent(
    start, peer, costmap, monkeypatch, hazard, expected
):
    monkeypatch.setattr(
        type(peer), "place_now", lambda self: self.place(time.time_ns()), raising=False
    )
    start(hazard__soil=hazard, grid__size_m=20.0)
    peer.listen("mask", "hazard_grid")
    peer.bring_up()
    maps = []
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    peer.node.create_subscription(OccupancyGrid, "/costmap", maps.append, latched)
    change(peer, Transition.TRANSITION_CONFIGURE)
    change(peer, Transition.TRANSITION_ACTIVATE)
    _, grid = peer.good()
    sent = cells(grid)
    seen = [place for place, value in sent.items() if value != UNKNOWN]
    assert seen

    def arrived():
        peer.good()
        if not maps:
            return None
        got = cells(maps[-1])
        common = [place for place in seen if place in got and got[place] != UNKNOWN]
        return got if len(common) > 0.9 * len(seen) else None

    got = wait_until(arrived, "the costmap", every=0.2, seconds=60.0)
    values = {got[place] for place in seen if place in got}
    if expected is None:
        assert all(0 < value < LETHAL for value in values), values
    else:
        assert expected in values
        assert (LETHAL in values) == (expected == LETHAL)
    far = [place for place, value in sent.items() if value == UNKNOWN and place in got]
    unknown = [got[place] == UNKNOWN for place in far]
    assert np.mean(unknown) > (0.5 if expected == LETHAL else 0.99)
