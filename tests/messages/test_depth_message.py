import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.core.ground.measurement import DepthImage
from terrain_seg_ros.messages.cdr import deserialize, message_class, serialize
from terrain_seg_ros.messages.depth_message import decode_depth, decode_range, encode_depth
from terrain_seg_ros.messages.header_message import make_header

STAMP_NS = 5_000_000_007
IMAGE = "sensor_msgs/msg/Image"


def depth_message(values, encoding, *, big=0, padding=0):
    order = ">" if big else "<"
    rows = np.asarray(values).astype(order + {"32FC1": "f4", "16UC1": "u2"}[encoding])
    height, width = rows.shape
    data = b"".join(row.tobytes() + b"\xff" * padding for row in rows)
    message = message_class(IMAGE)(
        header=make_header(message_class, STAMP_NS, "optical"),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=big,
        step=len(data) // height,
        data=np.frombuffer(data, dtype=np.uint8),
    )
    return deserialize(bytes(serialize(message, IMAGE)), IMAGE)


@pytest.mark.parametrize("big", [0, 1])
@pytest.mark.parametrize("padding", [0, 2, 3])
def test_metres_and_millimetres_are_the_same_depth(big, padding):
    metres = decode_depth(depth_message([[1.5, 0.25], [40.0, 2.0]], "32FC1", big=big))
    millimetres = depth_message([[1500, 250], [40000, 2000]], "16UC1", big=big, padding=padding)
    np.testing.assert_allclose(decode_depth(millimetres).depth_m, metres.depth_m, rtol=1e-6)
    assert metres.stamp_ns == STAMP_NS
    assert metres.depth_m.dtype == np.float32


def test_what_was_not_measured_is_nan():
    found = decode_depth(depth_message([[np.nan, np.inf, -np.inf, 0.0, -1.0, 2.0]], "32FC1"))
    np.testing.assert_array_equal(np.isfinite(found.depth_m), [[False] * 5 + [True]])
    found = decode_depth(depth_message([[0, 1]], "16UC1"))
    np.testing.assert_array_equal(np.isfinite(found.depth_m), [[False, True]])


@given(st.integers(1, 9), st.integers(1, 9))
@settings(max_examples=20)
def test_encoded_depth_reads_back(height, width):
    depth = np.linspace(0.5, 9.0, height * width, dtype=np.float32).reshape(height, width)
    header = make_header(message_class, STAMP_NS, "optical")
    message = encode_depth(message_class, DepthImage(depth, STAMP_NS), header)
    again = decode_depth(deserialize(bytes(serialize(message, IMAGE)), IMAGE))
    np.testing.assert_array_equal(again.depth_m, depth)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"encoding": "rgb8"}, "rgb8"),
        ({"encoding": "64FC1"}, "64FC1"),
        ({"step": 7}, "step 7"),
        ({"height": 9}, "bytes"),
        ({"width": 0}, "0"),
        ({"width": 1_000_000, "height": 1_000_000}, "1000000"),
    ],
)
def test_contradictions_are_named(changes, named):
    message = depth_message([[1.0, 2.0], [3.0, 4.0]], "32FC1")
    for name, value in changes.items():
        setattr(message, name, value)
    with pytest.raises(MessageError, match=named):
        decode_depth(message)


def range_message(value, *, low=0.5, high=40.0, frame="altimeter"):
    return message_class("sensor_msgs/msg/Range")(
        header=make_header(message_class, STAMP_NS, frame),
        radiation_type=1,
        field_of_view=0.1,
        min_range=low,
        max_range=high,
        range=value,
        variance=0.0,
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [(12.5, 12.5), (0.5, 0.5), (0.4, None), (40.1, None), (float("inf"), None), (-1.0, None)],
)
def test_a_range_counts_within_its_limits(value, expected):
    reading = decode_range(range_message(value))
    assert reading == (expected, STAMP_NS, "altimeter")


def test_a_range_that_is_none_or_has_no_frame_is_refused():
    with pytest.raises(MessageError, match="NaN"):
        decode_range(range_message(float("nan")))
    with pytest.raises(MessageError, match="frame_id"):
        decode_range(range_message(1.0, frame=""))
