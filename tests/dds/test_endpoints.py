"""Whole messages between two processes; what is wrong on the wire is counted."""

from __future__ import annotations

import numpy as np
import pytest
from buses import end, image, python, wait_until

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.core.types import GridSnapshot
from terrain_seg_ros.dds.endpoints import Reader, Writer
from terrain_seg_ros.messages import cdr
from terrain_seg_ros.messages.grid_message import encode_cost_grid
from terrain_seg_ros.messages.header_message import make_header
from terrain_seg_ros.messages.interfaces import topic

ECHO = """
import sys
from buses import wait_until
from terrain_seg_ros.dds.endpoints import Reader, Writer
from terrain_seg_ros.dds.discovery import Discovery
from terrain_seg_ros.dds.participant import Participant
from terrain_seg_ros.messages.interfaces import topic

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


def test_malformed_bytes_are_counted_and_the_next_message_arrives(participant):
    spec = topic("mask")
    reader = Reader(participant, spec, dds_name="rt/mask")
    writer = Writer(participant, spec, dds_name="rt/mask")
    wait_until(lambda: writer.subscriber_count, "the reader")
    good = bytes(cdr.serialize(image(), spec.type))
    bad = [b"\x00\x01\x00\x00" * 2, good[:40], good[:20] + b"\xff" * 40, b"\x00\x09\x00\x00" + good]
    for count, payload in enumerate(bad, 1):
        writer.write_payload(payload)
        wait_until(lambda n=count: not list(reader.take()) and reader.malformed == n, "the count")
    assert "malformed" in reader.last_error
    writer.write_payload(good)
    assert wait_until(lambda: list(reader.take()), "the good one")[0].width == 64


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
