"""The one place for CDR: a type store, message classes and their bytes."""

from __future__ import annotations

import functools
import inspect
import struct
from typing import Any

from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from terrain_seg_ros.core.errors import MessageError

MESSAGE_LIMIT_BYTES = 256 * 1024 * 1024
"""Larger messages are refused before they are read; an uncompressed 64 megapixel image fits."""

Payload = bytes | bytearray | memoryview

_ADDED = {
    "vision_msgs/msg/VisionClass": "uint16 class_id\nstring class_name\n",
    "vision_msgs/msg/LabelInfo": (
        "std_msgs/Header header\nvision_msgs/VisionClass[] class_map\nfloat32 threshold\n"
    ),
    "vision_msgs/msg/ObjectHypothesis": "string class_id\nfloat64 score\n",
    "vision_msgs/msg/ObjectHypothesisWithPose": (
        "vision_msgs/ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose\n"
    ),
    "vision_msgs/msg/BoundingBox3D": ("geometry_msgs/Pose center\ngeometry_msgs/Vector3 size\n"),
    "vision_msgs/msg/Detection3D": (
        "std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n"
        "vision_msgs/BoundingBox3D bbox\nstring id\n"
    ),
    "vision_msgs/msg/Detection3DArray": (
        "std_msgs/Header header\nvision_msgs/Detection3D[] detections\n"
    ),
    "grid_map_msgs/msg/GridMapInfo": (
        "float64 resolution\nfloat64 length_x\nfloat64 length_y\ngeometry_msgs/Pose pose\n"
    ),
    "grid_map_msgs/msg/GridMap": (
        "std_msgs/Header header\ngrid_map_msgs/GridMapInfo info\nstring[] layers\n"
        "string[] basic_layers\nstd_msgs/Float32MultiArray[] data\nuint16 outer_start_index\n"
        "uint16 inner_start_index\n"
    ),
    "map_msgs/msg/OccupancyGridUpdate": (
        "std_msgs/Header header\nint32 x\nint32 y\nuint32 width\nuint32 height\nint8[] data\n"
    ),
    "nav2_msgs/msg/CostmapFilterInfo": (
        "std_msgs/Header header\nuint8 type\nstring filter_mask_topic\n"
        "float32 base\nfloat32 multiplier\n"
    ),
}


@functools.lru_cache(maxsize=1)
def type_store() -> Typestore:
    """Return the type store: Jazzy's types and those of ours that it lacks."""
    store = get_typestore(Stores.ROS2_JAZZY)
    if "max_sequence_length" in inspect.signature(Typestore.__init__).parameters:
        store.max_sequence_length = MESSAGE_LIMIT_BYTES
    for name, text in _ADDED.items():
        if name not in store.types:
            store.register(get_types_from_msg(text, name))
    return store


def message_class(name: str) -> Any:
    """Return the class of a type such as "sensor_msgs/msg/Image".

    Raises:
        MessageError: the type is unknown.
    """
    try:
        return type_store().types[name]
    except KeyError:
        raise _unknown_type(name) from None


def serialize(message: Any, name: str) -> memoryview:
    """Return a message as little-endian CDR bytes, with the four bytes of encapsulation.

    Raises:
        MessageError: the type is unknown or a field holds what its type cannot.
    """
    message_class(name)
    try:
        return type_store().serialize_cdr(message, name, little_endian=True)
    except (SerdeError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise MessageError(f"{name} cannot be serialised: {error}; check its fields") from error
    except struct.error as error:
        raise MessageError(f"{name} holds a number out of range: {error}") from error


def deserialize(data: Payload, name: str) -> Any:
    """Return the message in CDR bytes; its arrays are read-only views of them.

    Raises:
        MessageError: the type is unknown, or the bytes are malformed or too many.
    """
    message_class(name)
    if len(data) > MESSAGE_LIMIT_BYTES:
        raise MessageError(
            f"{name} of {len(data)} bytes is larger than the limit of {MESSAGE_LIMIT_BYTES}; "
            "send smaller messages"
        )
    try:
        return type_store().deserialize_cdr(memoryview(data).toreadonly(), name)
    except (SerdeError, ValueError, IndexError, struct.error) as error:
        raise MessageError(
            f"{name} of {len(data)} bytes is malformed: {error}; "
            "check that publisher and type name agree"
        ) from error


@functools.lru_cache(maxsize=64)
def type_hash(name: str) -> str:
    """Return the type hash of REP-2011, "RIHS01_" and 64 hexadecimal digits.

    Raises:
        MessageError: the type is unknown.
    """
    message_class(name)
    return type_store().hash_rihs01(name)


def _unknown_type(name: str) -> MessageError:
    return MessageError(f"message type {name!r} is unknown; write it as pkg/msg/Name")
