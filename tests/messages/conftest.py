"""Message classes of both kinds: rosbags' own, and strict stand-ins for rclpy's."""

import array
import functools

import numpy as np
import pytest
from rosbags.interfaces import Nodetype

from terrain_seg_ros.messages import cdr
from terrain_seg_ros.messages.message_types import RosTypes

_CODES = {
    "uint8": "B",
    "int8": "b",
    "uint16": "H",
    "int16": "h",
    "uint32": "I",
    "int32": "i",
    "float32": "f",
    "float64": "d",
}


def _check(description, value):
    """Assert what rclpy asserts of a field under ROS_PYTHON_CHECK_FIELDS=1."""
    kind, detail = description
    if kind == Nodetype.NAME:
        assert isinstance(value, ros_class(detail)), (detail, type(value))
    elif kind == Nodetype.SEQUENCE and detail[0][0] == Nodetype.BASE and detail[0][1][0] in _CODES:
        assert isinstance(value, array.array)
        assert value.typecode == _CODES[detail[0][1][0]]
    elif kind == Nodetype.SEQUENCE:
        assert isinstance(value, list)
        for item in value:
            _check(detail[0], item)
    elif kind == Nodetype.ARRAY:
        assert isinstance(value, np.ndarray)
        assert value.size == detail[1]
    else:
        _check_base(detail[0], value)


def _check_base(name, value):
    if name in {"byte", "octet"}:
        assert isinstance(value, bytes)
        assert len(value) == 1
    elif name == "string":
        assert isinstance(value, str)
    elif name == "bool":
        assert isinstance(value, bool)
    elif name.startswith("float"):
        assert isinstance(value, float)
    else:
        assert isinstance(value, int)


@functools.cache
def ros_class(name):
    """Return a class with slots that behaves like the one rosidl generates for Python."""
    fields = dict(cdr.type_store().fielddefs[name][1])

    def __init__(self, **values):
        assert set(values) == set(fields), (name, set(fields) ^ set(values))
        for key, value in values.items():
            _check(fields[key], value)
            setattr(self, key, value)

    namespace = {"__slots__": tuple(fields), "__init__": __init__}
    return type(name.rsplit("/", 1)[1], (), namespace)


@pytest.fixture(params=["rosbags", "ros"])
def types(request):
    return cdr.message_class if request.param == "rosbags" else RosTypes(ros_class, lambda _: True)


@pytest.fixture
def round_trip():
    """Pass a message through CDR bytes where it is of rosbags' classes, else hand it on."""

    def pass_through(message, name):
        if type(message) is not cdr.message_class(name):
            return message
        return cdr.deserialize(bytes(cdr.serialize(message, name)), name)

    return pass_through
