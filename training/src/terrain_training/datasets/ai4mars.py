"""AI4Mars (Swan et al., 2021), Curiosity NavCam at 256 x 256 pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.segmentation_metrics import IGNORE
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_training.datasets.rover_clock import ClockSplit, split_by_rover_clock

TAXONOMY = Taxonomy(
    (
        TerrainClass(0, "soil", (176, 132, 92), 0.02),
        TerrainClass(1, "bedrock", (110, 142, 168), 0.1),
        TerrainClass(2, "sand", (232, 200, 108), 0.4),
        TerrainClass(3, "big_rock", (204, 52, 44), 1.0),
    )
)
CLASSES = TAXONOMY.names

DATA = "AI4Mars v0.1 (Swan et al., CVPRW 2021), Curiosity NavCam, resized to 256 x 256 pixels"
DATA_LICENSE = "public domain (NASA/JPL-Caltech images, data.nasa.gov)"
CREDIT = "Images: NASA/JPL-Caltech. Labels: AI4Mars (Swan et al., 2021)."
LIMITS = (
    "Sky and rover hardware are unlabelled in the training data: the network gives such pixels "
    "some ground class, often with confidence. Mask the rover and trust nothing above the horizon.",
    "Labels end about 30 m from the rover; farther ground was never scored.",
    "Trained on one kind of camera, the grey NavCam of Curiosity at 256 x 256 pixels, and on one "
    "place, Gale crater. Other cameras, colour and other sites will score lower.",
    "Big rocks are rare (under 1 % of the labelled pixels): their recall is the weakest figure, "
    "and a missed rock is possible at any confidence. Small rocks are no class of their own.",
    "Not for the Moon or the Earth.",
    "The hazards are starting values for a rover of Curiosity's kind, not measurements.",
)


def read_split(root: Path, *, seed: int) -> ClockSplit:
    """Return the rover-clock split of the folder's train.txt and val.txt.

    Raises:
        ConfigError: a list is missing.
    """
    return split_by_rover_clock(
        _read_list(root / "train.txt"), _read_list(root / "val.txt"), seed=seed
    )


def read_pair(root: Path, stem: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return the grey image (H, W) and the mask (H, W) of class ids, 255 where unlabelled.

    Raises:
        ConfigError: a file is missing or unreadable, or the two differ in size.
    """
    image_path = root / "images" / f"{stem}.jpg"
    mask_path = root / "masks" / f"{stem}.png"
    image = _read_image(image_path, cv2.IMREAD_GRAYSCALE)
    mask = _read_image(mask_path, cv2.IMREAD_UNCHANGED)
    if mask.ndim != 2 or image.shape != mask.shape:
        raise ConfigError(
            f"{mask_path} has shape {mask.shape}, its image {image.shape}; "
            "expected one channel and the same size"
        )
    return image, mask


def read_pairs(
    root: Path, stems: Sequence[str], *, size_px: int
) -> list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Return the listed pairs, all `size_px` square.

    Raises:
        ConfigError: a pair is bad, of another size or holds an id that is no class.
    """
    pairs = [read_pair(root, stem) for stem in stems]
    for stem, (image, mask) in zip(stems, pairs):
        if image.shape != (size_px, size_px):
            raise ConfigError(
                f"image {stem} is {image.shape[1]} x {image.shape[0]} pixels, but the recipe's "
                f"input_size_px is {size_px}; resize the data or change the recipe"
            )
        ids = mask[mask != IGNORE]
        if ids.size and int(ids.max()) >= len(CLASSES):
            raise ConfigError(
                f"mask {stem} holds class id {int(ids.max())}, expected 0 to {len(CLASSES) - 1} "
                f"or {IGNORE}"
            )
    return pairs


def _read_image(path: Path, flags: int) -> NDArray[np.uint8]:
    pixels = cv2.imread(str(path), flags) if path.is_file() else None
    if pixels is None or pixels.dtype != np.uint8:
        raise ConfigError(f"{path} is no readable 8-bit image; restore it or take it off the list")
    return pixels.astype(np.uint8)


def _read_list(path: Path) -> list[str]:
    if not path.is_file():
        raise ConfigError(f"{path} is missing; point --data at the AI4Mars 256-pixel folder")
    return path.read_text(encoding="utf-8").split()
