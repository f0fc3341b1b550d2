"""How far figures would move with other images of the same kind: the bootstrap over images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.scores.bootstrap import Interval, draw, interval
from terrain_seg_ros.core.scores.segmentation_metrics import (
    accuracy_of,
    iou_of,
    mean_iou_of,
    ratio,
)
from terrain_seg_ros.core.types import F64
from terrain_training.metrics.hazard import LEVELS, recall_at

_CHUNK_VALUES = 4_000_000


@dataclass(frozen=True)
class ImageCounts:
    """What is kept of N images: small arrays of whole numbers.

    `confusions` is (N, K, K + 1), rows truth, columns prediction, the last one no prediction;
    `levels` (N, 2, 257) as in `HazardCounts`; `safe` (N, 2) pixels called safe, and falsely so.
    """

    confusions: NDArray[np.int32]
    levels: NDArray[np.int32]
    safe: NDArray[np.int32]


@dataclass(frozen=True)
class Intervals:
    """95 % intervals; None where no resample has the figure."""

    mean_iou: Interval | None
    pixel_accuracy: Interval | None
    iou: Mapping[str, Interval | None]
    hazard_recall: Interval | None
    false_safe_rate: Interval | None


def bootstrap(
    counts: ImageCounts,
    names: Sequence[str],
    *,
    seed: int,
    resamples: int,
    false_alarm_rate: float,
) -> Intervals:
    """Return percentile bootstrap intervals (Efron, 1979), images drawn with replacement.

    Images, not pixels, are drawn: the pixels of one image are not independent. Images of one
    session of a camera are not either, so the true intervals are wider. The alarm threshold of
    the hazard recall is found anew in each resample.

    Args:
        counts: per image.
        names: of the classes.
        seed: of the draws.
        resamples: how many sets are drawn.
        false_alarm_rate: at which the hazard recall is taken.

    Raises:
        ConfigError: fewer than one resample is asked for, or the rate is out of range.
    """
    if resamples < 1:
        raise ConfigError(f"resamples is {resamples}, expected 1 or more")
    images, classes = counts.confusions.shape[:2]
    parts = (counts.confusions, counts.levels, counts.safe)
    flat = np.concatenate([part.reshape(images, -1) for part in parts], axis=1).astype(np.float64)
    random = np.random.default_rng(seed)
    step = max(1, min(1000, _CHUNK_VALUES // images))
    drawn = []
    for start in range(0, resamples, step):
        sums = _draw(random, min(step, resamples - start), images) @ flat
        drawn.append(_statistics(sums, classes, false_alarm_rate))
    columns = [interval(column) for column in np.concatenate(drawn).T]
    return Intervals(
        mean_iou=columns[0],
        pixel_accuracy=columns[1],
        hazard_recall=columns[2],
        false_safe_rate=columns[3],
        iou=dict(zip(names, columns[4:])),
    )


def _draw(random: np.random.Generator, rows: int, images: int) -> F64:
    """Return how often each image is drawn (rows, images)."""
    chosen = draw(random, resamples=rows, count=images)
    chosen += np.arange(rows)[:, None] * images
    counted = np.bincount(chosen.ravel(), minlength=rows * images)
    return counted.reshape(rows, images).astype(np.float64)


def _statistics(sums: F64, classes: int, false_alarm_rate: float) -> F64:
    """Return mean IoU, accuracy, hazard recall, false-safe rate and IoUs, per row."""
    size = classes * (classes + 1)
    confusions = sums[:, :size].reshape(-1, classes, classes + 1)
    levels = sums[:, size:-2].reshape(-1, 2, LEVELS + 1)
    called_safe, falsely = sums[:, -2], sums[:, -1]
    first = (
        mean_iou_of(confusions),
        accuracy_of(confusions),
        recall_at(levels, false_alarm_rate),
        ratio(falsely, called_safe),
    )
    return np.column_stack([*first, iou_of(confusions)])
