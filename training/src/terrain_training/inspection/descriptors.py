"""A small description of each image: its detail, to find it again, and its look, to compare it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.types import F32, U8

DETAIL_SIDE = 24
DETAIL_LENGTH = DETAIL_SIDE * DETAIL_SIDE
WORKING_SIDE = 128
LAYOUT_SIDE = 6
TONES = 8
ORIENTATIONS = 8
OCTAVES = 5
BANDS = 3
"""Orientations are counted in as many bands of the image, from top to bottom."""
LOOK_PARTS = (
    LAYOUT_SIDE * LAYOUT_SIDE,
    TONES,
    ORIENTATIONS * BANDS,
    OCTAVES,
    4,
)
"""Numbers per part of the look: layout, tones, orientations, octaves, light and colour."""
LENGTH = DETAIL_LENGTH + sum(LOOK_PARTS)
_FLAT = 1e-6
_FLAT_STD = 0.5
"""Grey levels; what varies less is constant."""


def describe(image: U8) -> F32:
    """Return the descriptor (D,), float32, of an image (H, W) or (H, W, 3).

    The first 576 numbers are the detail: 24 x 24 grey levels without what is smooth, of length 1
    (0 where the image is constant), so that a product of two is a correlation. The others are the
    look: coarse layout, tones, edge orientations, contrast per octave, light and colour.
    """
    small = np.asarray(_shrunk(image, WORKING_SIDE), dtype=np.uint8)
    colour = small if small.ndim == 3 else np.repeat(small[..., None], 3, axis=2)
    grey = (small if small.ndim == 2 else cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)).astype(
        np.float32
    )
    parts = (
        _detail(grey),
        _layout(grey),
        _tones(grey),
        _orientations(grey),
        _octaves(grey),
        _light(grey, colour.astype(np.float32)),
    )
    return np.concatenate(parts).astype(np.float32)


def detail_of(descriptors: F32) -> F32:
    """Return the part (N, 576) whose products are correlations of detail."""
    return descriptors[:, :DETAIL_LENGTH]


def look_of(descriptors: F32) -> F32:
    """Return the part (N, L) that tells kinds of image apart."""
    return descriptors[:, DETAIL_LENGTH:]


def is_constant(descriptors: F32) -> NDArray[np.bool_]:
    """Return which of (N, D) describe images of one grey level, (N,)."""
    return np.asarray(~detail_of(descriptors).any(axis=1))


def _shrunk(image: U8, side: int) -> U8:
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _detail(grey: F32) -> F32:
    if grey.std() < _FLAT_STD:
        return np.zeros(DETAIL_LENGTH, dtype=np.float32)
    small = cv2.resize(grey, (DETAIL_SIDE, DETAIL_SIDE), interpolation=cv2.INTER_AREA)
    rest = small - cv2.GaussianBlur(small, (0, 0), 2.0)
    rest = rest - rest.mean()
    return np.asarray(rest / max(float(np.linalg.norm(rest)), _FLAT), np.float32).reshape(-1)


def _layout(grey: F32) -> F32:
    small = cv2.resize(grey, (LAYOUT_SIDE, LAYOUT_SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray((small - small.mean()) / 64.0, np.float32).reshape(-1)


def _tones(grey: F32) -> F32:
    counts = np.histogram(grey, bins=TONES, range=(0.0, 256.0))[0]
    return np.sqrt(counts / grey.size).astype(np.float32)


def _orientations(grey: F32) -> F32:
    across = cv2.Sobel(grey, cv2.CV_32F, 1, 0)
    down = cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    strength = np.hypot(across, down)
    turn = np.mod(np.arctan2(down, across), np.pi) / np.pi * ORIENTATIONS
    bins = np.minimum(turn.astype(np.int64), ORIENTATIONS - 1)
    found = []
    for rows, weights in zip(
        np.array_split(bins, BANDS), np.array_split(strength, BANDS), strict=True
    ):
        counts = np.bincount(rows.reshape(-1), weights=weights.reshape(-1), minlength=ORIENTATIONS)
        found.append(counts / max(float(counts.sum()), _FLAT))
    return np.sqrt(np.concatenate(found)).astype(np.float32)


def _octaves(grey: F32) -> F32:
    levels, rest = [], grey
    for _ in range(OCTAVES):
        smooth = cv2.GaussianBlur(rest, (0, 0), 1.0)
        levels.append(float(np.log1p(np.abs(rest - smooth).mean())))
        rest = np.asarray(smooth[::2, ::2], np.float32)
    return np.array(levels, dtype=np.float32)


def _light(grey: F32, colour: F32) -> F32:
    """Return mean, spread, saturation and red against blue, about 0 to 1 each."""
    saturation = (colour.max(axis=2) - colour.min(axis=2)).mean()
    warmth = (colour[..., 0] - colour[..., 2]).mean()
    values = [grey.mean() / 255, grey.std() / 64, saturation / 64, warmth / 64]
    return np.array(values, dtype=np.float32)
