"""Whole messages between two processes; what is wrong on the wire is counted."""

from __future__ import annotations

import numpy as np
import pytest

from support.buses import Forger, end, image, python, wait_until
from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.core.types import GridSnapshot
from terrain_seg_ros.dds.cyclone import DataReader, DDSException, Topic, make_idl_struct, types
from terrain_seg_ros.dds.endpoints import Reader, Writer
from terrain_seg_ros.dds.idl_types import endpoint_qos
from terrain_seg_ros.dds.names import dds_type_name
from terrain_seg_ros.messages import cdr
from terrain_seg_ros.messages.grid_message import encode_cost_grid
from terrain_seg_ros.messages.header_message import make_header
from terrain_seg_ros.messages.topics import topic

ECHO = """
import sys
from support.buses import wait_until
from terrain_seg_ros.dds.endpoints import Reader, Writer
from terrain_seg_ros.dds.discovery import Discovery
from terrain_seg_ros.dds.participant import Participant
from terrain_seg_ros.messages.topics import topic

spec = topic(sys.argv[2])
member = Participant(int(sys.argv[1]), Discovery.HOST)
reader = Reader(member, spec, dds_name="rt/there")
writer = Writer(member, spec, dds_name="rt/back")
got = wait_until(lambda: list(reader.take()), "the message")
writer.write(got[-1])
wait_until(lambda: reader.publisher_count == 0, "the peer to leave")
member.close()
"""


def label_info():
    types = cdr.message_class
    pair = types("vision_msgs/msg/VisionClass")
    return types("vision_msgs/msg/LabelInfo")(
        header=make_header(types, 5, ""),
        class_map=[pair(class_id=0, class_name="soil"), pair(class_id=3, class_name="big rock")],
        threshold=0.5,
    )


def grid():
    shape = (7, 5)
    snapshot = GridSnapshot(
        cost=np.arange(35, dtype=np.int8).reshape(shape) - 1,
        hazard=np.zeros(shape, dtype=np.float32),
        reason=np.zeros(shape, dtype=np.uint8),
        resolution_m=0.5,
        origin_x_m=-1.0,
        origin_y_m=2.5,
        frame_id="odom",
        stamp_ns=123,
    )
    return encode_cost_grid(cdr.message_class, snapshot)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("mask", lambda: image(width=641, height=480)),
        ("hazard_grid", grid),
        ("label_info", label_info),
    ],
)
def test_round_trip_through_another_process(participant, domain, name, make):
    spec, message = topic(name), make()
    reader = Reader(participant, spec, dds_name="rt/back")
    writer = Writer(participant, spec, dds_name="rt/there")
    peer = python(ECHO, domain, name)
    try:
        wait_until(lambda: writer.subscriber_count and reader.publisher_count, "the peer")
        assert writer.write(message)
        got = wait_until(lambda: list(reader.take()), "the echo")
        assert cdr.serialize(got[0], spec.type) == cdr.serialize(message, spec.type)
        writer.close()
        assert writer.subscriber_count == 0
    finally:
        code, errors = end(peer)
    assert code == 0, errors


@pytest.mark.parametrize(("name", "make"), [("hazard_grid", grid), ("label_info", label_info)])
def test_late_joiner_gets_the_last_latched_message(participant, domain, name, make):
    writer = Writer(participant, topic(name), dds_name="rt/there")
    reader = Reader(participant, topic(name), dds_name="rt/back")
    writer.write(make())
    peer = python(ECHO, domain, name)
    try:
        got = wait_until(lambda: list(reader.take()), "the latched message")
        assert got[0].header.stamp.nanosec == make().header.stamp.nanosec
        writer.close()
    finally:
        code, errors = end(peer)
    assert code == 0, errors


def test_malformed_bytes_on_the_wire_do_no_harm(participant, domain):
    reader = Reader(participant, topic("image"), dds_name="rt/image")
    good = bytes(cdr.serialize(image(width=32), "sensor_msgs/msg/Image"))
    forger = Forger(domain, "rt/image")
    try:
        # A datagram of a writer that the reader has not met yet is dropped.
        wait_until(lambda: reader.publisher_count, "the writer")
        forger.send(good)
        assert wait_until(lambda: list(reader.take()), "the first good one")[0].width == 32
        for bad in [b"\x00\x01\x00\x00", good[:40], good[:20] + b"\xff" * 40, b"\x00\x09" + good]:
            forger.send(bad)
        forger.send(good)
        assert [
            message.width for message in wait_until(lambda: list(reader.take()), "a good one")
        ] == [32]
    finally:
        forger.close()


def test_malformed_bytes_that_reach_the_reader_are_counted(participant, monkeypatch):
    reader = Reader(participant, topic("image"), dds_name="rt/image")
    good = bytes(cdr.serialize(image(), "sensor_msgs/msg/Image"))
    monkeypatch.setattr(reader, "take_payloads", lambda: [good[:40], good, good[:9]])
    assert [message.width for message in reader.take()] == [64]
    assert reader.malformed == 2
    assert "malformed" in reader.last_error


def test_malformed_bytes_are_not_sent(participant):
    writer = Writer(participant, topic("mask"), dds_name="rt/mask")
    good = bytes(cdr.serialize(image(), "sensor_msgs/msg/Image"))
    with pytest.raises(MessageError, match="cannot be written"):
        writer.write_payload(good[:40])
    assert writer.write(image())


@pytest.mark.requirement("TSR-ROB-005")
def test_stuck_subscriber_costs_one_message_not_the_node(participant, monkeypatch):
    writer = Writer(participant, topic("mask"), dds_name="rt/mask")

    class Stuck:
        def write(self, sample):
            raise DDSException(DDSException.DDS_RETCODE_TIMEOUT, "stuck")

    monkeypatch.setattr(writer, "_entity", Stuck())
    assert not writer.write(image())
    assert writer.given_up == 1


def test_peer_with_its_own_idl_understands_us(participant):
    nested = make_idl_struct("Time", "T", {"sec": types.int32, "nanosec": types.uint32})
    header = make_idl_struct("Header", "H", {"stamp": nested, "frame_id": str})
    pair = make_idl_struct("Pair", "P", {"class_id": types.uint16, "class_name": str})
    fields = {"header": header, "class_map": types.sequence[pair], "threshold": types.float32}
    own = make_idl_struct("LabelInfo", dds_type_name("vision_msgs/msg/LabelInfo"), fields)
    spec = topic("label_info")
    peer = DataReader(
        participant.entity,
        Topic(participant.entity, "rt/label_info", own),
        qos=endpoint_qos(spec, writer=False),
    )
    Writer(participant, spec, dds_name="rt/label_info").write(label_info())
    got = wait_until(peer.take, "label_info")[0]
    assert [item.class_name for item in got.class_map] == ["soil", "big rock"]


def test_only_the_newest_is_kept(participant):
    spec = topic("mask")
    reader = Reader(participant, spec, dds_name="rt/mask")
    writer = Writer(participant, spec, dds_name="rt/mask")
    wait_until(lambda: writer.subscriber_count, "the reader")
    for stamp in range(5):
        writer.write(image(stamp))
    got = wait_until(lambda: list(reader.take()), "the last one")
    assert [message.header.stamp.nanosec for message in got] == [4]


def test_unwritable_message_is_refused_and_a_closed_writer_too(participant):
    writer = Writer(participant, topic("mask"), dds_name="rt/mask")
    message = image()
    message.width = -1
    with pytest.raises(MessageError, match="out of range"):
        writer.write(message)
    writer.close()
    with pytest.raises(MessageError, match="closed"):
        writer.write(image())


def test_closed_reader_gives_nothing(participant):
    reader = Reader(participant, topic("mask"), dds_name="rt/mask")
    reader.close()
    assert list(reader.take()) == []
    assert reader.publisher_count == 0
