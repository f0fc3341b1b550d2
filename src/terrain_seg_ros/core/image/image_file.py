"""Image files: pixels as the vehicle gets them, or values as they are stored."""

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
    """Hold an image file's pixels as they are stored, and how EXIF would turn them (1: not)."""

    pixels: U8
    turn: int

    def sizes(self) -> str:
        """Return the stored size, and what EXIF makes of it, for messages."""
        height_px, width_px = self.pixels.shape[:2]
        if self.turn == UPRIGHT:
            return f"{width_px} x {height_px} px"
        wide_px, high_px = turned_size(width_px, height_px, self.turn)
        return (
            f"{width_px} x {height_px} px as stored, and {wide_px} x {high_px} px upright, as EXIF "
            f"orientation {self.turn} wants it {TURNS[self.turn]}"
        )


def read_image(path: str | Path, bits: SampleBits | None = None) -> U8:
    """Return an image file's pixels as stored, (H, W) grey or (H, W, 3) RGB uint8.

    Transparency is dropped, and an orientation in EXIF is ignored, as for images that come as
    messages.

    Args:
        path: of the file.
        bits: what samples of 16 bits hold, over several files of one camera; None judges by this
            file alone.

    Raises:
        ConfigError: the file is missing, empty, cut off, no image or of an unknown kind.
    """
    return read_stored_image(path, bits).pixels


def read_stored_image(path: str | Path, bits: SampleBits | None = None) -> StoredImage:
    """Return an image file's pixels as `read_image` does, and how EXIF would turn them.

    Raises:
        ConfigError: as `read_image` raises it.
    """
    data = _read_bytes(Path(path))
    pixels = grey_or_rgb(_decode(data, Path(path)), bits, source=str(path))
    return StoredImage(pixels, exif_turn(data))


def grey_or_rgb(values: NDArray[Any], bits: SampleBits | None, *, source: str) -> U8:
    """Return values (H, W), BGR or BGRA of 8 or 16 bits as grey or RGB.

    Raises:
        ConfigError: they are something else.
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
    """Return an image file's values as they are stored; colours in the order blue, green, red.

    Raises:
        ConfigError: the file is missing, empty, cut off or no image.
    """
    return _decode(_read_bytes(path), path)


def file_turn(path: Path) -> int:
    """Return the EXIF orientation of an image file, 1 to 8; 1 where it has none.

    Raises:
        ConfigError: the file is missing, empty or cut off.
    """
    return exif_turn(_read_bytes(path))


def _read_bytes(path: Path) -> bytes:
    data = read_regular_file(path, MAX_FILE_BYTES)
    if not data:
        raise ConfigError(f"{path}: the file is empty; copy it again")
    if _is_cut_off(data):
        raise ConfigError(f"{path}: the image is cut off after {len(data)} bytes; copy it again")
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
            f"{path}: is no image that OpenCV can read, or a damaged one; convert it to PNG"
        )
    return decoded


def _is_cut_off(data: bytes) -> bool:
    """Say whether a PNG lacks its last chunk or a JPEG its end marker after the last scan.

    OpenCV fills what is missing with grey and says so only on stderr. A JPEG's compressed data
    holds neither marker by accident (ITU-T T.81, B.1.1.5), so a thumbnail's end is no trap.
    """
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return b"IEND" not in data
    if data.startswith(b"\xff\xd8"):
        return data.rfind(b"\xff\xd9") <= data.rfind(b"\xff\xda")
    return False
