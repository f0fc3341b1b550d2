"""Distinct points of an image (SIFT), to find one object in several images."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.types import F32, U8

SIDE_PX = 200
"""Longer side of the grey image in which points are found."""
MOST, LEAST, ALTOGETHER = 50, 12, 60_000
"""Points of one image: fewer in a large set, so that all together stay below a number."""


@dataclass(frozen=True)
class Keypoints:
    """P points: x, y, size in px and angle in degrees (P, 4), and descriptors (P, 128)."""

    places: F32
    descriptors: U8


def points_per_image(images: int) -> int:
    """Return how many points of each image are kept in a set of so many."""
    return max(LEAST, min(MOST, ALTOGETHER // max(1, images)))


def grey_of(image: U8) -> U8:
    """Return an image (H, W) or (H, W, 3) as grey levels with a longer side of `SIDE_PX`."""
    grey = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    factor = SIDE_PX / max(grey.shape)
    size = (max(8, round(grey.shape[1] * factor)), max(8, round(grey.shape[0] * factor)))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(grey, size, interpolation=method), np.uint8)


def find_keypoints(image: U8, *, count: int) -> Keypoints:
    """Return the most distinct points of an image; roots of the descriptors' shares (RootSIFT)."""
    detector = cv2.SIFT.create(nfeatures=count, contrastThreshold=0.03)
    found, values = detector.detectAndCompute(grey_of(image), None)
    if values is None:
        return Keypoints(np.zeros((0, 4), np.float32), np.zeros((0, 128), np.uint8))
    rows = [(point.pt[0], point.pt[1], point.size, point.angle) for point in found[:count]]
    share = values[:count] / np.maximum(values[:count].sum(axis=1, keepdims=True), 1e-9)
    quantised = np.rint(np.sqrt(share) * 255.0).astype(np.uint8)
    return Keypoints(np.array(rows, dtype=np.float32), quantised)


def unit_rows(descriptors: U8) -> F32:
    """Return descriptors (P, 128) of length 1, so that a product of two is a cosine."""
    values = descriptors.astype(np.float32)
    length: NDArray[np.float32] = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / np.maximum(length, 1e-6), np.float32)
