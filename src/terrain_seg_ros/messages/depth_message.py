"""Depth: sensor_msgs/Image of 32FC1 or 16UC1, and sensor_msgs/Range."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.core.ground.measurement import DepthImage
from terrain_seg_ros.core.types import FARTHEST_M
from terrain_seg_ros.messages.header_message import stamp_ns
from terrain_seg_ros.messages.image_message import flat_bytes
from terrain_seg_ros.messages.message_types import Types, sequence_of
from terrain_seg_ros.messages.picture_size import check_size

DEPTH_ENCODINGS: dict[str, np.dtype[Any]] = {
    "32FC1": np.dtype("<f4"),
    "16UC1": np.dtype("<u2"),
}
MILLIMETRE_M = np.float32(1e-3)


class RangeReading(NamedTuple):
    """A distance along the x axis of the sensor's frame; None where nothing is in range."""

    range_m: float | None
    stamp_ns: int
    frame_id: str


def decode_depth(message: Any) -> DepthImage:
    """Return the depth of a sensor_msgs/Image: 32FC1 in metres, 16UC1 in millimetres (REP-118).

    What is not positive, not finite or beyond any ground was not measured: NaN, as 0 in 16UC1.

    Raises:
        MessageError: the encoding is another, or size, step and data contradict each other.
    """
    kind = DEPTH_ENCODINGS.get(message.encoding)
    if kind is None:
        raise MessageError(
            f"depth encoding is {message.encoding!r}, expected one of {', '.join(DEPTH_ENCODINGS)}"
        )
    width_px, height_px, step = int(message.width), int(message.height), int(message.step)
    check_size(width_px, height_px)
    row_bytes = width_px * kind.itemsize
    data = flat_bytes(message.data)
    if step < row_bytes or data.size < step * (height_px - 1) + row_bytes:
        raise MessageError(
            f"depth image of {width_px}x{height_px} {message.encoding} has step {step} and "
            f"{data.size} bytes, expected at least {row_bytes} and {row_bytes * height_px}; check "
            "the publisher"
        )
    stored = np.ndarray(
        (height_px, width_px),
        dtype=kind.newbyteorder(">") if message.is_bigendian else kind,
        buffer=data,
        strides=(step, kind.itemsize),
    )
    depth_m = stored.astype(np.float32)
    if kind.kind == "u":
        depth_m *= MILLIMETRE_M
    with np.errstate(invalid="ignore"):
        depth_m[~((depth_m > 0.0) & (depth_m <= FARTHEST_M))] = np.nan
    return DepthImage(depth_m, stamp_ns(message.header))


def encode_depth(types: Types, depth: DepthImage, header: Any) -> Any:
    """Return a depth image as a sensor_msgs/Image of 32FC1."""
    height_px, width_px = depth.depth_m.shape
    pixels = np.ascontiguousarray(depth.depth_m, dtype="<f4").view(np.uint8)
    return types("sensor_msgs/msg/Image")(
        header=header,
        height=height_px,
        width=width_px,
        encoding="32FC1",
        is_bigendian=0,
        step=4 * width_px,
        data=sequence_of(types, pixels),
    )


def decode_range(message: Any) -> RangeReading:
    """Return the distance of a sensor_msgs/Range (REP-117).

    Raises:
        MessageError: it is NaN, or the frame is empty.
    """
    value, frame_id = float(message.range), str(message.header.frame_id)
    if math.isnan(value):
        raise MessageError("range is NaN, which is not a reading (REP-117); check the sensor")
    if not frame_id:
        raise MessageError("range has an empty frame_id; name the sensor's frame")
    within = message.min_range <= value <= message.max_range and 0.0 <= value <= FARTHEST_M
    return RangeReading(value if within else None, stamp_ns(message.header), frame_id)
