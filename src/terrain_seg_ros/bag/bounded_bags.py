"""Bound what compressed bags unpack to: rosbags trusts the sizes that a bag declares.

rosbags decompresses a chunk, a message or a file whole, whatever comes out: 46 kB can become
gigabytes. `install` puts bounded functions in the place of its own, for the whole process; they
give the same bytes for every bag within the limits.
"""

from __future__ import annotations

import importlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from rosbags.rosbag2 import Reader, ReaderError

MAX_CHUNK_BYTES = 128 * 2**20
"""Of a chunk or message, unpacked; a picture of 36 million RGB pixels fits."""
MAX_OPEN_BYTES = 2**30
"""Of the chunks of an MCAP file whose times overlap: they are unpacked together."""
MAX_FILE_RATIO = 200
FREE_OF_RATIO_BYTES = 2**30
SPARED_DISK_BYTES = 2**30
"""A file that is compressed as a whole is unpacked to the disk, of which this stays free."""


def install() -> None:
    """Bound the decompression of rosbags in this process; calling again does nothing."""
    storage: Any = importlib.import_module("rosbags.rosbag2.storage_mcap")
    reader: Any = importlib.import_module("rosbags.rosbag2.reader")
    if isinstance(reader.zstd, _BoundedZstd):
        return
    lz4: Any = importlib.import_module("lz4.frame")
    zstd = reader.zstd
    plain = storage.DECOMPRESSORS[""]
    storage.DECOMPRESSORS.update(
        {
            "": lambda data, size: plain(data, _checked(size)),
            "lz4": lambda data, size: _unpack(data, _checked(size), lz4.LZ4FrameDecompressor),
            "zstd": lambda data, size: _unpack(data, _checked(size), zstd.ZstdDecompressor),
        }
    )
    reader.zstd = _BoundedZstd(zstd)


def check_chunks(reader: Reader) -> None:
    """Check the declared sizes of the chunks of an open bag.

    Raises:
        ReaderError: a chunk is too large, or too many of them overlap in time.
    """
    storages = getattr(reader.storage, "storages", None) or [reader.storage]
    for storage in storages:
        chunks = getattr(storage, "chunks", [])
        events: list[tuple[int, int, int]] = []
        for chunk in chunks:
            _checked(chunk.uncompressed_size)
            events.append((chunk.message_start_time, 0, chunk.uncompressed_size))
            events.append((chunk.message_end_time, 1, -chunk.uncompressed_size))
        total = 0
        for _, _, change in sorted(events):
            total += change
            if total > MAX_OPEN_BYTES:
                raise ReaderError(
                    f"chunks that overlap in time unpack to more than {MAX_OPEN_BYTES} bytes; "
                    "sort the bag with `mcap sort`"
                )


class _BoundedZstd:
    """Stand in the place of the zstd module that rosbags' reader of folders uses."""

    def __init__(self, zstd: Any) -> None:
        self._zstd = zstd

    def decompress(self, data: bytes) -> bytes:
        """Return one message."""
        return _unpack(data, MAX_CHUNK_BYTES, self._zstd.ZstdDecompressor)

    @contextmanager
    def open(self, file: IO[bytes], mode: str) -> Iterator[_BoundedStream]:
        """Give a whole file of a bag as a stream."""
        packed_bytes = Path(file.name).stat().st_size
        limit = max(FREE_OF_RATIO_BYTES, MAX_FILE_RATIO * packed_bytes)
        free = shutil.disk_usage(tempfile.gettempdir()).free - SPARED_DISK_BYTES
        with self._zstd.open(file, mode) as stream:
            yield _BoundedStream(stream, min(limit, max(0, free)))


class _BoundedStream:
    """Read a stream up to a limit."""

    def __init__(self, stream: IO[bytes], limit_bytes: int) -> None:
        self._stream = stream
        self._limit_bytes = limit_bytes
        self._count = 0

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes."""
        data = self._stream.read(size)
        self._count += len(data)
        if self._count > self._limit_bytes:
            raise ReaderError(
                f"a compressed file unpacks to more than {self._limit_bytes} bytes (limits: "
                f"{MAX_FILE_RATIO} times its size, and the free space of "
                f"{tempfile.gettempdir()}); decompress it with `zstd -d` first"
            )
        return data


def _checked(size: int) -> int:
    if size > MAX_CHUNK_BYTES:
        raise ReaderError(
            f"a chunk declares {size} bytes, the limit is {MAX_CHUNK_BYTES}; write the bag again "
            "with smaller chunks (`mcap recover` or `ros2 bag convert`)"
        )
    return size


def _unpack(data: bytes, limit_bytes: int, make: Callable[[], Any]) -> bytes:
    """Return what one frame or several behind each other unpack to, at most one byte too much."""
    parts: list[bytes] = []
    left = limit_bytes
    while data:
        decompressor = make()
        part = decompressor.decompress(data, max_length=left + 1)
        parts.append(part)
        left -= len(part)
        if left < 0:
            raise ReaderError(
                f"compressed data unpacks to more than the {limit_bytes} bytes that it may"
            )
        if not decompressor.eof:
            raise ReaderError("compressed data ends too early")
        data = decompressor.unused_data or b""
    return parts[0] if len(parts) == 1 else b"".join(parts)
