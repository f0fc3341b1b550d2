"""Augmentations that move pixels: of the image and of its mask alike."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.types import U8

Pair = tuple[U8, U8]


def flip_horizontal(image: U8, mask: U8, _random: np.random.Generator) -> Pair:
    """Mirror left and right."""
    return image[:, ::-1], mask[:, ::-1]


def flip_vertical(image: U8, mask: U8, _random: np.random.Generator) -> Pair:
    """Mirror top and bottom."""
    return image[::-1], mask[::-1]


def camera_affine(
    image: U8,
    mask: U8,
    random: np.random.Generator,
    *,
    rotation_deg: float,
    scale_min: float,
    scale_max: float,
    aspect_min: float,
    aspect_max: float,
) -> Pair:
    """Turn, scale, stretch, shift and half of the time mirror, as one affine map.

    Uncovered pixels of the mask become ignored.
    """
    height, width = mask.shape
    angle_rad = math.radians(random.uniform(-rotation_deg, rotation_deg))
    scale = math.exp(random.uniform(math.log(scale_min), math.log(scale_max)))
    aspect = math.exp(random.uniform(math.log(aspect_min), math.log(aspect_max)) / 2)
    mirror = -1.0 if random.random() < 0.5 else 1.0
    cosine, sine = math.cos(angle_rad), math.sin(angle_rad)
    linear = np.array([[cosine, -sine], [sine, cosine]]) @ np.diag(
        [mirror * scale * aspect, scale / aspect]
    )
    centre = np.array([width / 2, height / 2])
    slack = np.abs(scale - 1.0) * centre + 0.05 * centre
    shift = centre - linear @ centre + random.uniform(-1.0, 1.0, 2) * slack
    return _warp(image, mask, np.column_stack([linear, shift]))


def _warp(image: U8, mask: U8, affine: NDArray[np.float64]) -> Pair:
    height, width = mask.shape
    moved = cv2.warpAffine(
        image, affine, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    labels = cv2.warpAffine(
        mask,
        affine,
        (width, height),
        flags=cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=float(IGNORE),
    )
    return np.asarray(moved, np.uint8).reshape(image.shape), np.asarray(labels, np.uint8)
