"""How unlike a network's training an image is, from statistics of the network's input.

The statistics are brightness, contrast at five scales, direction and sparseness of detail, and
what is black or white; `docs/evidence/novelty.md` compares them with the network's own features
and probabilities, which tell less. They cost the same on every backend and do not depend on its
precision.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.core.kernel import kernel
from terrain_seg_ros.core.model_card import ModelCard
from terrain_seg_ros.core.novelty_reference import NoveltyReference
from terrain_seg_ros.core.types import F32, F64, U8

SIDE_PX = 256
"""The statistics are taken of the image at this width and height."""
_SCALES = 5
_TEXTURE_SCALES = (1, 2, 3)
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_COARSE_PX = 32
_BAND_ROWS = _COARSE_PX // 4
_BLACK, _WHITE = 8, 247
_FLOOR = 1e-3
"""Added to contrasts, of a range of 1, before the logarithm: a quarter of a grey level."""


def novelty_of(card: ModelCard) -> Novelty | None:
    """Return what compares images with a model's training, None if its card does not say.

    Raises:
        ModelError: the card's reference is of other statistics.
    """
    return None if card.novelty is None else Novelty(card.novelty, channels=card.channel_count)


class Novelty:
    """Compares images with what a network learned from; create one per model."""

    def __init__(self, reference: NoveltyReference, *, channels: int) -> None:
        """Take the card's reference, for inputs of one or three channels.

        Raises:
            ModelError: the reference is of other statistics.
        """
        expected = statistics_count(channels)
        if len(reference.mean) != expected:
            raise ModelError(
                f"the card's novelty has {len(reference.mean)} statistics, expected {expected} for "
                f"{channels} channels; write it again (terrain-train novelty)"
            )
        self._mean = np.array(reference.mean, dtype=np.float32)
        self._whitening = np.array(reference.whitening, dtype=np.float32)
        self._references = np.array(reference.references, dtype=np.float32)
        self._limit = reference.limit

    def __call__(self, tensor_hwc_u8: U8) -> float:
        """Return the novelty of an input (h, w, C) without padding; 1 is the card's limit."""
        statistics = input_statistics(tensor_hwc_u8)
        return _nearest(statistics, self._mean, self._whitening, self._references) / self._limit


@kernel("float32[::1], float32[::1], float32[:, ::1], float32[:, ::1]")
def _nearest(statistics: F32, mean: F32, whitening: F32, references: F32) -> float:
    """Return the distance of whitened statistics (D,) to the nearest of the references (M, D)."""
    point, offset = np.zeros(mean.size), statistics - mean
    for number in range(mean.size):
        for axis in range(mean.size):
            point[axis] += offset[number] * whitening[number, axis]
    nearest = np.inf
    for reference in references:
        nearest = min(nearest, np.square(reference - point).sum())
    return math.sqrt(nearest)


def statistics_count(channels: int) -> int:
    """Return the number of statistics of an input with one or three channels."""
    grey = len(_QUANTILES) + 2 + _SCALES + 2 * len(_TEXTURE_SCALES) + 2
    return grey if channels == 1 else grey + 4


def input_statistics(tensor_hwc_u8: U8) -> F32:
    """Return the statistics (D,) of an input (h, w, 1) grey or (h, w, 3) RGB."""
    size = (SIDE_PX, SIDE_PX)
    pixels = tensor_hwc_u8
    if pixels.shape[:2] != size:
        shrinks = min(pixels.shape[:2]) >= SIDE_PX
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        pixels = np.asarray(cv2.resize(pixels, size, interpolation=method), dtype=np.uint8)
    is_colour = tensor_hwc_u8.shape[2] == 3
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) if is_colour else pixels
    luma = np.asarray(grey, dtype=np.uint8).reshape(size)
    statistics = _statistics(luma)
    return np.append(statistics, np.array(_colour(pixels), np.float32)) if is_colour else statistics


@kernel("uint8[:, ::1]")
def _statistics(luma: U8) -> F32:
    """Return the statistics of brightness (D,): its levels, then its detail by scale.

    Those of detail are the contrast, and of the middle scales direction and sparseness.
    """
    found = np.empty(len(_QUANTILES) + 4 + _SCALES + 2 * len(_TEXTURE_SCALES))
    found[: len(_QUANTILES) + 4] = _brightness(luma)
    at = len(_QUANTILES) + 4 + _SCALES
    level = luma.astype(np.float32) / np.float32(255.0)
    for scale in range(_SCALES):
        smaller = _halved(level)
        deviation, spread, across, down = _compared(level, smaller) + _FLOOR
        found[len(_QUANTILES) + 4 + scale] = math.log(deviation)
        if scale in _TEXTURE_SCALES:
            found[at], found[at + 1] = math.log(across / down), math.log(spread / deviation)
            at += 2
        level = smaller
    return found.astype(np.float32)


@kernel("uint8[:, ::1]")
def _brightness(luma: U8) -> F64:
    """Return quantiles of coarse brightness, the top and bottom quarters, shares at the ends."""
    count_of, ends = np.zeros(256, dtype=np.int64), np.zeros((2, luma.shape[1]), dtype=np.int32)
    bands, block = np.zeros(_COARSE_PX // _BAND_ROWS), len(luma) // _COARSE_PX
    for row in range(_COARSE_PX):
        sums = np.zeros(luma.shape[1], dtype=np.int32)
        for line in luma[row * block : (row + 1) * block]:
            for col in range(line.size):
                sums[col] += line[col]
                ends[0, col] += line[col] < _BLACK
                ends[1, col] += line[col] > _WHITE
        for col in range(_COARSE_PX):
            coarse = round(sums[col * block : (col + 1) * block].sum() / (block * block))
            count_of[coarse] += 1
            bands[row // _BAND_ROWS] += coarse
    found = np.empty(len(_QUANTILES) + 4)
    for place in range(len(_QUANTILES)):
        rank = round(_QUANTILES[place] * (_COARSE_PX * _COARSE_PX - 1))
        found[place] = np.searchsorted(np.cumsum(count_of), rank, side="right") / 255.0
    found[-4:-2] = np.array([bands[0], bands[-1]]) / (255.0 * _BAND_ROWS * _COARSE_PX)
    found[-2], found[-1] = np.sqrt(ends[0].sum() / luma.size), np.sqrt(ends[1].sum() / luma.size)
    return found


@kernel("float32[:, ::1]")
def _halved(level: F32) -> F32:
    """Return a level (n, n) at half the size, blurred by 1 4 6 4 1 both ways, mirrored beyond."""
    side = len(level)
    smaller = np.empty((side // 2, side // 2), dtype=np.float32)
    line = np.empty(side + 4, dtype=np.float32)
    four, six, norm = np.float32(4.0), np.float32(6.0), np.float32(1.0 / 256.0)
    for row in range(side // 2):
        at = 2 * row
        one, two, three = level[abs(at - 2)], level[abs(at - 1)], level[at]
        other, last = level[at + 1], level[min(at + 2, 2 * side - 4 - at)]
        for col in range(side):
            line[col + 2] = one[col] + last[col] + six * three[col] + four * (two[col] + other[col])
        line[0], line[1], line[side + 2], line[side + 3] = (
            line[4],
            line[3],
            line[side],
            line[side - 1],
        )
        for col in range(side // 2):
            ends, middle = line[2 * col] + line[2 * col + 4], line[2 * col + 1] + line[2 * col + 3]
            smaller[row, col] = (ends + four * middle + six * line[2 * col + 2]) * norm
    return smaller


@kernel("float32[:, ::1], float32[:, ::1]")
def _compared(level: F32, smaller: F32) -> F64:
    """Return deviation and mean size of the detail of a level, and its mean steps across and down.

    Detail is what the next smaller level lacks, which is enlarged bilinearly.
    """
    side, half = len(level), len(smaller)
    mixed, (total, squared, size) = np.empty(half + 2, np.float32), np.zeros((3, half), np.float32)
    across, down = np.zeros((2, side), dtype=np.float32)
    most, least = np.float32(0.75), np.float32(0.25)
    for row in range(side):
        near, far = smaller[row // 2], smaller[min(max(row // 2 + 2 * (row % 2) - 1, 0), half - 1)]
        for col in range(half):
            mixed[col + 1] = most * near[col] + least * far[col]
        mixed[0], mixed[half + 1] = mixed[1], mixed[half]
        line, above = level[row], level[max(row - 1, 0)]
        for col in range(half):
            left = line[2 * col] - most * mixed[col + 1] - least * mixed[col]
            right = line[2 * col + 1] - most * mixed[col + 1] - least * mixed[col + 2]
            total[col] += left + right
            squared[col] += left * left + right * right
            size[col] += abs(left) + abs(right)
        for col in range(side):
            down[col] += abs(line[col] - above[col])
        for col in range(side - 1):
            across[col] += abs(line[col + 1] - line[col])
    mean = total.astype(np.float64).sum() / level.size
    found = np.empty(4)
    found[0] = math.sqrt(max(squared.astype(np.float64).sum() / level.size - mean * mean, 0.0))
    found[1] = size.astype(np.float64).sum() / level.size
    found[2] = across.astype(np.float64).sum() / level.size
    found[3] = down.astype(np.float64).sum() / level.size
    return found


def _colour(pixels: U8) -> list[float]:
    """Return mean and deviation of red and of blue against green."""
    side = (_COARSE_PX, _COARSE_PX)
    coarse = np.asarray(cv2.resize(pixels, side, interpolation=cv2.INTER_AREA), dtype=np.float32)
    red, green, blue = (coarse[:, :, place] / np.float32(255.0) for place in range(3))
    parts = (red - green, blue - green)
    return [float(part.mean()) for part in parts] + [float(part.std()) for part in parts]
