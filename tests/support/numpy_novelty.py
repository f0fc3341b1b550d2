"""The statistics of a brightness with OpenCV, which the compiled loops must equal."""

from __future__ import annotations

import cv2
import numpy as np

from terrain_seg_ros.core.types import U8

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
COARSE_PX = 32
FLOOR = 1e-3


def numpy_statistics(luma: U8) -> list[float]:
    """Return the statistics of a grey input (256, 256), as `core.image.novelty` does."""
    return brightness(luma) + detail(luma)


def brightness(luma: U8) -> list[float]:
    """Return quantiles of coarse brightness, the top and bottom quarters, shares at the ends."""
    side = (COARSE_PX, COARSE_PX)
    coarse = np.asarray(cv2.resize(luma, side, interpolation=cv2.INTER_AREA)) / 255.0
    ordered = np.sort(coarse, axis=None)
    quantiles = [float(ordered[round(share * (ordered.size - 1))]) for share in QUANTILES]
    bands = [float(coarse[:8].mean()), float(coarse[-8:].mean())]
    return quantiles + bands + [float(ends.mean() ** 0.5) for ends in (luma < 8, luma > 247)]


def detail(luma: U8) -> list[float]:
    """Return by scale the contrast, and of the middle scales direction and sparseness."""
    level = luma / np.float32(255.0)
    contrasts, textures = [], []
    for scale in range(5):
        smaller = cv2.pyrDown(level)
        lacks = level - cv2.resize(smaller, level.shape[::-1], interpolation=cv2.INTER_LINEAR)
        deviation = lacks.std(dtype=np.float64) + FLOOR
        contrasts.append(np.log(deviation))
        if scale in (1, 2, 3):
            across = np.abs(np.diff(level, axis=1)).sum(dtype=np.float64) / level.size + FLOOR
            down = np.abs(np.diff(level, axis=0)).sum(dtype=np.float64) / level.size + FLOOR
            spread = np.abs(lacks).mean(dtype=np.float64) + FLOOR
            textures += [np.log(across / down), np.log(spread / deviation)]
        level = smaller
    return contrasts + textures
