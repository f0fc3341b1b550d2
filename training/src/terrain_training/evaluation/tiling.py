"""Mirrored images and sliding windows: several runs of a network make one prediction."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.types import F32, U8, UNLABELLED
from terrain_training.evaluation.subject import Subject
from terrain_training.metrics.counts import Prediction
from terrain_training.settings.recipe import Recipe

DEFAULT_OVERLAP = 0.25
MAX_WINDOWS = 4096
"""Of one image: more would take hours, and come from a mistaken window or overlap."""
Box = tuple[slice, slice]
"""Rows and columns."""


@dataclass(frozen=True)
class Tiling:
    """How an image is given to a network.

    With `flips`, also mirrored left to right, and upside down where the recipe's augmentation turns
    images so. `window_px` is (width, height) of windows that slide over the image, each as if it
    were an image; neighbours share `overlap` of their sides, at least 0, below 1.
    """

    flips: bool = False
    window_px: tuple[int, int] | None = None
    overlap: float = DEFAULT_OVERLAP

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0.0 <= self.overlap < 1.0:
            raise ConfigError(f"the overlap of windows is {self.overlap}, expected 0 to below 1")
        if self.window_px is not None and min(self.window_px) < 1:
            raise ConfigError(f"the window is {self.window_px} px, expected 1 or more")

    def __str__(self) -> str:
        """Return it as text, for reports."""
        parts = ["mirrored too"] if self.flips else []
        if self.window_px is not None:
            width, height = self.window_px
            parts.append(f"windows of {width} x {height} px, overlap {self.overlap:g}")
        return ", ".join(parts) or "whole images"


WHOLE_IMAGES = Tiling()


@dataclass(frozen=True)
class TiledSubject(Subject):
    """A model that predicts from windows and mirrored images."""

    tiling: Tiling

    def predict(self, image: U8) -> Prediction:
        """Return the weighted mean of the probabilities of all windows, and its best class.

        Windows count less towards their borders. 255 where no window sees anything.
        """
        boxes = list(windows(image.shape[0], image.shape[1], self.tiling))
        turns = mirrorings(self.recipe) if self.tiling.flips else ((False, False),)
        if len(boxes) == 1 and len(turns) == 1:
            return super().predict(image)
        total: F32 = np.zeros((len(self.taxonomy), *image.shape[:2]), np.float32)
        weights: F32 = np.zeros(image.shape[:2], np.float32)
        for box in boxes:
            for upside_down, left_right in turns:
                part = np.ascontiguousarray(_mirrored(image[box], upside_down, left_right))
                given = super().predict(part)
                seen = _mirrored(given.mask != UNLABELLED, upside_down, left_right)
                weight = _taper(*seen.shape) * seen
                planes = given.probabilities.transpose(1, 2, 0)
                planes = _mirrored(planes, upside_down, left_right).transpose(2, 0, 1)
                rows, columns = box
                total[:, rows, columns] += planes * weight
                weights[box] += weight
        mean = total / np.maximum(weights, np.finfo(np.float32).tiny)
        mask = np.where(weights > 0, mean.argmax(axis=0), UNLABELLED).astype(np.uint8)
        return Prediction(mask=mask, probabilities=np.rint(mean).astype(np.uint8))


def tiled(subject: Subject, tiling: Tiling) -> Subject:
    """Return a model that predicts so; the same one for whole images as they are."""
    if tiling == Tiling(overlap=tiling.overlap):
        return subject
    own = {field.name: getattr(subject, field.name) for field in dataclasses.fields(subject)}
    return TiledSubject(**own, tiling=tiling)


def windows(height_px: int, width_px: int, tiling: Tiling) -> Iterator[Box]:
    """Yield the windows of an image, evenly spread; one where it is no larger than a window.

    Raises:
        ConfigError: there are more than `MAX_WINDOWS`.
    """
    if tiling.window_px is None:
        yield slice(0, height_px), slice(0, width_px)
        return
    width, height = tiling.window_px
    tops = _starts(height_px, height, tiling.overlap)
    lefts = _starts(width_px, width, tiling.overlap)
    if len(tops) * len(lefts) > MAX_WINDOWS:
        raise ConfigError(
            f"{tiling} make {len(tops) * len(lefts)} of an image of {width_px} x {height_px} px, "
            f"more than {MAX_WINDOWS}; take larger windows or less overlap"
        )
    for top in tops:
        for left in lefts:
            rows = slice(top, min(top + height, height_px))
            yield rows, slice(left, min(left + width, width_px))


def mirrorings(recipe: Recipe) -> tuple[tuple[bool, bool], ...]:
    """Return how images are mirrored, as (upside down, left to right)."""
    names = {row.get("name") for row in recipe.augmentation}
    if "flip_vertical" in names:
        return ((False, False), (False, True), (True, False), (True, True))
    return ((False, False), (False, True))


def _starts(size_px: int, window_px: int, overlap: float) -> list[int]:
    if window_px >= size_px:
        return [0]
    count = math.ceil((size_px - window_px) / max(1.0, window_px * (1.0 - overlap))) + 1
    return [round(start) for start in np.linspace(0, size_px - window_px, count)]


def _mirrored(array: Any, upside_down: bool, left_right: bool) -> Any:
    """Return an array (H, W, ...) mirrored; the same call takes it back."""
    return array[:: -1 if upside_down else 1, :: -1 if left_right else 1]


def _taper(height_px: int, width_px: int) -> F32:
    """Return weights (H, W) that fall linearly from the middle to the borders, above 0."""
    rows, columns = (
        np.minimum(np.arange(1, size + 1), np.arange(size, 0, -1)) / ((size + 1) // 2)
        for size in (height_px, width_px)
    )
    weights: F32 = np.minimum(rows[:, None], columns[None, :]).astype(np.float32)
    return weights
