"""Diagnostics: diagnostic_msgs/DiagnosticArray (REP-107)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.messages.header_message import make_header
from terrain_seg_ros.messages.message_types import Types, byte_of


class Level(IntEnum):
    """How well a part is, in the codes of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


@dataclass(frozen=True)
class Status:
    """The state of one part: a sentence for people, values for machines."""

    name: str
    level: Level
    message: str
    values: Mapping[str, str] = field(default_factory=dict)
    hardware_id: str = ""


def encode_diagnostics(types: Types, statuses: Iterable[Status], stamp_ns: int) -> Any:
    """Return states as a diagnostic_msgs/DiagnosticArray; its frame is empty."""
    return types("diagnostic_msgs/msg/DiagnosticArray")(
        header=make_header(types, stamp_ns, ""),
        status=[_encode(types, status) for status in statuses],
    )


def decode_diagnostics(message: Any) -> list[Status]:
    """Return the states of a diagnostic_msgs/DiagnosticArray.

    Raises:
        MessageError: a level is none of the four.
    """
    return [_decode(item) for item in message.status]


def _encode(types: Types, status: Status) -> Any:
    pair = types("diagnostic_msgs/msg/KeyValue")
    return types("diagnostic_msgs/msg/DiagnosticStatus")(
        level=byte_of(types, int(status.level)),
        name=status.name,
        message=status.message,
        hardware_id=status.hardware_id,
        values=[pair(key=key, value=value) for key, value in status.values.items()],
    )


def _decode(item: Any) -> Status:
    level = item.level[0] if isinstance(item.level, bytes) else int(item.level)
    if level not in set(Level):
        raise MessageError(f"diagnostic {item.name!r} has level {level}, expected 0 to 3")
    return Status(
        name=str(item.name),
        level=Level(level),
        message=str(item.message),
        values={str(pair.key): str(pair.value) for pair in item.values},
        hardware_id=str(item.hardware_id),
    )
