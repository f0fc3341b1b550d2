"""Transforms: tf2_msgs/TFMessage to core values and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from terrain_seg_ros.core.errors import GeometryError, MessageError, TerrainSegError
from terrain_seg_ros.core.geometry.transform_buffer import transform_from_quaternion
from terrain_seg_ros.core.types import F64, Transform
from terrain_seg_ros.messages.header_message import make_header, stamp_ns
from terrain_seg_ros.messages.message_types import Types


class StampedTransform(NamedTuple):
    """`parent_T_child` at one moment: p_parent = transform applied to p_child."""

    parent: str
    child: str
    stamp_ns: int
    transform: Transform


def decode_transforms(message: Any) -> list[StampedTransform]:
    """Return the transforms of a tf2_msgs/TFMessage; a frame's leading slash is dropped.

    Raises:
        MessageError: a frame is empty, or is its own parent.
        GeometryError: a quaternion or translation cannot be used.
    """
    return [decode_transform(item) for item in message.transforms]


def decode_each(message: Any) -> Iterator[StampedTransform | TerrainSegError]:
    """Yield the transforms of a tf2_msgs/TFMessage, and in place of unusable ones the error."""
    return map(_decode_or_error, message.transforms)


def decode_transform(item: Any) -> StampedTransform:
    """Return a geometry_msgs/TransformStamped; a frame's leading slash is dropped, as in tf2.

    Raises:
        MessageError: a frame is empty, or is its own parent, or the stamp is malformed.
        GeometryError: the quaternion is no rotation, or the translation not finite or too far.
    """
    parent, child = item.header.frame_id.lstrip("/"), item.child_frame_id.lstrip("/")
    if not parent or not child or parent == child:
        raise MessageError(
            f"transform goes from {parent!r} to {child!r}, expected two different frames; "
            "check the TF publisher"
        )
    q, t = item.transform.rotation, item.transform.translation
    try:
        stamp = stamp_ns(item.header)
        transform = transform_from_quaternion(
            float(q.x), float(q.y), float(q.z), float(q.w), (float(t.x), float(t.y), float(t.z))
        )
    except (GeometryError, MessageError) as error:
        raise type(error)(f"transform of {child!r} in {parent!r} is refused: {error}") from error
    return StampedTransform(parent, child, stamp, transform)


def encode_transforms(types: Types, transforms: Iterable[StampedTransform]) -> Any:
    """Return transforms as a tf2_msgs/TFMessage."""
    return types("tf2_msgs/msg/TFMessage")(transforms=[_encode(types, t) for t in transforms])


def quaternion_from_rotation(rotation: F64) -> tuple[float, float, float, float]:
    """Return the unit quaternion (x, y, z, w) of a rotation matrix, w not negative.

    Source: S. W. Shepperd, "Quaternion from rotation matrix", 1978: divide by the largest of
    the four components, so that no precision is lost.
    """
    m = rotation
    trace = float(np.trace(m))
    squares = np.array([m[0, 0], m[1, 1], m[2, 2], trace]) * 2.0 + np.array([1, 1, 1, 1]) - trace
    squares[3] = 1.0 + trace
    largest = int(np.argmax(squares))
    products = np.array(
        [
            [squares[0], m[0, 1] + m[1, 0], m[0, 2] + m[2, 0], m[2, 1] - m[1, 2]],
            [m[0, 1] + m[1, 0], squares[1], m[1, 2] + m[2, 1], m[0, 2] - m[2, 0]],
            [m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], squares[2], m[1, 0] - m[0, 1]],
            [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], squares[3]],
        ]
    )
    quaternion = products[largest] / np.linalg.norm(products[largest])
    x, y, z, w = (quaternion if quaternion[3] >= 0 else -quaternion).tolist()
    return x, y, z, w


def _decode_or_error(item: Any) -> StampedTransform | TerrainSegError:
    try:
        return decode_transform(item)
    except TerrainSegError as error:
        return error


def _encode(types: Types, item: StampedTransform) -> Any:
    x, y, z, w = quaternion_from_rotation(item.transform.rotation)
    tx, ty, tz = item.transform.translation_m.tolist()
    return types("geometry_msgs/msg/TransformStamped")(
        header=make_header(types, item.stamp_ns, item.parent),
        child_frame_id=item.child,
        transform=types("geometry_msgs/msg/Transform")(
            translation=types("geometry_msgs/msg/Vector3")(x=tx, y=ty, z=tz),
            rotation=types("geometry_msgs/msg/Quaternion")(x=x, y=y, z=z, w=w),
        ),
    )
