"""Conversion of the simulator's frames to messages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from terrain_seg_ros.core.ground.measurement import DepthImage
from terrain_seg_ros.core.types import F32, U8, Transform
from terrain_seg_ros.messages.camera_info_message import encode_camera_info
from terrain_seg_ros.messages.cdr import message_class
from terrain_seg_ros.messages.depth_message import encode_depth
from terrain_seg_ros.messages.grid_message import encode_grid_values
from terrain_seg_ros.messages.header_message import make_header
from terrain_seg_ros.messages.image_message import encode_compressed, encode_image
from terrain_seg_ros.messages.odometry_message import encode_clock, encode_odometry
from terrain_seg_ros.messages.transform_message import StampedTransform, encode_transforms
from terrain_seg_ros.sim.simulator import CAMERA_FRAME, SimFrame, Simulator
from terrain_seg_ros.worlds.coded_image import coded_image

DEPTH_STEPS_PER_M = np.float32(1024.0)
"""Depth is rounded to about a millimetre, finer than any sensor, so that it compresses."""

Message = tuple[str, Any]
"""The name of a topic and a message of its type."""


def first_messages(simulator: Simulator) -> Iterator[Message]:
    """Yield the messages that are published once, before the first frame."""
    stamp_ns = simulator.path[0].stamp_ns
    mounting = (simulator.frames[1], CAMERA_FRAME, stamp_ns, simulator.base_T_camera)
    yield "/tf_static", _transforms(*mounting)
    yield "truth/hazard_map", encode_grid_values(message_class, simulator.hazard_map())


def frame_messages(
    simulator: Simulator, frame: SimFrame, *, jpeg: bool = False
) -> Iterator[Message]:
    """Yield the messages of a frame, ordered so that a subscriber can use each immediately."""
    header = make_header(message_class, frame.stamp_ns, CAMERA_FRAME)
    odom, base = simulator.frames
    yield "/clock", encode_clock(message_class, frame.stamp_ns)
    yield "/tf", _transforms(odom, base, frame.stamp_ns, frame.odom_T_base)
    yield (
        "odom",
        encode_odometry(
            message_class, frame.stamp_ns, (odom, base), frame.odom_T_base, frame.velocity_base
        ),
    )
    yield "camera_info", encode_camera_info(message_class, simulator.camera, header)
    if frame.truth is not None:
        yield "depth", _depth(frame.truth.depth_m, frame.stamp_ns, header)
        yield "truth/mask", encode_image(message_class, frame.truth.mask, "mono8", header)
    if frame.image is not None:
        yield _image(frame.image, simulator.settings.encoding, header, jpeg=jpeg)
    if frame.coded is not None and frame.coded_mask is not None:
        camera_info = encode_camera_info(message_class, simulator.coded_camera, header)
        coded = encode_image(message_class, coded_image(frame.coded_mask), "mono8", header)
        yield "truth/camera_info", camera_info
        yield "truth/depth", _depth(frame.coded.depth_m, frame.stamp_ns, header)
        yield "truth/coded_image", coded


def _image(pixels: U8, encoding: str, header: Any, *, jpeg: bool) -> Message:
    if jpeg:
        return "image/compressed", encode_compressed(message_class, pixels, "jpeg", header)
    return "image", encode_image(message_class, pixels, encoding, header)


def _transforms(parent: str, child: str, stamp_ns: int, transform: Transform) -> Any:
    return encode_transforms(message_class, [StampedTransform(parent, child, stamp_ns, transform)])


def _depth(depth_m: F32, stamp_ns: int, header: Any) -> Any:
    rounded: F32 = np.rint(depth_m * DEPTH_STEPS_PER_M) / DEPTH_STEPS_PER_M
    return encode_depth(message_class, DepthImage(rounded, stamp_ns), header)
