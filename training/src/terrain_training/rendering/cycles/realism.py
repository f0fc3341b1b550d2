"""How well renders can be told from photographs, by numbers that a person would notice."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import cv2
import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.types import F32, F64, U8
from terrain_training.rendering.cycles.arrays import Bool

SIDE_PX = 256
PATCH_PX = 64
"""Side of the windows whose spectrum is measured."""
RINGS = ((0.02, 0.06), (0.06, 0.12), (0.12, 0.25), (0.25, 0.5))
"""Bands of spatial frequency, cycles a pixel."""
PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
NAMES = (
    *(f"brightness p{value}" for value in PERCENTILES),
    "contrast at 1 px",
    "contrast at 3 px",
    "contrast at 10 px",
    *(f"spectrum {low:g}-{high:g}" for low, high in RINGS),
    "spectral slope",
    "red over green",
    "blue over green",
)
MIN_PIXELS = 2000
RIDGE = 1.0
STEPS = 200
FOLDS = 7


@dataclass(frozen=True)
class Realism:
    """Hold what tells renders from photographs.

    `area` is the area under the ROC curve of a cross-validated logistic regression: 0.5 cannot
    tell, 1 always can. `photographs` and `renders` are medians of the features `NAMES`, and
    `apart` is how well each alone tells them, as an area from 0.5 to 1.
    """

    area: float
    photographs: F64
    renders: F64
    apart: F64


def features(image_hwc: U8, ground: U8) -> F64:
    """Return the features `NAMES` of a picture (H, W, 3), RGB, where `ground` (H, W) is above 0.

    Raises:
        ConfigError: there is too little ground.
    """
    if image_hwc.shape[:2] != (SIDE_PX, SIDE_PX):
        side = SIDE_PX, SIDE_PX
        image_hwc = cv2.resize(image_hwc, side, interpolation=cv2.INTER_AREA).astype(np.uint8)
        ground = cv2.resize(ground, side, interpolation=cv2.INTER_NEAREST).astype(np.uint8)
    inside = cv2.erode((ground > 0).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    if int(inside.sum()) < MIN_PIXELS:
        raise ConfigError(f"a picture has {int(inside.sum())} pixels of ground, too few to measure")
    grey = image_hwc.astype(np.float32).mean(axis=-1) / 255.0
    blurred = [grey, *(cv2.GaussianBlur(grey, (0, 0), sigma) for sigma in (1.0, 3.0, 10.0))]
    contrast = [
        math.log(float((one - other)[inside].std()) + 1e-4)
        for one, other in itertools.pairwise(blurred)
    ]
    red, green, blue = image_hwc[inside].astype(np.float64).mean(axis=0)
    bands = _spectrum(grey, inside)
    return np.array(
        [
            *np.percentile(grey[inside], PERCENTILES),
            *contrast,
            *bands,
            (bands[-1] - bands[0]) / len(bands),
            red / max(green, 1.0),
            blue / max(green, 1.0),
        ]
    )


def _spectrum(grey: F32, inside: Bool) -> list[float]:
    """Return the log power in `RINGS`, the mean over windows that are ground."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(PATCH_PX), np.fft.fftfreq(PATCH_PX)))
    window = np.hanning(PATCH_PX)[:, np.newaxis] * np.hanning(PATCH_PX)
    total, count = np.zeros_like(frequency), 0
    for row in range(0, SIDE_PX - PATCH_PX + 1, PATCH_PX // 2):
        for col in range(0, SIDE_PX - PATCH_PX + 1, PATCH_PX // 2):
            place = slice(row, row + PATCH_PX), slice(col, col + PATCH_PX)
            if inside[place].mean() > 0.9:
                patch = (grey[place] - grey[place].mean()) * window
                total += np.abs(np.fft.fft2(patch)) ** 2
                count += 1
    power = total / max(count, 1)
    return [
        math.log(float(power[(frequency >= low) & (frequency < high)].mean()) + 1e-3)
        for low, high in RINGS
    ]


def compare(photographs: F64, renders: F64, *, seed: int = 0) -> Realism:
    """Return how well two sets of features (N, K) can be told apart.

    Raises:
        ConfigError: one has fewer than two pictures.
    """
    if min(len(photographs), len(renders)) < 2:
        raise ConfigError(
            f"{len(photographs)} photographs and {len(renders)} renders are too few to compare, "
            "expected 2 of each"
        )
    every = np.concatenate([photographs, renders])
    real = np.arange(len(every)) < len(photographs)
    score = np.zeros(len(every))
    fold = np.zeros(len(every), np.int64)
    random = np.random.default_rng(seed)
    for kind in (real, ~real):
        number = int(kind.sum())
        fold[kind] = random.permutation(number) % min(FOLDS, len(photographs))
    for part in np.unique(fold):
        test = fold == part
        score[test] = _logistic(every[~test], real[~test].astype(np.float64), every[test])
    alone = np.array([roc_area(column[real], column[~real]) for column in every.T])
    return Realism(
        area=roc_area(score[real], score[~real]),
        photographs=np.median(photographs, axis=0),
        renders=np.median(renders, axis=0),
        apart=np.maximum(alone, 1.0 - alone),
    )


def roc_area(positive: F64, negative: F64) -> float:
    """Return the probability that a positive value is above a negative one, ties half."""
    above = (positive[:, np.newaxis] > negative).mean()
    same = (positive[:, np.newaxis] == negative).mean()
    return float(above + 0.5 * same)


def _logistic(known: F64, wanted: F64, asked: F64) -> F64:
    """Return the score of a ridge logistic regression, both kinds weighted alike (Newton)."""
    mean, deviation = known.mean(axis=0), known.std(axis=0) + 1e-9
    x = np.column_stack([(known - mean) / deviation, np.ones(len(known))])
    weight = np.where(wanted > 0.5, 0.5 / wanted.mean(), 0.5 / (1.0 - wanted.mean()))
    penalty = np.diag([RIDGE] * known.shape[1] + [1e-6]) * (len(known) / 50.0)
    beta = np.zeros(x.shape[1])
    for _ in range(STEPS):
        chance = 1.0 / (1.0 + np.exp(-np.clip(x @ beta, -30.0, 30.0)))
        slope = x.T @ (weight * (wanted - chance)) - penalty @ beta
        curve = (x * (weight * chance * (1.0 - chance))[:, np.newaxis]).T @ x + penalty
        step = np.linalg.solve(curve, slope)
        beta += step / max(1.0, float(np.abs(step).max()))
        if float(np.abs(step).max()) < 1e-8:
            break
    result: F64 = np.column_stack([(asked - mean) / deviation, np.ones(len(asked))]) @ beta
    return result
