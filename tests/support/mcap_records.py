"""Read the records of an MCAP file without rosbags, after the specification at mcap.dev."""

from __future__ import annotations

import struct
from typing import NamedTuple

MAGIC = b"\x89MCAP0\r\n"
FOOTER_BYTES = 9 + 20 + len(MAGIC)


class Summary(NamedTuple):
    """Hold what a reader such as Foxglove learns before the first message."""

    profile: str
    schemas: dict[int, tuple[str, str, str]]
    channels: list[tuple[str, str, str, dict[str, str]]]
    message_count: int
    chunk_count: int


class _Cursor:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def number(self, code: str) -> int:
        (value,) = struct.unpack_from(f"<{code}", self.data, self.at)
        self.at += struct.calcsize(f"<{code}")
        return value

    def block(self, code: str = "I") -> bytes:
        size = self.number(code)
        self.at += size
        return self.data[self.at - size : self.at]

    def text(self) -> str:
        return self.block().decode()

    def texts(self) -> dict[str, str]:
        inner = _Cursor(self.block())
        found = {}
        while inner.at < len(inner.data):
            key = inner.text()
            found[key] = inner.text()
        return found


def read_summary(path) -> Summary:
    """Return the summary section; channels are topic, encoding, name of the schema, metadata."""
    data = path.read_bytes()
    assert data.startswith(MAGIC)
    assert data.endswith(MAGIC)
    header = _Cursor(data[len(MAGIC) :])
    assert header.number("B") == 0x01
    profile = _Cursor(header.block("Q")).text()
    footer = _Cursor(data[-FOOTER_BYTES:])
    assert footer.number("B") == 0x02
    start = _Cursor(footer.block("Q")).number("Q")
    cursor = _Cursor(data[start:-FOOTER_BYTES])
    schemas, channels, counts, chunks = {}, [], [], 0
    while cursor.at < len(cursor.data):
        kind, record = cursor.number("B"), _Cursor(cursor.block("Q"))
        if kind == 0x03:
            number = record.number("H")
            schemas[number] = (record.text(), record.text(), record.text())
        elif kind == 0x04:
            _, schema = record.number("H"), schemas[record.number("H")]
            channels.append((record.text(), record.text(), schema[0], record.texts()))
        elif kind == 0x08:
            chunks += 1
        elif kind == 0x0B:
            counts.append(record.number("Q"))
    (count,) = counts
    return Summary(profile, schemas, channels, count, chunks)
