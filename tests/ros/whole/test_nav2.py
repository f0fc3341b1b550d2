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
from nav2_msgs.msg import SpeedLimit
from nav_msgs.msg import OccupancyGrid
from rclpy.qos import DurabilityPolicy, QoSProfile

from support.ros_peer import Transition, wait_until

CONFIG = Path(__file__).parents[2] / "config"
STATIC_LAYER = ("nav2_static.yaml", "local_costmap")
SEMANTIC_LAYER = ("nav2_semantic.yaml", "local_costmap")
JOINED_LOCAL = ("nav2_params.yaml", "local_costmap")
JOINED_GLOBAL = ("nav2_params.yaml", "global_costmap")
FREE, INSCRIBED, LETHAL, UNKNOWN = 0, 99, 100, -1
UPDATES = {"grid__whole_period_s": 60.0}


def section(file, costmap, **changes):
    """Return a costmap's parameters from a shipped file; a change to None leaves one out."""
    values = yaml.safe_load((CONFIG / file).read_text())[costmap][costmap]["ros__parameters"]
    values.update(changes)
    return {"ros__parameters": {name: item for name, item in values.items() if item is not None}}


class Costmap:
    """Hold Nav2's costmap as a process of its own, as it is where no planner holds it."""

    def __init__(self, prefix, path, parameters):
        path.write_text(yaml.safe_dump({"/**": parameters}))
        command = [str(prefix / "lib" / "nav2_costmap_2d" / "nav2_costmap_2d"), "--ros-args"]
        self.process = subprocess.Popen(
            [*command, "--params-file", str(path)], env=dict(os.environ)
        )

    def close(self):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(15.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def costmap(peer, opened, tmp_path, monkeypatch):
    """Return a function that starts an active costmap and gives the list of what it says."""
    if not installed("nav2_costmap_2d"):
        pytest.skip("no nav2_costmap_2d here")
    prefix = Path(get_package_prefix("nav2_costmap_2d"))
    monkeypatch.setattr(
        type(peer), "place_now", lambda self: self.place(time.time_ns()), raising=False
    )

    def started(parameters):
        lacking = [text for text in plugins(parameters) if not installed(text.partition("::")[0])]
        if lacking:
            pytest.skip(f"no {lacking[0]} here")
        opened.append(Costmap(prefix, tmp_path / "costmap.yaml", parameters))
        maps = []
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        peer.node.create_subscription(OccupancyGrid, "/costmap", maps.append, latched)
        change(peer, Transition.TRANSITION_CONFIGURE)
        change(peer, Transition.TRANSITION_ACTIVATE)
        return maps

    return started


def installed(package):
    try:
        return bool(get_package_prefix(package))
    except PackageNotFoundError:
        return False


def plugins(parameters):
    """Return the plugin types of the layers and filters that are switched on."""
    values = parameters["ros__parameters"]
    names = values["plugins"] + values.get("filters", [])
    return [values[name]["plugin"] for name in names]


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


def seen_cells(grid):
    return {place: value for place, value in cells(grid).items() if value != UNKNOWN}


def wait_for_costs(peer, maps, places, condition):
    """Show images until the costmap says of most of the places what the condition wants."""

    def arrived():
        _, grid = peer.good()
        got = cells(maps[-1]) if maps else {}
        common = [got[place] for place in places if got.get(place, UNKNOWN) != UNKNOWN]
        good = len(common) > 0.9 * len(places) and condition(set(common))
        return (cells(grid), got) if good else None

    return wait_until(arrived, "the costmap", every=0.2, seconds=60.0)


@pytest.mark.parametrize("source", [STATIC_LAYER, JOINED_GLOBAL], ids=lambda source: source[0])
@pytest.mark.parametrize(("hazard", "expected"), [(1.0, LETHAL), (0.0, FREE), (0.25, None)])
def test_lethal_graded_free_and_unknown_arrive_as_they_were_sent(
    start, peer, costmap, source, hazard, expected
):
    start(hazard__soil=hazard, grid__size_m=20.0)
    peer.listen("mask", "hazard_grid")
    peer.bring_up()
    maps = costmap(section(*source))
    _, grid = peer.good()
    seen = seen_cells(grid)
    assert seen

    def graded_or_expected(values):
        if expected is None:
            return all(0 < value < LETHAL for value in values)
        return expected in values and (LETHAL in values) == (expected == LETHAL)

    sent, got = wait_for_costs(peer, maps, list(seen), graded_or_expected)
    far = [place for place, value in sent.items() if value == UNKNOWN and place in got]
    unknown = [got[place] == UNKNOWN for place in far]
    assert np.mean(unknown) > (0.5 if expected == LETHAL else 0.99)


def test_a_costmap_that_takes_updates_follows_without_a_whole_grid(start, peer, costmap):
    start(hazard__soil=0.0, grid__size_m=20.0, **UPDATES)
    peer.listen("mask", "hazard_grid")
    peer.bring_up()
    # The filters would ask for masks, which this node does not send.
    maps = costmap(section(*JOINED_GLOBAL, filters=None, plugins=["hazard_layer"]))
    _, grid = peer.good()
    seen = seen_cells(grid)
    wait_for_values(peer, maps, seen, FREE)
    whole = len(peer.got["hazard_grid"])
    peer.listen("hazard_grid_updates")
    (result,) = peer.set(hazard__soil=1.0)
    assert result.successful
    wait_for_values(peer, maps, seen, LETHAL)
    assert len(peer.got["hazard_grid"]) == whole
    assert peer.got["hazard_grid_updates"]


def wait_for_values(peer, maps, places, value, *, share=0.9):
    """Show images until the costmap has the value at most of the places; return all of theirs."""

    def arrived():
        peer.show()
        got = cells(maps[-1]) if maps else {}
        hits = sum(got.get(place) == value for place in places)
        return [got.get(place) for place in places] if hits > share * len(places) else None

    return wait_until(arrived, f"{value} in the costmap", every=0.3, seconds=60.0)


def test_the_keepout_mask_forbids_hazards_and_leaves_the_rest(start, peer, costmap):
    start(hazard__soil=1.0, grid__size_m=20.0, filter_masks__max_rate_hz=5.0)
    peer.listen("mask", "hazard_grid", "keepout_mask")
    peer.bring_up()
    # Alone, the filter of this Nav2 works in a window as large as the mask at the costmap's corner,
    # so that the costmap must not be larger.
    maps = costmap(section(*JOINED_GLOBAL, plugins=["inflation_layer"], width=20, height=20))
    _, grid = peer.good()
    wait_for_values(peer, maps, seen_cells(grid), LETHAL)
    got = cells(maps[-1])
    forbidden = {place for place, value in got.items() if value == LETHAL}
    assert forbidden <= set(seen_cells(peer.good()[1]))
    assert {value for place, value in got.items() if place not in forbidden} == {UNKNOWN}


def test_the_speed_mask_slows_on_its_class_and_where_nothing_was_seen(start, peer, costmap):
    start(
        grid__size_m=20.0,
        filter_masks__max_rate_hz=5.0,
        filter_masks__unobserved_speed_percent=25.0,
        points_decimation=2,
        speed_percent__soil=60.0,
    )
    limits = []
    peer.listen("mask", "hazard_grid")
    peer.bring_up()
    peer.node.create_subscription(SpeedLimit, "/speed_limit", limits.append, 10)
    costmap(section(*JOINED_LOCAL))  # a filter alone is not run: a layer must have something to say

    def limit_is(percent):
        peer.show()
        return limits and limits[-1].percentage and limits[-1].speed_limit == percent

    wait_until(lambda: limit_is(25.0), "the limit on unseen ground", every=0.3, seconds=60.0)
    places = seen_cells(peer.good()[1])
    middle = [col for row, col in places if row == 0]
    peer.x_m = 0.1 * (min(middle) + max(middle)) / 2.0
    wait_until(lambda: limit_is(60.0), "the limit on soil", every=0.3, seconds=60.0)


@pytest.mark.parametrize("source", [SEMANTIC_LAYER, JOINED_LOCAL], ids=lambda source: source[0])
@pytest.mark.parametrize("kind", ["hazard", "firm"])
def test_the_semantic_layer_takes_mask_confidence_cloud_and_names(
    start, peer, costmap, source, kind
):
    start(grid__size_m=20.0, points_decimation=2)
    peer.listen("mask", "hazard_grid")
    peer.bring_up()
    parameters = section(*source, filters=None)
    camera = parameters["ros__parameters"]["semantic_layer"]["navcam"]
    for name in camera["class_types"]:  # the model here sees nothing but soil
        camera[name]["classes"] = ["soil"] if name == kind else [f"not_{name}"]
    camera["class_types"] = sorted(camera["class_types"], key=lambda name: name != kind)
    maps = costmap(parameters)
    near = [place for place in seen_cells(peer.good()[1]) if abs(place[0]) < 10 < place[1] < 40]
    assert len(near) > 100
    # The layer does not fill the gaps between the pixels of this small cloud; inflation does.
    value, gap = (LETHAL, INSCRIBED) if kind == "hazard" else (FREE, UNKNOWN)
    assert set(wait_for_values(peer, maps, near, value, share=0.5)) <= {value, gap}
