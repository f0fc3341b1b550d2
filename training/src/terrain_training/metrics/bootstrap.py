"""How far figures would move with other images of the same kind: the bootstrap over images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.types import F64
from terrain_training.metrics.hazard import LEVELS, recall_at

COVERED = 0.95
_CHUNK_VALUES = 4_000_000

Interval = tuple[float, float]
"""The 2.5 and 97.5 percentile of a figure over the resamples."""


@dataclass(frozen=True)
class ImageCounts:
    """Hold what is kept of N images: small arrays of whole numbers.

    `confusions` is (N, K, K + 1), rows truth, columns prediction, the last one no prediction;
    `levels` (N, 2, 257) as in `HazardCounts`; `safe` (N, 2) pixels called safe, and falsely so.
    """

    confusions: NDArray[np.int32]
    levels: NDArray[np.int32]
    safe: NDArray[np.int32]


@dataclass(frozen=True)
class Intervals:
    """Hold 95 % intervals; None where no resample has the figure."""

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
        ConfigError: fewer than one resample is asked for, or the rate is no rate.
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
    columns = [_interval(column) for column in np.concatenate(drawn).T]
    return Intervals(
        mean_iou=columns[0],
        pixel_accuracy=columns[1],
        hazard_recall=columns[2],
        false_safe_rate=columns[3],
        iou=dict(zip(names, columns[4:])),
    )


def iou_of(confusions: F64) -> F64:
    """Return the IoU per class (..., K) of matrices (..., K, K + 1); NaN where there is none."""
    hits = np.diagonal(confusions, axis1=-2, axis2=-1)
    union = confusions.sum(axis=-1) + confusions.sum(axis=-2)[..., :-1] - hits
    return _ratio(hits, union)


def mean_iou_of(confusions: F64) -> F64:
    """Return the mean IoU (...) over the classes in the truth; NaN without any."""
    present = confusions.sum(axis=-1) > 0
    total = np.where(present, iou_of(confusions), 0.0).sum(axis=-1)
    return _ratio(total, present.sum(axis=-1).astype(np.float64))


def accuracy_of(confusions: F64) -> F64:
    """Return the share (...) of labelled pixels that are right; NaN without any."""
    hits = np.diagonal(confusions, axis1=-2, axis2=-1).sum(axis=-1)
    return _ratio(hits, confusions.sum(axis=(-2, -1)))


def _draw(random: np.random.Generator, rows: int, images: int) -> F64:
    """Return how often each image is drawn (rows, images)."""
    chosen = random.integers(0, images, (rows, images))
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
        _ratio(falsely, called_safe),
    )
    return np.column_stack([*first, iou_of(confusions)])


def _ratio(part: F64, whole: F64) -> F64:
    result = np.full(np.shape(whole), np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


def _interval(values: F64) -> Interval | None:
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    tail = 50.0 * (1.0 - COVERED)
    low, high = np.percentile(known, [tail, 100.0 - tail])
    return float(low), float(high)
