"""Small taxonomies and predictions whose figures can be computed by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from terrain_seg_ros.core.hazard_rule import HazardRule
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_seg_ros.core.types import U8, UNLABELLED
from terrain_training.evaluation.worst_cases import WorstCases
from terrain_training.metrics.counts import EvaluationCounts, Prediction
from terrain_training.metrics.figures import EvaluationFigures, ImageFigures

SOIL, SLOPE, ROCK = 0, 1, 2
GROUND = Taxonomy(
    (
        TerrainClass(SOIL, "soil", (150, 110, 70), 0.0),
        TerrainClass(SLOPE, "slope", (90, 140, 200), 0.4),
        TerrainClass(ROCK, "rock", (200, 60, 60), 1.0),
    )
)
TWO = Taxonomy(
    (
        TerrainClass(0, "safe", (0, 200, 0), 0.0),
        TerrainClass(1, "danger", (200, 0, 0), 1.0),
    )
)


def ids(rows: Sequence[Sequence[int]]) -> U8:
    """Return class ids (H, W)."""
    return np.array(rows, dtype=np.uint8)


def certain(mask: U8, classes: int = 3) -> Prediction:
    """Return a prediction with probability 1 for the mask's class, 0 where it has none."""
    probabilities = (np.arange(classes)[:, None, None] == mask).astype(np.uint8) * 255
    return Prediction(mask, probabilities.astype(np.uint8))


def dangerous(scores: U8) -> Prediction:
    """Return a prediction of `TWO` whose hazard score is the given byte (H, W)."""
    return Prediction((scores >= 128).astype(np.uint8), np.stack([255 - scores, scores]))


def random_pair(seed: int, *, size_px: int = 24, unpredicted: bool = True) -> tuple[U8, Prediction]:
    """Return truth with ignored pixels, and a prediction that is right two times in three."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, (size_px, size_px)).astype(np.uint8)
    shares = random.dirichlet([1.0, 1.0, 1.0], truth.shape) + 0.6 * np.eye(3)[truth]
    shares /= shares.sum(axis=-1, keepdims=True)
    probabilities = np.rint(255.0 * np.moveaxis(shares, -1, 0)).astype(np.uint8)
    mask = probabilities.argmax(axis=0).astype(np.uint8)
    if unpredicted:
        unseen = random.random(truth.shape) < 0.1
        mask[unseen], probabilities[:, unseen] = UNLABELLED, 0
    truth[random.random(truth.shape) < 0.2] = UNLABELLED
    return truth, Prediction(mask, probabilities)


def counted(
    pairs: Sequence[tuple[U8, Prediction]], taxonomy: Taxonomy = GROUND
) -> tuple[EvaluationCounts, list[ImageFigures]]:
    """Return the counts of pairs of truth and prediction, and what each image gave."""
    counts = EvaluationCounts(taxonomy)
    each = [counts.add(f"image {place}", *pair) for place, pair in enumerate(pairs)]
    return counts, each


def figures_of(
    pairs: Sequence[tuple[U8, Prediction]], taxonomy: Taxonomy = GROUND, **options: float
) -> EvaluationFigures:
    """Return the figures of pairs of truth and prediction, from 50 resamples."""
    return counted(pairs, taxonomy)[0].figures(**{"seed": 3, "resamples": 50, **options})


def case(missed: int, confused: int = 0, side_px: int = 10) -> tuple[U8, Prediction]:
    """Return truth of soil over rock, and a prediction with so many pixels wrong."""
    truth = np.zeros((side_px, side_px), np.uint8)
    truth[side_px // 2 :] = ROCK
    mask = truth.copy()
    mask.ravel()[-missed or truth.size :] = SOIL
    mask.ravel()[:confused] = SLOPE
    return truth, certain(mask)


def gather(
    cases: Mapping[str, tuple[U8, Prediction]], limit: int = 3
) -> tuple[EvaluationCounts, WorstCases]:
    """Return the counts and the worst of cases by name."""
    counts, worst = EvaluationCounts(GROUND), WorstCases(limit, rule=HazardRule.of(GROUND, 0.5))
    for name, (truth, prediction) in cases.items():
        image = np.full((*truth.shape, 3), 90, np.uint8)
        worst.add(image, truth, prediction, counts.add(name, truth, prediction))
    return counts, worst
