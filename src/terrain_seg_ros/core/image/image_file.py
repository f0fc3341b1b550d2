"""Image files: 8-bit pixels as the pipeline takes them, or values as stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError, MessageError
from terrain_seg_ros.core.files.regular_file import read_regular_file
from terrain_seg_ros.core.image.exif import TURNS, UPRIGHT, exif_turn, turned_size
from terrain_seg_ros.core.image.picture_header import checked_header
from terrain_seg_ros.core.image.sample_bits import SampleBits
from terrain_seg_ros.core.types import U8

MAX_FILE_BYTES = 512 * 2**20


class StoredImage(NamedTuple):
    """The pixels of an image file as stored, and its EXIF orientation (1: upright)."""

    pixels: U8
    turn: int

    def sizes(self) -> str:
        """Return the stored size and the size after applying EXIF, for messages."""
        height_px, width_px = self.pixels.shape[:2]
        if self.turn == UPRIGHT:
            return f"{width_px} x {height_px} px"
        wide_px, high_px = turned_size(width_px, height_px, self.turn)
        return (
            f"{width_px} x {height_px} px as stored, and {wide_px} x {high_px} px upright, as by "
            f"EXIF orientation {self.turn} it must be {TURNS[self.turn]}"
        )


def read_image(path: str | Path, bits: SampleBits | None = None) -> U8:
    """Return an image file's pixels as stored, (H, W) grey or (H, W, 3) RGB uint8.

    Transparency is dropped, and the EXIF orientation is ignored, as for images received as
    messages.

    Args:
        path: the file.
        bits: the range of 16-bit samples, shared by several files of one camera; None detects it
            from this file alone.

    Raises:
        ConfigError: the file is missing, empty, truncated, or not an image of a supported format.
    """
    return read_stored_image(path, bits).pixels


def read_stored_image(path: str | Path, bits: SampleBits | None = None) -> StoredImage:
    """Return an image file's pixels as `read_image` does, and its EXIF orientation.

    Raises:
        ConfigError: as for `read_image`.
    """
    data = _read_bytes(Path(path))
    pixels = grey_or_rgb(_decode(data, Path(path)), bits, source=str(path))
    return StoredImage(pixels, exif_turn(data))


def grey_or_rgb(values: NDArray[Any], bits: SampleBits | None, *, source: str) -> U8:
    """Convert values (H, W), BGR or BGRA of 8 or 16 bits to grey or RGB uint8.

    Raises:
        ConfigError: the values have another shape or type.
    """
    layers = values.shape[2] if values.ndim == 3 else 1
    if values.dtype not in (np.uint8, np.uint16) or layers not in {1, 3, 4}:
        raise ConfigError(
            f"{source}: image has {layers} channels of {values.dtype}, expected 1, 3 or 4 of "
            "8 or 16 bits; convert it to PNG"
        )
    if values.dtype == np.uint16:
        values = (bits or SampleBits()).to_bytes(values)
    if layers == 1:
        return values.reshape(values.shape[:2])
    code = cv2.COLOR_BGR2RGB if layers == 3 else cv2.COLOR_BGRA2RGB
    return np.asarray(cv2.cvtColor(values, code), dtype=np.uint8)


def decode_file(path: Path) -> NDArray[Any]:
    """Return an image file's values as stored; colours in the order blue, green, red.

    Raises:
        ConfigError: the file is missing, empty, truncated or not an image.
    """
    return _decode(_read_bytes(path), path)


def file_turn(path: Path) -> int:
    """Return the EXIF orientation of an image file, 1 to 8; 1 if it has none.

    Raises:
        ConfigError: the file is missing, empty or truncated.
    """
    return exif_turn(_read_bytes(path))


def _read_bytes(path: Path) -> bytes:
    data = read_regular_file(path, MAX_FILE_BYTES)
    if not data:
        raise ConfigError(f"{path}: the file is empty; copy it again")
    if _is_cut_off(data):
        raise ConfigError(f"{path}: the image is truncated at {len(data)} bytes; copy it again")
    try:
        checked_header(data)
    except MessageError as error:
        raise ConfigError(f"{path}: {error}") from error
    return data


def _decode(data: bytes, path: Path) -> NDArray[Any]:
    try:
        decoded = cv2.imdecode(np.frombuffer(data, dtype=np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ConfigError(f"{path}: the image cannot be decoded ({error.err})") from error
    if decoded is None:
        raise ConfigError(
            f"{path}: is not an image that OpenCV can read, or is damaged; convert it to PNG"
        )
    return decoded


def _is_cut_off(data: bytes) -> bool:
    """Return whether a PNG lacks its last chunk or a JPEG its end marker after the last scan.

    OpenCV fills missing data with grey and reports it only on stderr. The compressed data of a
    JPEG never contains either marker (ITU-T T.81, B.1.1.5), and the end marker of a thumbnail
    precedes the last scan.
    """
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return b"IEND" not in data
    if data.startswith(b"\xff\xd8"):
        return data.rfind(b"\xff\xd9") <= data.rfind(b"\xff\xda")
    return False
