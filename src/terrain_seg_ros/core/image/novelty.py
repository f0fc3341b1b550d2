"""How unlike a network's training an image is, from statistics of the network's input.

The statistics are brightness, contrast at five scales, direction and sparseness of detail, and
what is black or white; `docs/evidence/novelty.md` compares them with the network's own features
and probabilities, which tell less. They cost the same on every backend and do not depend on its
precision.
"""

from __future__ import annotations

import cv2
import numpy as np

from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.core.model_card import ModelCard
from terrain_seg_ros.core.novelty_reference import NoveltyReference
from terrain_seg_ros.core.types import F32, U8

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
        point = np.dot(input_statistics(tensor_hwc_u8) - self._mean, self._whitening)
        distances = distances_to(self._references, np.asarray(point, dtype=np.float32))
        return float(distances.min()) / self._limit


def distances_to(references: F32, point: F32) -> F32:
    """Return the distances (M,) of references (M, D) to a point (D,)."""
    offsets = references - point
    return np.asarray(np.sqrt(np.einsum("md,md->m", offsets, offsets)), dtype=np.float32)


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
    values = _brightness(luma) + _detail(luma)
    if is_colour:
        values += _colour(pixels)
    return np.array(values, dtype=np.float32)


def _brightness(luma: U8) -> list[float]:
    """Return quantiles of coarse brightness, the top and bottom quarters, shares at the ends."""
    side = (_COARSE_PX, _COARSE_PX)
    coarse = np.asarray(cv2.resize(luma, side, interpolation=cv2.INTER_AREA)) / np.float32(255.0)
    ordered = np.sort(coarse, axis=None)
    quantiles = [float(ordered[round(share * (ordered.size - 1))]) for share in _QUANTILES]
    bands = [float(coarse[:_BAND_ROWS].mean()), float(coarse[-_BAND_ROWS:].mean())]
    ends = [np.count_nonzero(luma < _BLACK), np.count_nonzero(luma > _WHITE)]
    return quantiles + bands + [(count / luma.size) ** 0.5 for count in ends]


def _detail(luma: U8) -> list[float]:
    """Return by scale the contrast, and of the middle scales direction and sparseness."""
    level = luma.astype(np.float32) / np.float32(255.0)
    contrasts, textures = [], []
    for scale in range(_SCALES):
        smaller = cv2.pyrDown(level)
        detail = level - cv2.resize(smaller, level.shape[::-1], interpolation=cv2.INTER_LINEAR)
        deviation = float(cv2.meanStdDev(detail)[1][0, 0]) + _FLOOR
        contrasts.append(float(np.log(deviation)))
        if scale in _TEXTURE_SCALES:
            across = cv2.norm(level[:, 1:], level[:, :-1], cv2.NORM_L1) / level.size + _FLOOR
            down = cv2.norm(level[1:], level[:-1], cv2.NORM_L1) / level.size + _FLOOR
            spread = cv2.norm(detail, cv2.NORM_L1) / detail.size + _FLOOR
            textures += [float(np.log(across / down)), float(np.log(spread / deviation))]
        level = np.asarray(smaller, dtype=np.float32)
    return contrasts + textures


def _colour(pixels: U8) -> list[float]:
    """Return mean and deviation of red and of blue against green."""
    side = (_COARSE_PX, _COARSE_PX)
    coarse = np.asarray(cv2.resize(pixels, side, interpolation=cv2.INTER_AREA), dtype=np.float32)
    red, green, blue = (coarse[:, :, place] / np.float32(255.0) for place in range(3))
    parts = (red - green, blue - green)
    return [float(part.mean()) for part in parts] + [float(part.std()) for part in parts]
