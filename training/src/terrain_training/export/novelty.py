"""What a network's training images look like, fitted for its card."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.image.image_to_tensor import (
    TensorInput,
    image_to_tensor,
    tensor_geometry,
)
from terrain_seg_ros.core.image.novelty import input_statistics
from terrain_seg_ros.core.novelty_reference import NoveltyReference, Vector
from terrain_seg_ros.core.types import F32, F64, U8
from terrain_training.data.contract import Source
from terrain_training.export.export_images import spread
from terrain_training.learning.loaders import OpenData
from terrain_training.metrics.ood import PERCENTILES
from terrain_training.progress import progress_of

REFERENCES = 128
TRAINING_IMAGES = 4096
REFUSED_SHARE = 0.01
"""Share of the validation images that may exceed the limit."""
SHRINKAGE = 0.3
"""Weight of uncorrelated statistics beside the measured correlations."""
LEAST_LIMIT = 1e-3
_LEAST_DEVIATION = 1e-3
_ROUNDS = 30
_DIGITS = 4
_STEP = 1e-4


def fit_novelty(
    opened: OpenData, fitted: TensorInput, *, data: str, seed: int = 0
) -> NoveltyReference:
    """Return the reference of a network from the images that it learned from.

    Args:
        opened: both splits; training images give the reference points, validation the limit.
        fitted: the network's input.
        data: name of the data, for the card.
        seed: of the choice of reference points.

    Raises:
        ConfigError: there are fewer than two training images.
    """
    names = [opened.train[place] for place in spread(len(opened.train), TRAINING_IMAGES)]
    if len(names) < 2:
        raise ConfigError("novelty needs at least two training images; add images to the split")
    training = _statistics(opened.source, names, fitted)
    mean, whitening = _whitening(training)
    points = (training - mean) @ whitening
    references = _rounded(_centres(points, min(REFERENCES, len(points)), seed))
    mean, whitening = _rounded(mean), _rounded(whitening)
    inside = _distances(training, mean, whitening, references)
    validation = _statistics(opened.source, opened.validation, fitted)
    limit = _limit(_distances(validation, mean, whitening, references))
    return NoveltyReference(
        mean=_vector(mean),
        whitening=tuple(_vector(row) for row in whitening),
        references=tuple(_vector(row) for row in references),
        limit=round(max(limit, LEAST_LIMIT), _DIGITS),
        percentiles={
            str(share): round(value, _DIGITS)
            for share, value in zip(PERCENTILES, np.percentile(inside, PERCENTILES).tolist())
        },
        images=len(training),
        validation_images=len(validation),
        data=data,
    )


def image_statistics(image: U8, fitted: TensorInput) -> F32:
    """Return the statistics (D,) of an image of any size as a network sees it."""
    geometry = tensor_geometry(fitted, image.shape[1], image.shape[0])
    return input_statistics(geometry.tensor_view().cut(image_to_tensor(image, fitted)[0]))


def _statistics(source: Source, names: Sequence[str], fitted: TensorInput) -> F64:
    rows = [
        image_statistics(source.load(name).image, fitted)
        for name in progress_of(names, "novelty", unit="image")
    ]
    return np.array(rows, dtype=np.float64)


def _whitening(rows: F64) -> tuple[F64, F64]:
    """Return mean (D,) and a matrix (D, D) after which the rows are about white."""
    mean = rows.mean(axis=0)
    deviation = np.maximum(rows.std(axis=0), _LEAST_DEVIATION)
    unit = (rows - mean) / deviation
    correlation = unit.T @ unit / len(unit)
    mixed = (1.0 - SHRINKAGE) * correlation + SHRINKAGE * np.eye(len(mean))
    factor = np.linalg.cholesky(np.linalg.inv(mixed))
    return mean, factor / deviation[:, np.newaxis]


def _centres(points: F64, count: int, seed: int) -> F64:
    """Return centres (count, D) of the points by Lloyd's rule (k-means)."""
    random = np.random.default_rng(seed)
    centres = points[random.choice(len(points), count, replace=False)]
    for _ in range(_ROUNDS):
        square = (centres**2).sum(axis=1) - 2.0 * points @ centres.T
        nearest = square.argmin(axis=1)
        sizes = np.bincount(nearest, minlength=count)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, points)
        filled = sizes > 0
        centres[filled] = sums[filled] / sizes[filled, np.newaxis]
    return centres


def _distances(rows: F64, mean: F64, whitening: F64, references: F64) -> F64:
    narrow = [part.astype(np.float32) for part in (rows, mean, whitening, references)]
    points = (narrow[0] - narrow[1]) @ narrow[2]
    apart = [np.linalg.norm(narrow[3] - point, axis=1).min() for point in points]
    return np.array(apart, dtype=np.float64)


def _limit(distances: F64) -> float:
    """Return the least distance that at most `REFUSED_SHARE` of the images exceed."""
    kept = len(distances) - math.floor(REFUSED_SHARE * len(distances))
    return round(math.ceil(float(np.sort(distances)[kept - 1]) / _STEP) * _STEP, _DIGITS)


def _rounded(values: F64) -> F64:
    return np.round(values, _DIGITS)


def _vector(values: F64) -> Vector:
    return tuple(values.tolist())
