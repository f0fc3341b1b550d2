"""Write MCAP files as recorders other than ROS's do: any channels, chunks or none, no summary."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

MAGIC = b"\x89MCAP0\r\n"


class Channel(NamedTuple):
    """Hold a channel and its schema; a schema without a name is none."""

    topic: str
    encoding: str = "cdr"
    schema: str = ""
    schema_encoding: str = "ros2msg"
    text: str = ""


def record(kind: int, content: bytes) -> bytes:
    return struct.pack("<BQ", kind, len(content)) + content


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<I", len(data)) + data


def message(channel: int, time_ns: int, data: bytes) -> bytes:
    return record(0x05, struct.pack("<HIQQ", channel, 0, time_ns, time_ns) + data)


def chunk(content: bytes, times: list[int], *, size: int | None = None, form: str = "") -> bytes:
    size = len(content) if size is None else size
    head = struct.pack("<QQQI", min(times), max(times), size, 0)
    return record(0x06, head + text(form) + struct.pack("<Q", len(content)) + content)


def write_mcap(
    path: Path,
    channels: list[Channel],
    messages: list[tuple[int, int, bytes]],
    *,
    per_chunk: int = 0,
    profile: str = "ros2",
    ended: bool = True,
) -> Path:
    """Write a file without an index and return its path.

    Args:
        path: of the file.
        channels: in the order of their numbers, from 0 on.
        messages: number of the channel, time and data.
        per_chunk: messages in a chunk; 0 makes none.
        profile: of the header.
        ended: close the file properly.
    """
    data = MAGIC + record(0x01, text(profile) + text("tests"))
    declared = b""
    for number, item in enumerate(channels):
        schema = number + 1 if item.schema else 0
        if schema:
            words = text(item.schema) + text(item.schema_encoding) + text(item.text)
            declared += record(0x03, struct.pack("<H", schema) + words)
        words = text(item.topic) + text(item.encoding) + struct.pack("<I", 0)
        declared += record(0x04, struct.pack("<HH", number, schema) + words)
    if not per_chunk:
        data += declared + b"".join(message(*item) for item in messages)
    else:
        for start in range(0, len(messages), per_chunk):
            some = messages[start : start + per_chunk]
            content = (b"" if start else declared) + b"".join(message(*item) for item in some)
            data += chunk(content, [item[1] for item in some])
    if ended:
        data += record(0x0F, bytes(4)) + record(0x02, bytes(20)) + MAGIC
    path.write_bytes(data)
    return path
