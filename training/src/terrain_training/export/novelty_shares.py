"""How many images of a folder, a split or a fault of the camera a model refuses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from terrain_seg_ros.core.image.image_file import read_image
from terrain_seg_ros.core.image.image_to_tensor import TensorInput, image_to_tensor, tensor_geometry
from terrain_seg_ros.core.image.novelty import Novelty
from terrain_seg_ros.core.types import U8
from terrain_training.data.files import find_pictures
from terrain_training.learning.loaders import OpenData

MADE = 20
_SIDE_PX = 512


@dataclass(frozen=True)
class NoveltyShare:
    """How many of `count` images are above the limit, and the median novelty; 1 is the limit."""

    name: str
    count: int
    refused: int
    share: float
    median: float


def share_of(
    novelty: Novelty, fitted: TensorInput, name: str, images: Iterable[U8]
) -> NoveltyShare:
    """Return what a model refuses of images (H, W) or (H, W, 3) of any size."""
    values = []
    for image in images:
        geometry = tensor_geometry(fitted, image.shape[1], image.shape[0])
        values.append(novelty(geometry.tensor_view().cut(image_to_tensor(image, fitted)[0])))
    refused = sum(value > 1.0 for value in values)
    return NoveltyShare(
        name, len(values), refused, refused / len(values), float(np.median(np.array(values)))
    )


def share_of_folder(novelty: Novelty, fitted: TensorInput, name: str, folder: Path) -> NoveltyShare:
    """Return what a model refuses of the image files in a folder.

    Raises:
        ConfigError: the folder is missing or empty, or a file cannot be read.
    """
    paths = find_pictures(folder).values()
    return share_of(novelty, fitted, name, (read_image(path) for path in paths))


def share_of_split(
    novelty: Novelty, fitted: TensorInput, opened: OpenData, split: str
) -> NoveltyShare:
    """Return what a model refuses of its own `training` or `validation` images."""
    names = opened.train if split == "training" else opened.validation
    return share_of(novelty, fitted, split, (opened.source.load(name).image for name in names))


def made_images() -> dict[str, list[U8]]:
    """Return images of faults, by their name, from a fixed seed."""
    random = np.random.default_rng(0)
    shape = (_SIDE_PX, _SIDE_PX)

    def grey(values: object) -> U8:
        clipped: U8 = np.clip(np.asarray(values, dtype=np.float64), 0.0, 255.0).astype(np.uint8)
        return clipped

    return {
        "uniform noise": [grey(random.integers(0, 256, shape)) for _ in range(MADE)],
        "lens cap": [grey(random.normal(3.0 + place / 2.0, 1.5, shape)) for place in range(MADE)],
        "overexposed": [grey(random.normal(250.0, 5.0 + place, shape)) for place in range(MADE)],
        "even grey": [
            grey(random.normal(20.0 + 10.0 * place, 2.0, shape)) for place in range(MADE)
        ],
    }
