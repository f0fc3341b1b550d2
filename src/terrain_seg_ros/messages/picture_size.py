"""Read the size of a JPEG or PNG from its first bytes, before anything is decoded."""

from __future__ import annotations

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.core.image.picture_header import PIXEL_LIMIT, check_size, checked_header

__all__ = ["PIXEL_LIMIT", "check_size", "picture_size"]

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8"


def picture_size(data: memoryview) -> tuple[int, int]:
    """Return width and height in pixels, and check that the data may be decoded and is complete.

    Args:
        data: the whole file, flat bytes.

    Raises:
        MessageError: the data is neither PNG nor JPEG, malformed, cut off or beyond the limits.
    """
    is_png = bytes(data[:8]) == _PNG
    if not is_png and bytes(data[:2]) != _JPEG:
        raise MessageError(
            f"compressed image begins with bytes {bytes(data[:4]).hex()}, which is neither JPEG "
            "nor PNG; choose one of them in image_transport"
        )
    header = checked_header(data)
    whole = bytes(data[-64:]).rfind(b"IEND") >= 0 if is_png else _has_end(data)
    if not whole:
        raise MessageError(f"{header.kind} of {len(data)} bytes is cut off; send or copy it again")
    return header.width_px, header.height_px


def _has_end(data: memoryview) -> bool:
    """Return whether a JPEG's end marker comes after its last scan begins."""
    whole = bytes(data)
    return whole.rfind(b"\xff\xd9") > whole.rfind(b"\xff\xda")
