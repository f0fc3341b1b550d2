"""The records of MCAP files, after the specification at mcap.dev, read within bounds."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO
from typing import BinaryIO, NamedTuple
from zlib import crc32

from rosbags.rosbag2 import ReaderError

from terrain_seg_ros.bag import bounded_unpack

MAGIC = b"\x89MCAP0\r\n"
FOOTER_BYTES = 9 + 20 + len(MAGIC)
HEADER, FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
CHUNK_INDEX, STATISTICS, DATA_END, SUMMARY_OFFSET = 0x08, 0x0B, 0x0F, 0x0E
MESSAGE_HEAD = struct.Struct("<HIQQ")


class CutOffError(ReaderError):
    """Report that a file ends within a record."""


class Record(NamedTuple):
    """The kind of a record, and where its content lies in the file."""

    kind: int
    offset: int
    size: int


class Schema(NamedTuple):
    """A message type's name and definition."""

    name: str
    encoding: str
    text: str


class Channel(NamedTuple):
    """A topic; `schema` is a number, 0 for none."""

    schema: int
    topic: str
    encoding: str
    metadata: dict[str, str]


class Chunk(NamedTuple):
    """Where a chunk record's content lies, its times, and the channels in it, if known.

    `plain_bytes` is its size once it is decompressed, as it declares it.
    """

    start_ns: int
    end_ns: int
    offset: int
    size: int
    channels: frozenset[int] | None
    plain_bytes: int


class Cursor:
    """Read numbers and texts from bytes, one after the other."""

    def __init__(self, data: bytes) -> None:
        """Start at the first byte."""
        self._data = memoryview(data)
        self._at = 0

    @property
    def is_at_end(self) -> bool:
        """Return whether everything was read."""
        return self._at >= len(self._data)

    def number(self, code: str) -> int:
        """Return a whole number, little endian."""
        (value,) = struct.unpack_from(f"<{code}", self._data, self._at)
        self._at += struct.calcsize(f"<{code}")
        return int(value)

    def block(self, code: str = "I") -> bytes:
        """Return bytes that begin with their count."""
        size = self.number(code)
        if size > len(self._data) - self._at:
            raise CutOffError(f"a field of {size} bytes leaves its record")
        self._at += size
        return bytes(self._data[self._at - size : self._at])

    def text(self) -> str:
        """Return a text."""
        return self.block().decode("utf-8", errors="replace")

    def texts(self) -> dict[str, str]:
        """Return pairs of texts."""
        inner = Cursor(self.block())
        found: dict[str, str] = {}
        while not inner.is_at_end:
            key = inner.text()
            found[key] = inner.text()
        return found


def records(file: BinaryIO, start: int, end: int) -> Iterator[Record]:
    """Yield the records between two places of a file.

    Raises:
        CutOffError: the last one is not complete.
    """
    at = start
    while at < end:
        file.seek(at)
        head = file.read(9)
        if len(head) < 9:
            raise CutOffError(f"a record at {at} is cut off")
        kind, size = struct.unpack("<BQ", head)
        if size > end - at - 9:
            raise CutOffError(f"a record of {size} bytes at {at} is cut off")
        yield Record(kind, at + 9, size)
        at += 9 + size


def content(file: BinaryIO, record: Record) -> bytes:
    """Return a record's content."""
    file.seek(record.offset)
    data = file.read(record.size)
    if len(data) != record.size:
        raise CutOffError(f"a record at {record.offset} is cut off")
    return data


def read_schema(data: bytes) -> tuple[int, Schema]:
    """Return a schema's number and the schema."""
    cursor = Cursor(data)
    return cursor.number("H"), Schema(cursor.text(), cursor.text(), cursor.text())


def read_channel(data: bytes) -> tuple[int, Channel]:
    """Return a channel's number and the channel."""
    cursor = Cursor(data)
    number = cursor.number("H")
    return number, Channel(cursor.number("H"), cursor.text(), cursor.text(), cursor.texts())


def read_chunk_index(data: bytes) -> Chunk:
    """Return where a chunk lies; its channels are those that its message indices tell of.

    Raises:
        ReaderError: it declares more than the limit.
    """
    cursor = Cursor(data)
    start_ns, end_ns = cursor.number("Q"), cursor.number("Q")
    at, size = cursor.number("Q"), cursor.number("Q")
    pairs = cursor.block()
    channels = frozenset(number for number, _ in struct.iter_unpack("<HQ", pairs))
    cursor.number("Q")
    cursor.text()
    cursor.number("Q")
    plain_bytes = checked_size(cursor.number("Q"))
    return Chunk(start_ns, end_ns, at + 9, size - 9, channels or None, plain_bytes)


def read_statistics(data: bytes) -> tuple[int, int, int, int, dict[int, int]]:
    """Return counts of messages and of chunks, first and last time, messages by channel."""
    cursor = Cursor(data)
    messages = cursor.number("Q")
    for code in "HIII":
        cursor.number(code)
    chunks, start_ns, end_ns = cursor.number("I"), cursor.number("Q"), cursor.number("Q")
    return messages, chunks, start_ns, end_ns, dict(struct.iter_unpack("<HQ", cursor.block()))


def open_chunk(data: bytes) -> bytes:
    """Return the records of a chunk, decompressed.

    Raises:
        ReaderError: it is damaged, or declares more than the limit.
    """
    cursor = Cursor(data)
    for _ in range(2):
        cursor.number("Q")
    size = checked_size(cursor.number("Q"))
    checksum, compression = cursor.number("I"), cursor.text()
    plain = _decompressed(cursor.block("Q"), compression, size)
    if len(plain) != size:
        raise ReaderError(f"a chunk holds {len(plain)} bytes, declared are {size}")
    if checksum and crc32(plain) != checksum:
        raise ReaderError("a chunk has a wrong checksum")
    return plain


def checked_size(size: int) -> int:
    """Return what a chunk declares to unpack to.

    Raises:
        ReaderError: it is more than the limit.
    """
    limit = bounded_unpack.MAX_CHUNK_BYTES
    if size > limit:
        raise ReaderError(
            f"a chunk declares {size} bytes, the limit is {limit}; write the bag again with "
            "smaller chunks (`mcap recover` or `ros2 bag convert`)"
        )
    return size


def chunk_records(plain: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield kind and content of the records in an open chunk."""
    file = BytesIO(plain)
    for record in records(file, 0, len(plain)):
        yield record.kind, plain[record.offset : record.offset + record.size]


def _decompressed(packed: bytes, compression: str, size: int) -> bytes:
    if not compression:
        return packed
    if compression == "zstd":
        return bounded_unpack.unpack_zstd(packed, size)
    if compression == "lz4":
        return bounded_unpack.unpack_lz4(packed, size)
    raise ReaderError(f"chunk compression {compression!r} is unknown")
