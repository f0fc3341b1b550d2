"""Changed messages to a live node over a real bus."""

from __future__ import annotations

import time

import numpy as np
import pytest

from support.buses import Forger, free_domain, wait_until
from support.good_inputs import GOOD
from support.mutators import mutated_bytes, mutated_message
from support.peer import Peer
from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.dds.discovery import Discovery
from terrain_seg_ros.dds.endpoints import Writer
from terrain_seg_ros.dds.names import dds_topic_name
from terrain_seg_ros.dds.port import NodeOptions, dds_node
from terrain_seg_ros.messages.cdr import serialize
from terrain_seg_ros.messages.topics import topic
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.runtime.health import Refusal
from terrain_seg_ros.runtime.session import Session

COUNT = 250
FORGED = 20
PARAMETERS = {
    "model": "synthetic",
    "backend": "constant",
    "grid.size_m": 10.0,
    "watchdog.stale_after_s": 0.0,
    "landing.enable": True,
    "depth.source": "image",
}
ROWS = {
    "image": "image",
    "colour": "image",
    "camera_info": "camera_info",
    "tf": "/tf",
    "tf_static": "/tf_static",
    "depth": "depth",
    "select_site": "select_site",
}


@pytest.fixture
def bus(monkeypatch):
    """Return a running node, a peer that has met it, and more writers."""
    for name in ("CYCLONEDDS_URI", "ROS_DOMAIN_ID"):
        monkeypatch.delenv(name, raising=False)
    domain = free_domain()
    with Session(load_parameters(overrides=PARAMETERS)) as session:
        node = dds_node(session, NodeOptions(domain, Discovery.HOST))
        peer = Peer(domain)
        for row in ("depth", "select_site"):
            name = dds_topic_name(row, "/terrain")
            peer.writers[row] = Writer(peer.member, topic(row), dds_name=name)
        node.start()
        peer.meet()
        peer.mount()
        yield node, peer
        node.stop()
        peer.close()


def serves(peer):
    """Show good images until the grid of one has free cells."""
    peer.mount()

    def shown():
        peer.show()
        peer.listen()
        grid = peer.last.get("hazard_grid")
        return grid is not None and bool((np.asarray(grid.data) == 0).any())

    peer.last.clear()
    wait_until(shown, "a grid with free cells", every=0.05)


def check(node):
    node.check()
    health = node.snapshot()
    assert Refusal.DEFECT not in health.refused, health.refusal_texts[Refusal.DEFECT]


def test_changed_messages_are_survived_and_the_next_good_frame_is_served(bus, rng, times):
    node, peer = bus
    serves(peer)
    kinds = list(ROWS)
    for index in range(times(COUNT)):
        kind = kinds[int(rng.integers(len(kinds)))]
        make, type_name = GOOD[kind]
        try:
            with np.errstate(all="ignore"):
                data = serialize(mutated_message(rng, make(time.time_ns())), type_name)
        except MessageError:
            continue
        peer.writers[ROWS[kind]].write_payload(bytes(data))
        if index % 10 == 9:
            peer.show()
            check(node)
    serves(peer)
    check(node)
    assert sum(node.snapshot().refused.values()) > 0


def test_bytes_that_are_no_message_are_survived(bus, rng, times):
    node, peer = bus
    serves(peer)
    make, type_name = GOOD["image"]
    name = dds_topic_name("image", "/terrain")
    forger = Forger(node.port.options.domain_id, name)
    try:
        served = node.port._dispatcher._served
        readers = [item.reader for item in served if item.reader.dds_name == name]
        wait_until(lambda: readers[0].publisher_count == 2, "the forger's writer")
        good = bytes(serialize(make(time.time_ns()), type_name))
        for _ in range(times(FORGED)):
            forger.send(mutated_bytes(rng, good)[:60_000])
    finally:
        forger.close()
    serves(peer)
    check(node)
