"""Read images and masks strictly: what a network learns must be what the file says."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.image.exif import TURNS, UPRIGHT, turned_size
from terrain_seg_ros.core.image.image_file import decode_file, file_turn
from terrain_seg_ros.core.types import U8
from terrain_training.data.contract import BadSampleError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
OPAQUE = 255


def read_picture(path: Path) -> U8:
    """Return a camera image, (H, W) grey or (H, W, 3) RGB.

    Raises:
        BadSampleError: it is missing, cut off, of 16 bits, transparent somewhere, or EXIF wants
            it turned, so that the pixels of image and mask may not match.
    """
    values = _read_bytes(path)
    turn = file_turn(path)
    if turn != UPRIGHT:
        height_px, width_px = values.shape[:2]
        wide_px, high_px = turned_size(width_px, height_px, turn)
        raise BadSampleError(
            f"{path}: is {width_px} x {height_px} px as stored, but EXIF orientation {turn} wants "
            f"it {TURNS[turn]}, {wide_px} x {high_px} px; store the pixels as the masks have them, "
            "without EXIF"
        )
    if values.ndim == 2:
        return values
    return np.asarray(cv2.cvtColor(values, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def read_ids(path: Path) -> U8:
    """Return the values (H, W) of a mask of one channel.

    Raises:
        BadSampleError: it cannot be read, is JPEG, or has colours that are not grey.
    """
    values = _read_bytes(path)
    if is_jpeg(path):
        raise BadSampleError(
            f"{path}: is JPEG, which changes class ids; write masks as PNG. With source "
            "labelled_folder, set data.options.by_colour to true and give each class, as its "
            "color, the grey level that stands for it, if levels are 30 or more apart"
        )
    if values.ndim == 2:
        return values
    if np.array_equal(values[..., 0], values[..., 1]) and np.array_equal(
        values[..., 1], values[..., 2]
    ):
        return np.ascontiguousarray(values[..., 0])
    raise BadSampleError(
        f"{path}: the mask has colours, expected class ids in one channel; with source "
        "labelled_folder, set data.options.by_colour to true"
    )


def read_colours(path: Path) -> U8:
    """Return a mask of colours (H, W, 3), RGB; grey becomes three equal channels.

    Raises:
        BadSampleError: it cannot be read.
    """
    values = read_picture(path)
    return values if values.ndim == 3 else np.repeat(values[..., np.newaxis], 3, axis=2)


def is_jpeg(path: Path) -> bool:
    """Return whether a file is JPEG, whatever its name says.

    Raises:
        BadSampleError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(3) == b"\xff\xd8\xff"
    except OSError as error:
        raise BadSampleError(f"{path}: cannot be read ({error})") from error


def find_pictures(folder: Path) -> dict[str, Path]:
    """Return the image files of a folder by stem, sorted.

    Raises:
        ConfigError: the folder is missing or empty, or two files have one stem.
    """
    if not folder.is_dir():
        raise ConfigError(f"folder '{folder}' does not exist; check --data")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in IMAGE_SUFFIXES or path.name.startswith("."):
            continue
        if path.stem in found:
            raise ConfigError(f"{path} and {found[path.stem].name} have one stem; keep one of them")
        found[path.stem] = path
    if not found:
        raise ConfigError(f"folder '{folder}' has no images ({', '.join(IMAGE_SUFFIXES)})")
    return found


def pair_up(
    images: dict[str, Path], masks: dict[str, Path], *, folder: Path
) -> dict[str, tuple[Path, Path]]:
    """Return image and mask by stem; images without a mask are left to fail when they are read.

    Args:
        images: by stem.
        masks: by stem.
        folder: of the images, for the message.

    Raises:
        ConfigError: no image has a mask.
    """
    if not images.keys() & masks.keys():
        raise ConfigError(
            f"no image in '{folder}' has a mask of the same stem, such as {_some(images)} and "
            f"{_some(masks)}; rename one of them"
        )
    beside = next(iter(masks.values())).parent
    return {stem: (path, masks.get(stem, beside / f"{stem}.png")) for stem, path in images.items()}


def _some(stems: Iterable[str]) -> list[str]:
    return sorted(stems)[:3]


def _read_bytes(path: Path) -> NDArray[np.uint8]:
    """Return the stored values, (H, W) or (H, W, 3) in the order blue, green, red."""
    if not path.is_file():
        raise BadSampleError(f"{path}: is missing; restore it or take its name off the list")
    try:
        values: NDArray[Any] = decode_file(path)
    except ConfigError as error:
        raise BadSampleError(str(error)) from error
    if values.dtype != np.uint8:
        raise BadSampleError(
            f"{path}: has {8 * values.dtype.itemsize} bits a channel, expected 8; convert it, "
            "because a scale that is guessed changes what is learned"
        )
    if values.ndim == 3 and values.shape[2] == 4:
        if values[..., 3].min() < OPAQUE:
            raise BadSampleError(
                f"{path}: is transparent in places; put it on a background, without alpha"
            )
        values = values[..., :3]
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if values.ndim == 3 and values.shape[2] != 3:
        raise BadSampleError(f"{path}: has {values.shape[2]} channels, expected 1, 3 or 4")
    return np.ascontiguousarray(values)
