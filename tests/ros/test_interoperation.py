"""The node without ROS and nodes with it understand each other, topic by topic."""

from __future__ import annotations

import subprocess
import sys
import time
from importlib.metadata import version

import pytest
import yaml

pytest.importorskip("rclpy", reason="no ROS 2 here; `make test-ros` runs these beside one")
pytest.importorskip("cyclonedds", reason="no wheel of Cyclone DDS here")

from rclpy.utilities import get_rmw_implementation_identifier

from support.ros_peer import SPECS, stamped, wait_until
from terrain_seg_ros.messages.topic_spec import Direction, Durability
from terrain_seg_ros.messages.topics import topics

OUTPUTS = [spec.name for spec in topics(Direction.OUT)]

EVERYTHING = {
    "points_decimation": 2,
    "grid.whole_period_s": 0.5,
    "filter_masks.max_rate_hz": 10.0,
    "grid.size_m": 20.0,
    "landing.enable": True,
    "downlink.budget_bytes_per_min": 10_000_000,
    "footprint.radius_m": 0.3,
}
"""Parameters with which every topic of the table is published."""

FAST_DDS_3 = (
    "fastrtps" in get_rmw_implementation_identifier() and int(version("rclpy").split(".")[0]) >= 9
)


@pytest.fixture
def pip_only(domain, opened, tmp_path):
    """Start `terrain-seg run` in the namespace /terrain and wait until it listens."""
    parameters = tmp_path / "everything.yaml"
    parameters.write_text(yaml.safe_dump({"/**": {"ros__parameters": EVERYTHING}}))

    class Run:
        def __init__(self):
            command = [sys.executable, "-m", "terrain_seg_ros.cli.main", "run"]
            command += ["--discovery", "host", "--domain", str(domain)]
            command += ["--model", "synthetic", "--backend", "constant"]
            command += ["--params", str(parameters)]
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            for line in self.process.stdout:
                if line.startswith("terrain-seg: ready"):
                    return
            raise AssertionError("terrain-seg run did not start")

        def close(self):
            self.process.terminate()
            self.process.wait(20.0)
            self.process.stdout.close()

    opened.append(Run())
    return opened[-1]


def test_rclpy_hears_every_topic_of_the_node_without_ros(peer, pip_only):
    peer.listen("mask", "hazard_grid", "/diagnostics")
    wait_until(peer.image.get_subscription_count, "the subscription")
    peer.mount()
    mask, _ = peer.good()
    peer.listen(*(name for name in OUTPUTS if name not in peer.got))

    def heard():
        peer.show()
        return all(peer.got[name] for name in OUTPUTS)

    wait_until(heard, "all outputs", every=0.2)
    assert mask.encoding == "mono8"
    peer.status(lambda s: "images_in" in s.values)


def known(peer, full):
    """Return the publishers of a topic whose node is known."""
    found = peer.node.get_publishers_info_by_topic(full)
    return [info for info in found if info.node_name == "terrain_seg"]


@pytest.mark.skipif(
    FAST_DDS_3, reason="Fast DDS 3 does not say which participant a writer of Cyclone DDS is of"
)
def test_the_graph_shows_types_and_quality_of_the_node_without_ros(peer, pip_only):
    for name in ("mask", "label_info", "hazard_grid"):
        full = f"/terrain/{name}"
        # The endpoint may be known some milliseconds before the node that it belongs to.
        (info,) = wait_until(lambda t=full: known(peer, t), full)
        assert info.node_namespace == "/terrain"
        assert info.topic_type == SPECS[name].type
        assert info.topic_type_hash.version == 1
    assert ("terrain_seg", "/terrain") in peer.node.get_node_names_and_namespaces()


def test_the_ros_node_works_for_a_peer_without_ros(start, peer, domain, opened):
    from support.peer import Peer  # noqa: PLC0415  (the DDS rim's)

    start(**{name.replace(".", "__"): value for name, value in EVERYTHING.items()})
    peer.listen("label_info")
    assert peer.change("configure")
    assert peer.change("activate")
    other = Peer(domain, OUTPUTS)
    opened.append(other)
    wait_until(lambda: other.image.subscriber_count, "the subscription")
    other.mount()

    def heard():
        other.show()
        other.listen()
        return set(OUTPUTS) <= set(other.last)

    wait_until(heard, "every output", every=0.1)
    assert other.last["mask"].encoding == "mono8"


def test_late_joiners_get_what_is_latched_from_either_side(peer, pip_only, domain):
    latched = [name for name in OUTPUTS if SPECS[name].durability is Durability.TRANSIENT_LOCAL]
    assert {"label_info", "hazard_grid", "safe_map", "keepout_mask"} <= set(latched)
    peer.listen("mask", "hazard_grid")
    wait_until(peer.image.get_subscription_count, "the subscription")
    peer.mount()
    peer.good()
    peer.got.clear()
    peer.listen(*latched)
    wait_until(lambda: all(peer.got[name] for name in latched), "what was sent before")


def test_images_of_any_size_cross_whole(peer, pip_only):
    peer.listen("mask")
    wait_until(peer.image.get_subscription_count, "the subscription")
    from support.ros_peer import intrinsics  # noqa: PLC0415

    for width, height in [(641, 480), (1280, 720)]:
        peer.camera_info.publish(intrinsics(width=width, height=height))
        time.sleep(0.1)

        def answered(size=(width, height)):
            peer.image.publish(
                stamped(time.time_ns(), width=size[0], height=size[1], encoding="rgb8")
            )
            time.sleep(0.1)
            return [m for m in list(peer.got["mask"]) if (m.width, m.height) == size]

        assert wait_until(answered, f"a mask of {width} x {height}")
