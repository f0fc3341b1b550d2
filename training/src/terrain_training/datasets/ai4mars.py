"""AI4Mars (Swan et al., 2021), Curiosity NavCam at 256 x 256 pixels."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.datasets.rover_clock import ClockSplit, split_by_rover_clock

CLASSES = ("soil", "bedrock", "sand", "big_rock")


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
    image = cv2.imread(str(image_path), cv2.IMREAD_GRAYSCALE)
    mask = cv2.imread(str(mask_path), cv2.IMREAD_UNCHANGED)
    for path, array in ((image_path, image), (mask_path, mask)):
        if array is None:
            raise ConfigError(f"{path} cannot be read; restore it or take it off the list")
    if mask.ndim != 2 or image.shape != mask.shape:
        raise ConfigError(
            f"{mask_path} has shape {mask.shape}, its image {image.shape}; "
            "expected one channel and the same size"
        )
    return image.astype(np.uint8), mask.astype(np.uint8)


def _read_list(path: Path) -> list[str]:
    if not path.is_file():
        raise ConfigError(f"{path} is missing; point --data at the AI4Mars 256-pixel folder")
    return path.read_text(encoding="utf-8").split()
