"""Read the size of a JPEG or PNG from its first bytes, before anything is decoded."""

from __future__ import annotations

import struct

from terrain_seg_ros.core.errors import MessageError

PIXEL_LIMIT = 64_000_000
"""Larger pictures are refused: a few kilobytes of PNG can claim gigabytes of pixels."""

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}
_START_OF_FRAME = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN = 0xDA


def check_size(width_px: int, height_px: int) -> None:
    """Refuse a size that is zero or beyond the limit.

    Raises:
        MessageError: the size cannot be used.
    """
    if width_px <= 0 or height_px <= 0:
        raise MessageError(f"image is {width_px}x{height_px}, expected at least 1x1")
    if width_px * height_px > PIXEL_LIMIT:
        raise MessageError(
            f"image is {width_px}x{height_px}, more than the limit of {PIXEL_LIMIT} pixels; "
            "send a smaller one"
        )


def picture_size(data: memoryview) -> tuple[int, int]:
    """Return width and height in pixels, and check that the data is complete.

    Args:
        data: the whole file, flat bytes.

    Raises:
        MessageError: the data is neither PNG nor JPEG, malformed or cut off.
    """
    if bytes(data[:8]) == _PNG:
        return _png_size(data)
    if bytes(data[:2]) == _JPEG:
        return _jpeg_size(data)
    raise MessageError(
        f"compressed image begins with bytes {bytes(data[:4]).hex()}, which is neither JPEG nor "
        "PNG; choose one of them in image_transport"
    )


def _png_size(data: memoryview) -> tuple[int, int]:
    if len(data) < 33 or bytes(data[12:16]) != b"IHDR":
        raise _truncated("PNG", len(data))
    if bytes(data[-64:]).rfind(b"IEND") < 0:
        raise _truncated("PNG", len(data))
    width_px, height_px = struct.unpack_from(">II", data, 16)
    return width_px, height_px


def _jpeg_size(data: memoryview) -> tuple[int, int]:
    """Walk the segments to the start of the frame (ITU-T T.81, annex B)."""
    size = None
    position = 2
    while position + 4 <= len(data):
        marker = data[position + 1]
        if data[position] != 0xFF:
            raise MessageError(
                f"JPEG has byte {data[position]:#04x} at {position} where a segment should begin; "
                "check the publisher"
            )
        if marker == 0xFF:
            position += 1
            continue
        if marker in _WITHOUT_LENGTH:
            position += 2
            continue
        if marker in _START_OF_FRAME and position + 9 <= len(data):
            height_px, width_px = struct.unpack_from(">HH", data, position + 5)
            size = (width_px, height_px)
        if marker == _START_OF_SCAN:
            break
        position += 2 + int(struct.unpack_from(">H", data, position + 2)[0])
    if size is None or bytes(data[position:]).rfind(b"\xff\xd9") < 0:
        raise _truncated("JPEG", len(data))
    return size


def _truncated(kind: str, byte_count: int) -> MessageError:
    return MessageError(
        f"{kind} of {byte_count} bytes is cut off; check the network and the publisher"
    )
