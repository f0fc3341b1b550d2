"""How often each class occurs, and the weights that make up for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.types import F32, U8
from terrain_training.data.contract import Source, check_classes, samples_of

I64 = NDArray[np.int64]

GRID_ROWS, GRID_COLUMNS = 32, 48
"""Cells of an occurrence map."""


@dataclass(frozen=True)
class ClassBalance:
    """How often each of K classes occurs.

    `pixels` (K,) counts pixels and `images` (K,) images that have the class; `pixels_beside` (K,)
    counts the labelled pixels of those images. `occurrence` (K, 32, 48) is the share of all
    images that have the class in that part of the image.
    """

    class_names: tuple[str, ...]
    pixels: I64
    images: I64
    pixels_beside: I64
    ignored_pixels: int
    image_count: int
    mean_height_px: float
    mean_width_px: float
    occurrence: F32

    def weights(self, kind: str) -> tuple[float, ...]:
        """Return a weight per class, in the order of the ids, for a weighted loss.

        A class that never occurs has weight 1. The others have 1 on average, so that the
        learning rate means the same with and without weights.

        Args:
            kind: `median_frequency`: the median of the classes' frequencies by the frequency of
                the class, which is its share of the labelled pixels of the images that have it
                (Eigen and Fergus, "Predicting Depth, Surface Normals and Semantic Labels with a
                Common Multi-Scale Convolutional Architecture", ICCV 2015); `inverse_sqrt`: one by
                the root of its share of all labelled pixels, which is milder.

        Raises:
            ConfigError: there is no such kind, or nothing is labelled.
        """
        seen = self.pixels > 0
        if not seen.any():
            raise ConfigError("no pixel of these images has a class; check masks and taxonomy")
        if kind == "median_frequency":
            frequency = self.pixels[seen] / self.pixels_beside[seen]
            raw = np.median(frequency) / frequency
        elif kind == "inverse_sqrt":
            raw = 1.0 / np.sqrt(self.pixels[seen] / self.pixels.sum())
        else:
            raise ConfigError(
                f"class weights {kind!r} are unknown; use median_frequency or inverse_sqrt"
            )
        result = np.ones(len(self.pixels))
        result[seen] = raw / raw.mean()
        return tuple(float(weight) for weight in result)


class BalanceCounter:
    """Count classes mask by mask."""

    def __init__(self, class_names: Sequence[str]) -> None:
        """Take the names of the classes, in the order of their ids."""
        count = len(class_names)
        self._names = tuple(class_names)
        self._pixels: I64 = np.zeros(count, dtype=np.int64)
        self._images: I64 = np.zeros(count, dtype=np.int64)
        self._beside: I64 = np.zeros(count, dtype=np.int64)
        self._occurrence: I64 = np.zeros((count, GRID_ROWS, GRID_COLUMNS), dtype=np.int64)
        self._ignored = 0
        self._count = 0
        self._height_px = 0
        self._width_px = 0

    def add(self, mask: U8) -> I64:
        """Count a mask (H, W) of class ids and 255; return its pixels per class (K,)."""
        here: I64 = np.bincount(mask.reshape(-1), minlength=256)
        ignored = int(here[IGNORE])
        here = here[: len(self._names)]
        seen = here > 0
        self._pixels += here
        self._images += seen
        self._beside[seen] += mask.size - ignored
        self._ignored += ignored
        self._count += 1
        self._height_px += mask.shape[0]
        self._width_px += mask.shape[1]
        for index in np.flatnonzero(seen):
            self._occurrence[index] += cells_with(mask == index)
        return here

    def result(self) -> ClassBalance:
        """Return what was counted.

        Raises:
            ConfigError: nothing was.
        """
        if not self._count:
            raise ConfigError("there are no images to count classes in; check --data and the split")
        return ClassBalance(
            class_names=self._names,
            pixels=self._pixels.copy(),
            images=self._images.copy(),
            pixels_beside=self._beside.copy(),
            ignored_pixels=self._ignored,
            image_count=self._count,
            mean_height_px=self._height_px / self._count,
            mean_width_px=self._width_px / self._count,
            occurrence=(self._occurrence / self._count).astype(np.float32),
        )


def cells_with(marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which cells of the grid (32, 48) have a marked pixel of (H, W), of any size."""
    rows = np.arange(GRID_ROWS) * marked.shape[0] // GRID_ROWS
    columns = np.arange(GRID_COLUMNS) * marked.shape[1] // GRID_COLUMNS
    by_row = np.logical_or.reduceat(marked, rows, axis=0)
    cells: NDArray[np.bool_] = np.logical_or.reduceat(by_row, columns, axis=1)
    return cells


def measure_balance(source: Source, names: Sequence[str]) -> ClassBalance:
    """Return how often each class occurs in the named samples; each is read once.

    Args:
        source: of the samples.
        names: of the samples.

    Raises:
        BadSampleError: a sample cannot be used.
        ConfigError: there are no samples.
    """
    counter = BalanceCounter(source.taxonomy.names)
    for sample in samples_of(source, names):
        check_classes(sample, source.taxonomy)
        counter.add(sample.mask)
    return counter.result()
