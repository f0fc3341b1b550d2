import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.messages import cdr
from terrain_seg_ros.messages.header_message import make_header
from terrain_seg_ros.messages.image_message import encode_image
from terrain_seg_ros.messages.topics import topics

IMAGE = "sensor_msgs/msg/Image"


def _image_bytes():
    header = make_header(cdr.message_class, 5, "cam")
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    return bytes(cdr.serialize(encode_image(cdr.message_class, pixels, "mono8", header), IMAGE))


def test_layout_is_that_of_the_standard():
    header = make_header(cdr.message_class, 2_000_000_003, "ab")
    expected = b"\x00\x01\x00\x00" + struct.pack("<iII", 2, 3, 3) + b"ab\x00"
    assert bytes(cdr.serialize(header, "std_msgs/msg/Header")) == expected


def test_big_endian_bytes_are_read():
    data = b"\x00\x00\x00\x00" + struct.pack(">iII", 2, 3, 3) + b"ab\x00"
    header = cdr.deserialize(data, "std_msgs/msg/Header")
    assert (header.stamp.sec, header.stamp.nanosec, header.frame_id) == (2, 3, "ab")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_arrays_are_read_only_views(kind):
    data = _image_bytes()
    message = cdr.deserialize(kind(data), IMAGE)
    assert message.data.tolist() == list(range(12))
    assert not message.data.flags.writeable
    assert not message.data.flags.owndata


def test_every_topic_has_its_type():
    for spec in topics():
        assert cdr.message_class(spec.type).__msgtype__ == spec.type
        assert cdr.type_hash(spec.type).startswith("RIHS01_")


def test_type_hashes_are_those_of_ros():
    # From the code that rosidl generates for ROS 2 Jazzy.
    assert cdr.type_hash("vision_msgs/msg/LabelInfo") == (
        "RIHS01_3d37df4015cdf660cc851c51897f2acd957e1ca6205ba0a99aebffb9406b0783"
    )
    assert cdr.type_hash("vision_msgs/msg/Detection3DArray") == (
        "RIHS01_793f5eab9595ac1c0da07873cc859db42eae51f0ee76056db8562515d830e018"
    )
    assert cdr.type_hash("grid_map_msgs/msg/GridMap") == (
        "RIHS01_343b0e72887541beda6b035cc053f2d6fffaad9d6dcb2773c15a808dfca31fde"
    )
    assert cdr.type_hash("builtin_interfaces/msg/Time").startswith("RIHS01_b106235e25a4c5ed")


@pytest.mark.parametrize("function", [cdr.message_class, cdr.type_hash])
def test_unknown_type_is_named(function):
    with pytest.raises(MessageError, match="'no_msgs/msg/No' is unknown"):
        function("no_msgs/msg/No")


def test_unknown_type_cannot_be_read_or_written():
    with pytest.raises(MessageError, match="unknown"):
        cdr.deserialize(b"\x00\x01\x00\x00", "no_msgs/msg/No")
    with pytest.raises(MessageError, match="unknown"):
        cdr.serialize(None, "no_msgs/msg/No")


def test_every_truncation_is_refused():
    data = _image_bytes()
    for length in range(len(data)):
        with pytest.raises(MessageError, match="malformed"):
            cdr.deserialize(data[:length], IMAGE)


@settings(max_examples=150)
@given(position=st.integers(4, 60), value=st.integers(0, 255))
def test_a_changed_byte_is_read_or_refused(position, value):
    data = bytearray(_image_bytes())
    data[min(position, len(data) - 1)] = value
    try:
        cdr.deserialize(data, IMAGE)
    except MessageError as error:
        assert "malformed" in str(error)


@settings(max_examples=150)
@given(data=st.binary(max_size=200), spec=st.sampled_from(topics()))
def test_noise_is_read_or_refused(data, spec):
    try:
        cdr.deserialize(b"\x00\x01\x00\x00" + data, spec.type)
    except MessageError as error:
        assert spec.type in str(error)


def test_too_many_bytes_are_refused(monkeypatch):
    monkeypatch.setattr(cdr, "MESSAGE_LIMIT_BYTES", 20)
    with pytest.raises(MessageError, match="larger than the limit of 20"):
        cdr.deserialize(_image_bytes(), IMAGE)


@pytest.mark.parametrize(("field", "value"), [("height", -1), ("encoding", 7), ("data", None)])
def test_bad_field_is_refused(field, value):
    message = cdr.deserialize(_image_bytes(), IMAGE)
    setattr(message, field, value)
    with pytest.raises(MessageError, match="sensor_msgs/msg/Image"):
        cdr.serialize(message, IMAGE)
