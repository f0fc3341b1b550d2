"""The camera image as it is shown: with mask or confidence over it, and not too large."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from terrain_seg_ros.core.errors import TerrainSegError
from terrain_seg_ros.core.types import U8, UNLABELLED
from terrain_seg_ros.model_store.model_store import load_card, shipped_models
from terrain_seg_ros.view.layer_colors import Palette, viridis
from terrain_seg_ros.view.moment import Moment

SIDE_LIMIT_PX = 640
"""Longest side of the picture that is sent to browsers."""
BAR_LEVEL = 36
IMAGE, MASK, CONFIDENCE = "Image", "Image and mask", "Image and confidence"
MODES = (MASK, CONFIDENCE, IMAGE)
_SPARE = (
    (80, 160, 220),
    (230, 160, 60),
    (90, 180, 110),
    (200, 90, 90),
    (150, 120, 200),
    (140, 110, 90),
    (220, 140, 190),
    (130, 130, 130),
)
"""For classes of models that are not installed here."""


def camera_picture(moment: Moment, mode: str, opacity: float, palette: Palette) -> U8 | None:
    """Return the picture (H, W, 3) RGB; None while there is neither image nor mask.

    Args:
        moment: what is known.
        mode: one of `MODES`.
        opacity: of mask or confidence, 0 to 1.
        palette: colours of the classes.
    """
    image, mask = moment.image, moment.mask
    if image is None and mask is None:
        return None
    shape = mask.shape if image is None and mask is not None else image.pixels.shape  # type: ignore[union-attr]
    size = _shown_size(shape[1], shape[0])
    base: U8 = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    if image is not None:
        base = _resized(image.pixels, size, cv2.INTER_AREA)
        base = cv2.cvtColor(base, cv2.COLOR_GRAY2RGB) if base.ndim == 2 else base  # type: ignore[assignment]
    if mode == MASK and mask is not None:
        small = _resized(mask, size, cv2.INTER_NEAREST)
        over, known = _table(palette)[small], small != UNLABELLED
    elif mode == CONFIDENCE and moment.confidence is not None:
        over = viridis(_resized(moment.confidence, size, cv2.INTER_AREA))
        known = np.ones(over.shape[:2], dtype=bool)
    else:
        return base
    share = opacity if image is not None else 1.0
    blended = cv2.addWeighted(base, 1.0 - share, over, share, 0.0)
    return np.where(known[..., np.newaxis], blended, base).astype(np.uint8)


def framed(picture: U8) -> U8:
    """Return a picture (H, W, 3), at least 4:3 wide by bars beside it, as panels are."""
    height, width = picture.shape[:2]
    missing = max(0, height * 4 // 3 - width)
    sides = ((0, 0), (missing // 2, missing - missing // 2), (0, 0))
    return np.pad(picture, sides, constant_values=BAR_LEVEL)


def class_palette(names: Iterable[tuple[int, str]]) -> dict[int, tuple[int, int, int]]:
    """Return colours for classes by id: those of shipped models for names that they have."""
    known: dict[str, tuple[int, int, int]] = {}
    for model in shipped_models():
        try:
            card = load_card(model)
        except TerrainSegError:
            continue
        for item in card.taxonomy:
            known.setdefault(item.name, item.color_rgb)
    return {number: known.get(name, _SPARE[number % len(_SPARE)]) for number, name in names}


def shares(mask: U8) -> dict[int, float]:
    """Return the share of each class id in a mask (H, W), largest first."""
    counts = np.bincount(mask.ravel(), minlength=256) / max(1, mask.size)
    order = np.argsort(-counts)
    return {int(number): float(counts[number]) for number in order if counts[number] > 0.0}


def _table(palette: Palette) -> U8:
    table: U8 = np.array([_SPARE[number % len(_SPARE)] for number in range(256)], dtype=np.uint8)
    for number, rgb in palette.items():
        table[number] = rgb
    return table


def _shown_size(width_px: int, height_px: int) -> tuple[int, int]:
    scale = SIDE_LIMIT_PX / max(width_px, height_px)
    return max(1, round(width_px * scale)), max(1, round(height_px * scale))


def _resized(pixels: U8, size: tuple[int, int], how: int) -> U8:
    if (pixels.shape[1], pixels.shape[0]) == size:
        return pixels
    return np.asarray(cv2.resize(pixels, size, interpolation=how), dtype=np.uint8)
