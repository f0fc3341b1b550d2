"""Augmentations of brightness, contrast, saturation and hue, by torchvision."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from terrain_seg_ros.core.types import U8
from terrain_training.augmentation.geometry import Pair


def brightness(image: U8, mask: U8, random: np.random.Generator, *, strength: float) -> Pair:
    """Multiply by a factor of 1 - strength to 1 + strength."""
    factor = random.uniform(max(0.0, 1.0 - strength), 1.0 + strength)
    return _changed(image, lambda pixels: functional.adjust_brightness(pixels, factor)), mask


def contrast(image: U8, mask: U8, random: np.random.Generator, *, strength: float) -> Pair:
    """Stretch about the mean by a factor of 1 - strength to 1 + strength."""
    factor = random.uniform(max(0.0, 1.0 - strength), 1.0 + strength)
    return _changed(image, lambda pixels: functional.adjust_contrast(pixels, factor)), mask


def saturation(image: U8, mask: U8, random: np.random.Generator, *, strength: float) -> Pair:
    """Take colour away or add to it; grey images stay as they are."""
    factor = random.uniform(max(0.0, 1.0 - strength), 1.0 + strength)
    if image.shape[2] == 1:
        return image, mask
    return _changed(image, lambda pixels: functional.adjust_saturation(pixels, factor)), mask


def hue(image: U8, mask: U8, random: np.random.Generator, *, strength: float) -> Pair:
    """Turn the hue by at most `strength` (0 to 0.5) of the circle; grey images stay."""
    turn = random.uniform(-strength, strength)
    if image.shape[2] == 1:
        return image, mask
    return _changed(image, lambda pixels: functional.adjust_hue(pixels, turn)), mask


def _changed(image: U8, change: Callable[[Tensor], Tensor]) -> U8:
    pixels = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
    return np.ascontiguousarray(change(pixels).numpy().transpose(1, 2, 0))
