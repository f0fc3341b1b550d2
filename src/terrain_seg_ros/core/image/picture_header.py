"""The size declared in an image file's header, checked against limits before decoding.

A PNG of a few kilobytes can declare gigabytes of pixels. Sources: PNG (ISO/IEC 15948), JPEG (ITU-T
T.81, annex B), TIFF 6.0, WebP (RFC 9649), Netpbm, BMP (BITMAPINFOHEADER and its successors).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from terrain_seg_ros.core.errors import MessageError

PIXEL_LIMIT = 64_000_000
DECODED_LIMIT_BYTES = 256 * 2**20
"""Limit of the decoded size; the largest image fits with four channels of eight bits."""
SCANNED_LIMIT = 1_000_000_000
"""Limit of pixels times scans of a progressive JPEG; every scan visits every pixel."""

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_CHANNELS = {0: 1, 2: 3, 3: 4, 4: 4, 6: 4}
"""Decoded channels by colour type, as in OpenCV; a palette may have transparent entries."""
_JPEG = b"\xff\xd8"
_WITHOUT_LENGTH = {0x01, 0xD8}
_START_OF_FRAME = set(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN, _END_OF_IMAGE = 0xDA, 0xD9
_NEXT_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_NETPBM = re.compile(rb"P([1-6])(?:\s|#[^\n]*\n)+(\d{1,9})(?:\s|#[^\n]*\n)+(\d{1,9})\s")
_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_BITS, _TIFF_SAMPLES = 256, 257, 258, 277
_TIFF_TILE_WIDTH, _TIFF_TILE_HEIGHT = 322, 323
_TIFF_CODES = {3: "H", 4: "I", 16: "Q"}
_MAX_TIFF_ENTRIES = 1000


class PictureHeader(NamedTuple):
    """The declared size of an image; `scans` is how often a decoder visits each pixel."""

    kind: str
    width_px: int
    height_px: int
    bytes_per_pixel: int
    scans: int = 1


def checked_header(data: bytes | memoryview) -> PictureHeader:
    """Return the header of an image that is within the limits for decoding.

    Args:
        data: the whole file.

    Raises:
        MessageError: the format is unknown, the header is malformed or truncated, or the declared
            size exceeds a limit.
    """
    flat = memoryview(data)
    header = picture_header(flat)
    check_size(header.width_px, header.height_px)
    decoded_bytes = header.width_px * header.height_px * header.bytes_per_pixel
    if decoded_bytes > DECODED_LIMIT_BYTES:
        raise MessageError(
            f"image is {header.width_px}x{header.height_px} with {header.bytes_per_pixel} bytes "
            f"per pixel, more than the limit of {DECODED_LIMIT_BYTES} bytes; send a smaller one, "
            "or eight bits per channel"
        )
    if header.width_px * header.height_px * header.scans > SCANNED_LIMIT:
        raise MessageError(
            f"JPEG is {header.width_px}x{header.height_px} in {header.scans} scans, more than the "
            f"limit of {SCANNED_LIMIT} pixels over all scans; send a baseline JPEG"
        )
    return header


def check_size(width_px: int, height_px: int) -> None:
    """Check that a size is positive and within the limit.

    Raises:
        MessageError: it is not.
    """
    if width_px <= 0 or height_px <= 0:
        raise MessageError(f"image is {width_px}x{height_px}, expected at least 1x1")
    if width_px * height_px > PIXEL_LIMIT:
        raise MessageError(
            f"image is {width_px}x{height_px}, more than the limit of {PIXEL_LIMIT} pixels; "
            "send a smaller one"
        )


def picture_header(data: memoryview) -> PictureHeader:
    """Return the header of an image file.

    Raises:
        MessageError: the format is unknown, or the header is malformed or truncated.
    """
    for begin, read in _KINDS:
        if bytes(data[: len(begin)]) == begin:
            try:
                return read(data)
            except (struct.error, IndexError) as error:
                raise _cut_off(begin[1:4].decode("latin1").strip("\r\n\0"), data) from error
    found = _NETPBM.match(bytes(data[:4096]))
    if found is not None:
        channels = 3 if found[1] in b"36" else 1
        return PictureHeader("Netpbm", int(found[2]), int(found[3]), 2 * channels)
    raise MessageError(
        f"unknown image format: the data begins with bytes {bytes(data[:4]).hex()}, expected PNG, "
        "JPEG, TIFF, WebP, BMP or Netpbm; convert it to PNG"
    )


def _png(data: memoryview) -> PictureHeader:
    if bytes(data[12:16]) != b"IHDR" or len(data) < 33:
        raise _cut_off("PNG", data)
    width_px, height_px, depth, color = struct.unpack_from(">IIBB", data, 16)
    channels = _PNG_CHANNELS.get(color)
    if channels is None:
        raise MessageError(f"PNG has the unknown colour type {color}; save it again")
    if b"tRNS" in bytes(data[33 : 33 + 2**20]):
        channels = 4
    return PictureHeader("PNG", width_px, height_px, channels * (2 if depth > 8 else 1))


def _jpeg(data: memoryview) -> PictureHeader:
    size, scans = (0, 0, 0), 0
    for marker, position in _jpeg_segments(data):
        if marker in _START_OF_FRAME and position + 10 <= len(data):
            height_px, width_px, planes = struct.unpack_from(">HHB", data, position + 5)
            size = max(size, (width_px, height_px, planes), key=lambda item: item[0] * item[1])
            if 0 in (width_px, height_px):
                size = (width_px, height_px, planes)
        scans += marker == _START_OF_SCAN
    if not size[2] or not scans:
        raise _cut_off("JPEG", data)
    return PictureHeader("JPEG", *size, scans)


def _jpeg_segments(data: memoryview) -> Iterator[tuple[int, int]]:
    """Yield marker and position of each segment up to the end of the image.

    Compressed data and padding between segments are skipped, as decoders do.
    """
    position = 2
    while (found := _NEXT_MARKER.search(data, position)) is not None:
        position = found.start()
        marker = data[position + 1]
        if marker == _END_OF_IMAGE or position + 4 > len(data):
            return
        if marker in _WITHOUT_LENGTH:
            position += 2
            continue
        yield marker, position
        position += 2 + int(struct.unpack_from(">H", data, position + 2)[0])


def _tiff(data: memoryview) -> PictureHeader:
    """Read the first directory of a TIFF or BigTIFF."""
    order = "<" if bytes(data[:2]) == b"II" else ">"
    big = struct.unpack_from(f"{order}H", data, 2)[0] == 43
    word = f"{order}Q" if big else f"{order}I"
    (place,) = struct.unpack_from(word, data, 8 if big else 4)
    (count,) = struct.unpack_from(f"{order}Q" if big else f"{order}H", data, place)
    if count > _MAX_TIFF_ENTRIES:
        raise MessageError(f"TIFF has a directory of {count} entries; convert it to PNG")
    place += 8 if big else 2
    values: dict[int, int] = {}
    for _ in range(count):
        tag, kind, number = struct.unpack_from(f"{order}HH{'Q' if big else 'I'}", data, place)
        code = _TIFF_CODES.get(kind)
        if code is not None and number:
            at = place + (12 if big else 8)
            if number * struct.calcsize(f"{order}{code}") > (8 if big else 4):
                (at,) = struct.unpack_from(word, data, at)
            found = struct.unpack_from(f"{order}{min(number, 16)}{code}", data, at)
            values[tag] = max(values.get(tag, 0), *found)
        place += 20 if big else 12
    tile = values.get(_TIFF_TILE_WIDTH, 1), values.get(_TIFF_TILE_HEIGHT, 1)
    check_size(*tile)
    bytes_ = max(1, values.get(_TIFF_SAMPLES, 1)) * max(1, (values.get(_TIFF_BITS, 1) + 7) // 8)
    return PictureHeader("TIFF", values.get(_TIFF_WIDTH, 0), values.get(_TIFF_HEIGHT, 0), bytes_)


def _webp(data: memoryview) -> PictureHeader:
    chunk = bytes(data[12:16])
    if chunk == b"VP8X":
        width_px = 1 + int.from_bytes(data[24:27], "little")
        height_px = 1 + int.from_bytes(data[27:30], "little")
    elif chunk == b"VP8L":
        (packed,) = struct.unpack_from("<I", data, 21)
        width_px, height_px = 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
    elif chunk == b"VP8 ":
        width_px, height_px = (value & 0x3FFF for value in struct.unpack_from("<HH", data, 26))
    else:
        raise MessageError("image is not a valid WebP file; convert it to PNG")
    return PictureHeader("WebP", width_px, height_px, 4)


def _bmp(data: memoryview) -> PictureHeader:
    (size,) = struct.unpack_from("<I", data, 14)
    if size == 12:
        width_px, height_px = struct.unpack_from("<HH", data, 18)
    else:
        width_px, height_px = struct.unpack_from("<ii", data, 18)
    return PictureHeader("BMP", abs(width_px), abs(height_px), 4)


_KINDS: tuple[tuple[bytes, Callable[[memoryview], PictureHeader]], ...] = (
    (_PNG, _png),
    (_JPEG, _jpeg),
    (b"II*\0", _tiff),
    (b"MM\0*", _tiff),
    (b"II+\0", _tiff),
    (b"MM\0+", _tiff),
    (b"RIFF", _webp),
    (b"BM", _bmp),
)


def _cut_off(kind: str, data: memoryview) -> MessageError:
    return MessageError(f"{kind} of {len(data)} bytes is truncated; send or copy it again")
