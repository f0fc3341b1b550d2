"""Decompress what bags hold within bounds: a few kilobytes can claim gigabytes."""

from __future__ import annotations

import importlib
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lz4.frame import LZ4FrameDecompressor
from rosbags.rosbag2 import ReaderError

BLOCK_BYTES = 2**20
MAX_CHUNK_BYTES = 128 * 2**20
"""Of a chunk or message, unpacked; a picture of 36 million RGB pixels fits."""
MAX_FILE_RATIO = 200
FREE_OF_RATIO_BYTES = 2**30
SPARED_DISK_BYTES = 2**30
"""A file that is compressed as a whole is unpacked to the disk, of which this stays free."""


def unpack_zstd(data: bytes, limit_bytes: int) -> bytes:
    """Return what zstd frames hold.

    Raises:
        ReaderError: they are damaged, or hold more than the limit.
    """
    library = _library()
    try:
        return _unpack(data, limit_bytes, library.ZstdDecompressor)
    except library.ZstdError as error:
        raise ReaderError(f"zstd data is damaged: {error}") from error


def unpack_lz4(data: bytes, limit_bytes: int) -> bytes:
    """Return what lz4 frames hold.

    Raises:
        ReaderError: they are damaged, or hold more than the limit.
    """
    try:
        return _unpack(data, limit_bytes, LZ4FrameDecompressor)
    except RuntimeError as error:
        raise ReaderError(f"lz4 data is damaged: {error}") from error


def unpack_zstd_file(source: Path, target: Path) -> None:
    """Write what a compressed file holds into a new one.

    Raises:
        ReaderError: it is damaged, cut off, or holds more than the limits.
    """
    library = _library()
    free = shutil.disk_usage(target.parent).free - SPARED_DISK_BYTES
    limit = max(FREE_OF_RATIO_BYTES, MAX_FILE_RATIO * source.stat().st_size)
    limit = min(limit, max(0, free))
    written = 0
    try:
        with library.open(source, "rb") as packed, target.open("xb") as plain:
            while block := packed.read(BLOCK_BYTES):
                written += len(block)
                if written > limit:
                    raise ReaderError(
                        f"{source.name} unpacks to more than {limit} bytes (limits: "
                        f"{MAX_FILE_RATIO} times its size, and the free space of "
                        f"{tempfile.gettempdir()}); decompress it with `zstd -d` first"
                    )
                plain.write(block)
    except (library.ZstdError, EOFError) as error:
        raise ReaderError(f"{source.name} is damaged: {error}") from error


def _unpack(data: bytes, limit_bytes: int, make: Callable[[], Any]) -> bytes:
    """Return what one frame or several behind each other hold, reading one byte too much."""
    parts: list[bytes] = []
    left = limit_bytes
    while data:
        decoder = make()
        part = decoder.decompress(data, max_length=left + 1)
        parts.append(part)
        left -= len(part)
        if left < 0:
            raise ReaderError(
                f"compressed data unpacks to more than the {limit_bytes} bytes that it may"
            )
        if not decoder.eof:
            raise ReaderError("compressed data is cut off")
        data = decoder.unused_data or b""
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _library() -> Any:
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    return importlib.import_module(name)
