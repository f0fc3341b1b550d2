"""Image files: pixels as the vehicle gets them, or values as they are stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError, MessageError
from terrain_seg_ros.core.picture_header import checked_header
from terrain_seg_ros.core.regular_file import read_regular_file
from terrain_seg_ros.core.types import U8

MAX_FILE_BYTES = 512 * 2**20


def read_image(path: str | Path) -> U8:
    """Return an image file's pixels, (H, W) grey or (H, W, 3) RGB uint8.

    Sixteen bits become eight by their high byte, transparency is dropped, and an orientation in
    EXIF is ignored, as for images that come as messages.

    Raises:
        ConfigError: the file is missing, empty, cut off, no image or of an unknown kind.
    """
    decoded = decode_file(Path(path))
    if decoded.dtype == np.uint16:
        decoded = (decoded >> 8).astype(np.uint8)
    layers = decoded.shape[2] if decoded.ndim == 3 else 1
    if decoded.dtype != np.uint8 or layers not in {1, 3, 4}:
        raise ConfigError(
            f"{path}: image has {layers} channels of {decoded.dtype}, expected 1, 3 or 4 of "
            "8 or 16 bits; convert it to PNG"
        )
    if layers == 1:
        return decoded.reshape(decoded.shape[:2])
    code = cv2.COLOR_BGR2RGB if layers == 3 else cv2.COLOR_BGRA2RGB
    return np.asarray(cv2.cvtColor(decoded, code), dtype=np.uint8)


def decode_file(path: Path) -> NDArray[Any]:
    """Return an image file's values as they are stored; colours in the order blue, green, red.

    Raises:
        ConfigError: the file is missing, empty, cut off or no image.
    """
    data = read_regular_file(path, MAX_FILE_BYTES)
    if not data:
        raise ConfigError(f"{path}: the file is empty; copy it again")
    if _is_cut_off(data):
        raise ConfigError(f"{path}: the image is cut off after {len(data)} bytes; copy it again")
    try:
        checked_header(data)
    except MessageError as error:
        raise ConfigError(f"{path}: {error}") from error
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
