import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terrain_seg_ros.core.errors import GeometryError, MessageError
from terrain_seg_ros.core.geometry.frames import rotation_from_rpy
from terrain_seg_ros.core.geometry.transform_buffer import transform_from_quaternion
from terrain_seg_ros.core.types import Transform
from terrain_seg_ros.messages import cdr
from terrain_seg_ros.messages.transform_message import (
    StampedTransform,
    decode_transforms,
    encode_transforms,
    quaternion_from_rotation,
)

TF = "tf2_msgs/msg/TFMessage"
ANGLE = st.floats(-math.pi, math.pi)


def _item(parent="odom", child="base_link"):
    rotation = rotation_from_rpy(0.1, -0.4, 2.5)
    return StampedTransform(parent, child, 123, Transform(rotation, np.array([1.0, -2.0, 0.5])))


def _message():
    return encode_transforms(cdr.message_class, [_item()])


def test_round_trip(types, round_trip):
    items = [_item(), _item("base_link", "camera_optical")]
    back = decode_transforms(round_trip(encode_transforms(types, items), TF))
    assert [i[:3] for i in back] == [i[:3] for i in items]
    for first, second in zip(back, items):
        np.testing.assert_allclose(first.transform.rotation, second.transform.rotation, atol=1e-12)
        np.testing.assert_array_equal(first.transform.translation_m, second.transform.translation_m)


@settings(max_examples=200)
@given(roll=ANGLE, pitch=ANGLE, yaw=ANGLE)
def test_quaternion_gives_the_rotation_back(roll, pitch, yaw):
    rotation = rotation_from_rpy(roll, pitch, yaw)
    quaternion = quaternion_from_rotation(rotation)
    assert math.isclose(sum(q * q for q in quaternion), 1.0, rel_tol=1e-12)
    assert quaternion[3] >= 0
    back = transform_from_quaternion(*quaternion, np.zeros(3)).rotation
    np.testing.assert_allclose(back, rotation, atol=1e-12)


@pytest.mark.parametrize("diagonal", [(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)])
def test_quaternion_of_half_turns(diagonal):
    rotation = np.diag(np.array(diagonal, dtype=np.float64))
    quaternion = quaternion_from_rotation(rotation)
    back = transform_from_quaternion(*quaternion, np.zeros(3)).rotation
    np.testing.assert_allclose(back, rotation, atol=1e-12)


def test_leading_slashes_are_dropped():
    message = encode_transforms(cdr.message_class, [_item("/odom", "/base_link")])
    assert decode_transforms(message)[0][:2] == ("odom", "base_link")


@pytest.mark.parametrize(("parent", "child"), [("", "a"), ("a", ""), ("a", "/a"), ("/", "a")])
def test_frames_that_are_empty_or_equal_are_refused(parent, child):
    with pytest.raises(MessageError, match="expected two different frames"):
        decode_transforms(encode_transforms(cdr.message_class, [_item(parent, child)]))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("part", ["rotation", "translation"])
def test_values_that_are_not_finite_are_refused(part, value):
    message = _message()
    getattr(message.transforms[0].transform, part).x = value
    with pytest.raises(GeometryError):
        decode_transforms(message)


def test_zero_quaternion_is_refused():
    message = _message()
    q = message.transforms[0].transform.rotation
    q.x = q.y = q.z = q.w = 0.0
    with pytest.raises(GeometryError, match="quaternion"):
        decode_transforms(message)
