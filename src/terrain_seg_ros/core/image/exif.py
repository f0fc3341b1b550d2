"""The EXIF orientation of an image file, and applying it to pixels."""

from __future__ import annotations

import struct

import numpy as np

from terrain_seg_ros.core.types import U8

UPRIGHT = 1
TURNS = {
    2: "mirrored left to right",
    3: "turned by 180 degrees",
    4: "mirrored top to bottom",
    5: "mirrored and turned by 270 degrees clockwise",
    6: "turned by 90 degrees clockwise",
    7: "mirrored and turned by 90 degrees clockwise",
    8: "turned by 270 degrees clockwise",
}
"""The operation that turns the stored pixels upright, by orientation (EXIF 2.3, tag 274)."""
_ORIENTATION = 274
_ENTRY_LIMIT = 1000
_PNG = b"\x89PNG\r\n\x1a\n"
_HEAD = b"Exif\0\0"


def exif_turn(data: bytes) -> int:
    """Return the orientation, 1 to 8, of a JPEG, PNG or WebP file; 1 if it has none."""
    block = _exif_block(data)
    try:
        return _orientation(block.removeprefix(_HEAD)) if block else UPRIGHT
    except struct.error:
        return UPRIGHT


def turned_size(width_px: int, height_px: int, turn: int) -> tuple[int, int]:
    """Return width and height after turning the image upright."""
    return (height_px, width_px) if turn >= 5 else (width_px, height_px)


def upright(pixels: U8, turn: int) -> U8:
    """Return pixels (H, W) or (H, W, C) turned upright for an EXIF orientation."""
    if turn >= 5:
        pixels = np.swapaxes(pixels, 0, 1)
    if turn in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if turn in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)


def _exif_block(data: bytes) -> bytes:
    if data.startswith(b"\xff\xd8"):
        return _in_jpeg(data)
    if data.startswith(_PNG):
        return _in_chunks(data, len(_PNG), b"eXIf", size_first=True)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _in_chunks(data, 12, b"EXIF", size_first=False)
    return b""


def _in_jpeg(data: bytes) -> bytes:
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        if marker in (0xD9, 0xDA):
            break
        (size,) = struct.unpack_from(">H", data, position + 2)
        body = data[position + 4 : position + 2 + size]
        if marker == 0xE1 and body.startswith(_HEAD):
            return body
        position += 2 + max(size, 2)
    return b""


def _in_chunks(data: bytes, position: int, name: bytes, *, size_first: bool) -> bytes:
    """Return the first chunk with a name in a PNG, or in a RIFF file, whose chunks are padded."""
    while position + 8 <= len(data):
        head = data[position : position + 8]
        found, raw = (head[4:], head[:4]) if size_first else (head[:4], head[4:])
        size = int.from_bytes(raw, "big" if size_first else "little")
        if found == name:
            return data[position + 8 : position + 8 + size]
        position += 12 + size if size_first else 8 + size + size % 2
    return b""


def _orientation(tiff: bytes) -> int:
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return UPRIGHT
    (first,) = struct.unpack_from(f"{order}I", tiff, 4)
    (count,) = struct.unpack_from(f"{order}H", tiff, first)
    for index in range(min(count, _ENTRY_LIMIT)):
        tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, first + 2 + 12 * index)
        if tag == _ORIENTATION and kind == 3:
            return int(value) if value in TURNS else UPRIGHT
    return UPRIGHT
