"""The fields of ROS types as IDL, so that peers that compare types accept ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rosbags.interfaces import Nodetype

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.dds.cyclone import types
from terrain_seg_ros.messages import cdr

_BASE = {
    "bool": bool,
    "byte": types.byte,
    "octet": types.byte,
    "char": types.uint8,
    "int8": types.int8,
    "uint8": types.uint8,
    "int16": types.int16,
    "uint16": types.uint16,
    "int32": types.int32,
    "uint32": types.uint32,
    "int64": types.int64,
    "uint64": types.uint64,
    "float32": types.float32,
    "float64": types.float64,
}
"""By ROS's names; ROS's `char` is an unsigned byte."""


def idl_fields(message_type: str, struct_of: Callable[[str], Any]) -> dict[str, Any]:
    """Return the IDL type of each field.

    Args:
        message_type: such as "sensor_msgs/msg/Image".
        struct_of: gives the struct of a nested type.

    Raises:
        MessageError: the type is unknown, or a field is of a kind that DDS cannot express.
    """
    cdr.message_class(message_type)
    _, fields = cdr.type_store().fielddefs[message_type]
    return {name: _idl_type(description, struct_of) for name, description in fields}


def _idl_type(description: Any, struct_of: Callable[[str], Any]) -> Any:
    kind, detail = description
    if kind == Nodetype.NAME:
        return struct_of(detail)
    if kind == Nodetype.BASE:
        return _base_type(*detail)
    inner, size = _idl_type(detail[0], struct_of), detail[1]
    if kind == Nodetype.ARRAY:
        return types.array[inner, size]
    return types.sequence[inner, size] if size else types.sequence[inner]


def _base_type(name: str, bound: int) -> Any:
    if name == "string":
        return types.bounded_str[bound] if bound else str
    if name not in _BASE:
        raise MessageError(f"a field of type {name!r} cannot cross DDS here; use another type")
    return _BASE[name]
