"""A topic is added in one place: a row of the table, and its encoder or handler."""

from __future__ import annotations

import pytest

from house.render_reference import ROOT, render
from support.bags import drive, read_bag, write_bag
from support.buses import wait_until
from support.peer import Peer
from terrain_seg_ros.bag.replay import replay
from terrain_seg_ros.dds.discovery import Discovery
from terrain_seg_ros.dds.endpoints import Writer
from terrain_seg_ros.dds.port import NodeOptions, dds_node
from terrain_seg_ros.messages.cdr import message_class
from terrain_seg_ros.messages.topic_spec import Group, output, reliable_input
from terrain_seg_ros.messages.topics import TOPICS
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.runtime.inbox import HANDLERS
from terrain_seg_ros.runtime.outboxes.encoders import ENCODERS
from terrain_seg_ros.runtime.session import Session

PARAMETERS = load_parameters(
    overrides={"model": "synthetic", "backend": "constant", "grid.size_m": 10.0}
)


@pytest.fixture
def brightness(monkeypatch):
    """Add an output to the table."""
    row = output(
        "brightness",
        "std_msgs/msg/Float32",
        "Mean grey level of the image.",
        group=Group.MASK,
        per_camera=True,
    )

    def encode(types, product):
        return types(row.type)(data=float(product.image.pixels.mean()))

    monkeypatch.setitem(TOPICS, row.name, row)
    monkeypatch.setitem(ENCODERS, row.name, encode)
    return row


@pytest.fixture
def remark(monkeypatch):
    """Add an input to the table; return the row and what its handler got."""
    row = reliable_input(
        "remark",
        "std_msgs/msg/String",
        "What the operator wants to remember.",
        group=Group.OPERATOR,
        malformed="bad image",
    )
    got = []
    monkeypatch.setitem(TOPICS, row.name, row)
    monkeypatch.setitem(HANDLERS, row.name, lambda _, camera, message: got.append(message.data))
    return row, got


@pytest.fixture
def start(domain):
    """Return a function that starts a node and a peer that reads some outputs."""
    opened = []

    def started(*outputs):
        session = Session(PARAMETERS)
        node = dds_node(session, NodeOptions(domain, Discovery.HOST))
        peer = Peer(domain, outputs)
        opened.extend([node.stop, session.close, peer.close])
        node.start()
        peer.meet()
        return node, peer

    yield started
    for close in opened:
        close()


def test_a_new_output_is_published_on_the_bus(brightness, start):
    _, peer = start("mask", "brightness")

    def arrived():
        peer.show(value=80)
        peer.listen()
        return peer.last.get("brightness")

    assert wait_until(arrived, "the brightness", every=0.1).data == pytest.approx(80.0)


def test_a_new_output_is_in_a_replayed_bag(brightness, tmp_path):
    replay(write_bag(tmp_path / "in", drive(2)), tmp_path / "out", PARAMETERS)
    entries = read_bag(tmp_path / "out")["/terrain/brightness"]
    assert [entry.type for entry in entries] == [brightness.type] * 2
    assert all(40.0 < entry.message.data < 200.0 for entry in entries)


def test_new_topics_are_in_the_reference(brightness, remark):
    text = render((ROOT / "docs/reference/topics.md").read_text(encoding="utf-8"))
    assert "| out | `brightness` | std_msgs/Float32 |" in text
    assert "| in | `remark` | std_msgs/String |" in text


def test_a_new_input_reaches_its_handler(remark, start):
    row, got = remark
    _, peer = start("mask")
    writer = Writer(peer.member, row, dds_name="rt/terrain/remark")
    try:
        wait_until(lambda: writer.subscriber_count, "the node")
        writer.write(message_class(row.type)(data="steep"))
        wait_until(lambda: got == ["steep"], "the remark")
    finally:
        writer.close()
