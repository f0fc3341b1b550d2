"""Visualisations of a mask: in its classes' colours, or as an overlay on the image."""

from __future__ import annotations

import cv2
import numpy as np

from terrain_seg_ros.core.errors import ConfigError, ModelError
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import U8


def color_mask(mask: U8, taxonomy: Taxonomy) -> U8:
    """Return a mask in its classes' colours.

    Args:
        mask: (H, W) class ids; unused ids, including 255, become black.
        taxonomy: provides the colours.

    Returns:
        (H, W, 3) RGB.
    """
    table = taxonomy.palette_rgb().reshape(1, 256, 3)
    return np.asarray(cv2.LUT(cv2.cvtColor(mask, cv2.COLOR_GRAY2RGB), table), dtype=np.uint8)


def overlay(pixels: U8, mask: U8, taxonomy: Taxonomy, *, alpha: float) -> U8:
    """Return the camera image blended with the mask's colours.

    Args:
        pixels: (H, W) grey or (H, W, 3) RGB.
        mask: (H, W) class ids; unlabelled pixels keep the image's colour.
        taxonomy: provides the colours.
        alpha: weight of the colours, 0 to 1.

    Returns:
        (H, W, 3) RGB.

    Raises:
        ModelError: image and mask differ in size.
        ConfigError: alpha is out of range.
    """
    if pixels.shape[:2] != mask.shape:
        raise ModelError(f"mask {mask.shape} does not match the image {pixels.shape[:2]}")
    if not 0.0 <= alpha <= 1.0:
        raise ConfigError(f"overlay alpha is {alpha}, expected 0 to 1")
    rgb = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB) if pixels.ndim == 2 else pixels
    blended = cv2.addWeighted(rgb, 1.0 - alpha, color_mask(mask, taxonomy), alpha, 0.0)
    unlabelled = (mask >= len(taxonomy)).astype(np.uint8)
    return np.asarray(cv2.copyTo(rgb, unlabelled, blended), dtype=np.uint8)
