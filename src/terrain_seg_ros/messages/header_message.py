"""Stamps and headers."""

from __future__ import annotations

from typing import Any

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.messages.message_types import Types

_NS = 1_000_000_000
LATEST_NS = 2**31 * _NS - 1
"""The last moment that a ROS time can tell, in 2038."""


def time_ns(stamp: Any) -> int:
    """Return a builtin_interfaces/Time in nanoseconds.

    Raises:
        MessageError: it is negative, or the nanoseconds are one second or more.
    """
    sec, nanosec = int(stamp.sec), int(stamp.nanosec)
    if not 0 <= nanosec < _NS:
        raise MessageError(f"stamp has {nanosec} ns, expected 0 to 999999999; check the publisher")
    if sec < 0:
        raise MessageError(f"stamp has {sec} s, expected 0 or more; check the publisher's clock")
    return sec * _NS + nanosec


def stamp_ns(header: Any) -> int:
    """Return the stamp of a header in nanoseconds.

    Raises:
        MessageError: the stamp is malformed.
    """
    return time_ns(header.stamp)


def make_time(types: Types, time_ns: int) -> Any:
    """Return nanoseconds as a builtin_interfaces/Time.

    Raises:
        MessageError: the seconds do not fit 32 bits.
    """
    sec, nanosec = divmod(int(time_ns), _NS)
    if not -(2**31) <= sec < 2**31:
        raise MessageError(f"stamp {time_ns} ns does not fit a ROS time; expected 32-bit seconds")
    return types("builtin_interfaces/msg/Time")(sec=sec, nanosec=nanosec)


def make_header(types: Types, stamp_ns: int, frame_id: str) -> Any:
    """Return a std_msgs/Header.

    Raises:
        MessageError: the seconds do not fit 32 bits.
    """
    return types("std_msgs/msg/Header")(stamp=make_time(types, stamp_ns), frame_id=frame_id)
