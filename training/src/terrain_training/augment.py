"""Augmentations of a grey image and its mask: geometry on both, photometry on the image."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.segmentation_metrics import IGNORE


def augment_pair(
    image: NDArray[np.uint8], mask: NDArray[np.uint8], random: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a random variant of an image (H, W) and its mask (H, W).

    Geometry: mirror, rotation within 10 degrees, scale 0.7 to 1.6, aspect 0.8 to 1.3 and a
    shift, as one affine map; uncovered pixels become ignored. Photometry: gain, offset, gamma,
    a brightness ramp, blur and noise.
    """
    height, width = image.shape
    affine = _random_affine(height, width, random)
    image = cv2.warpAffine(
        image, affine, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    ).astype(np.uint8)
    mask = cv2.warpAffine(
        mask,
        affine,
        (width, height),
        flags=cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=float(IGNORE),
    ).astype(np.uint8)
    return _change_light(image, random), mask


def _random_affine(height: int, width: int, random: np.random.Generator) -> NDArray[np.float64]:
    angle_rad = math.radians(random.uniform(-10.0, 10.0))
    scale = math.exp(random.uniform(math.log(0.7), math.log(1.6)))
    aspect = math.exp(random.uniform(math.log(0.8), math.log(1.3)) / 2)
    mirror = -1.0 if random.random() < 0.5 else 1.0
    cosine, sine = math.cos(angle_rad), math.sin(angle_rad)
    linear = np.array([[cosine, -sine], [sine, cosine]]) @ np.diag(
        [mirror * scale * aspect, scale / aspect]
    )
    centre = np.array([width / 2, height / 2])
    slack = np.abs(scale - 1.0) * centre + 0.05 * centre
    shift = centre - linear @ centre + random.uniform(-1.0, 1.0, 2) * slack
    return np.column_stack([linear, shift])


def _change_light(image: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    values = image.astype(np.float32) / 255.0
    if random.random() < 0.8:
        values = np.power(values, math.exp(random.uniform(-0.35, 0.35)))
        mean = float(values.mean())
        values = (values - mean) * random.uniform(0.7, 1.35) + mean + random.uniform(-0.12, 0.12)
    if random.random() < 0.2:
        ramp = np.linspace(-1.0, 1.0, image.shape[1], dtype=np.float32) * random.uniform(
            -0.15, 0.15
        )
        values = values + ramp[None, :]
    if random.random() < 0.2:
        values = cv2.GaussianBlur(values, (0, 0), random.uniform(0.4, 1.2)).astype(np.float32)
    if random.random() < 0.2:
        values = values + random.normal(0.0, random.uniform(0.005, 0.03), image.shape)
    return np.asarray(np.clip(values * 255.0, 0, 255), dtype=np.uint8)
