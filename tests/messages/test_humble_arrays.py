"""Humble's message classes take an `array.array` quickly, and anything else element by element.

There `Image.data = bytes` costs 400 ms for 1080p. The classes here check as Humble's generated
setters do, and refuse what would be slow.
"""

from __future__ import annotations

import array
from functools import partial

import numpy as np
import pytest

from terrain_seg_ros.core.ground.measurement import DepthImage
from terrain_seg_ros.core.types import GridSnapshot
from terrain_seg_ros.messages import cdr
from terrain_seg_ros.messages.cloud_message import Cloud, encode_hazard_points, encode_points
from terrain_seg_ros.messages.depth_message import encode_depth
from terrain_seg_ros.messages.diagnostics_message import Level, Status, encode_diagnostics
from terrain_seg_ros.messages.grid_map_message import encode_grid_map
from terrain_seg_ros.messages.grid_message import (
    GridPart,
    encode_cost_grid,
    encode_grid_update,
    encode_reason_grid,
)
from terrain_seg_ros.messages.header_message import make_header
from terrain_seg_ros.messages.image_message import encode_compressed, encode_image
from terrain_seg_ros.messages.message_types import RosTypes

TYPECODES = {
    ("sensor_msgs/msg/Image", "data"): "B",
    ("sensor_msgs/msg/CompressedImage", "data"): "B",
    ("sensor_msgs/msg/PointCloud2", "data"): "B",
    ("nav_msgs/msg/OccupancyGrid", "data"): "b",
    ("map_msgs/msg/OccupancyGridUpdate", "data"): "b",
    ("std_msgs/msg/Float32MultiArray", "data"): "f",
}
"""Element types of the sequences, as in the messages' definitions."""
SHAPE = (4, 6)


class Strict:
    """Be a message whose sequences must be arrays of the right element type."""

    def __init__(self, name, /, **fields):
        known = set(cdr.message_class(name).__dataclass_fields__)
        for field, value in fields.items():
            assert field in known, (name, field)
            code = TYPECODES.get((name, field))
            if code is not None:
                assert isinstance(value, array.array), (name, field, type(value))
                assert value.typecode == code, (name, field, value.typecode)
            if isinstance(value, (bool, int, float, str)):
                assert not isinstance(value, np.generic), (name, field, type(value))
            self.__dict__[field] = value


def strict_types():
    return RosTypes(lambda name: partial(Strict, name), lambda _: True)


def snapshot():
    cost = np.zeros(SHAPE, dtype=np.int8)
    hazard = np.zeros(SHAPE, dtype=np.float32)
    return GridSnapshot(cost, hazard, cost.astype(np.uint8), 0.5, 0.0, 0.0, "odom", 7)


def header(types):
    return make_header(types, 7, "optical")


def points():
    return np.zeros((*SHAPE, 3), dtype=np.float32)


BYTES = np.zeros(SHAPE, dtype=np.uint8)


@pytest.mark.parametrize(
    "encode",
    [
        lambda t: encode_image(t, BYTES, "mono8", header(t)),
        lambda t: encode_image(t, np.zeros((*SHAPE, 3), np.uint8), "rgb8", header(t)),
        lambda t: encode_compressed(t, BYTES, "png", header(t)),
        lambda t: encode_depth(t, DepthImage(np.ones(SHAPE, np.float32), 7), header(t)),
        lambda t: encode_points(t, points(), BYTES, confidence=BYTES, header=header(t)),
        lambda t: encode_cost_grid(t, snapshot()),
        lambda t: encode_reason_grid(t, snapshot()),
        lambda t: encode_grid_update(t, snapshot(), GridPart(1, 2, 3, 1)),
        lambda t: encode_grid_map(t, snapshot(), {"hazard": snapshot().hazard}, basic=["hazard"]),
        lambda t: encode_hazard_points(
            t,
            Cloud(points().reshape(-1, 3), BYTES.ravel(), BYTES.ravel()),
            header(t),
            min_height_m=0.0,
            max_height_m=0.0,
        ),
    ],
)
def test_sequences_are_arrays_of_their_element_type(encode):
    message = encode(strict_types())
    assert len(message.data)


ROSIDL_TYPECODES = {
    "int8": "b",
    "uint8": "B",
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "float32": "f",
    "float64": "d",
}
"""What rosidl's generated setters ask of an array, by the element type of the message."""


@pytest.mark.parametrize(("element", "code"), ROSIDL_TYPECODES.items())
def test_every_element_type_has_rosidl_s_type_code_and_keeps_its_values(element, code):
    values = np.array([0, 1, 100], dtype=element)
    buffer = RosTypes.buffer(values)
    assert buffer.typecode == code
    assert np.array_equal(np.frombuffer(buffer, dtype=element), values)


def test_rows_that_are_not_contiguous_are_sent_in_order():
    padded = np.arange(24, dtype=np.uint8).reshape(4, 6)[:, :4]
    message = encode_image(strict_types(), padded, "mono8", header(strict_types()))
    assert message.data.tobytes() == padded.tobytes()


def test_a_byte_is_one_byte():
    statuses = [Status("name", Level.WARN, "text", {"key": "value"})]
    message = encode_diagnostics(strict_types(), statuses, 7)
    assert message.status[0].level == b"\x01"


def test_the_stand_in_refuses_what_humble_takes_slowly():
    with pytest.raises(AssertionError):
        Strict("sensor_msgs/msg/Image", data=b"123")
    with pytest.raises(AssertionError):
        Strict("nav_msgs/msg/OccupancyGrid", data=array.array("B", [1]))
