"""Decompress zstd within bounds: a few kilobytes can claim gigabytes."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from rosbags.rosbag2 import ReaderError

BLOCK_BYTES = 1 << 20


def _library() -> Any:
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    return importlib.import_module(name)


def decompress(data: bytes, limit_bytes: int) -> bytes:
    """Return decompressed data.

    Raises:
        ReaderError: it is damaged, or holds more than the limit.
    """
    library = _library()
    decoder = library.ZstdDecompressor()
    try:
        found: bytes = decoder.decompress(data, max_length=limit_bytes)
        if not decoder.eof and not decoder.needs_input:
            raise ReaderError(f"compressed data holds more than {limit_bytes} bytes")
    except library.ZstdError as error:
        raise ReaderError(f"zstd data is damaged: {error}") from error
    if not decoder.eof:
        raise ReaderError("zstd data is cut off")
    return found


def decompress_file(source: Path, target: Path, limit_bytes: int) -> None:
    """Write a compressed file's content.

    Raises:
        ReaderError: it is damaged, cut off, or holds more than the limit.
    """
    library = _library()
    written = 0
    try:
        with library.open(source, "rb") as packed, target.open("xb") as plain:
            while block := packed.read(BLOCK_BYTES):
                written += len(block)
                if written > limit_bytes:
                    raise ReaderError(f"{source.name} holds more than {limit_bytes} bytes")
                plain.write(block)
    except (library.ZstdError, EOFError) as error:
        raise ReaderError(f"{source.name} is damaged: {error}") from error
