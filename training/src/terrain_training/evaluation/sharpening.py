"""Sharpen what a network says: an unsharp mask of the probabilities and no specks.

Optional work on the network's output, known from terrain masks of satellite images. It moves
outlines and removes small things, among them small rocks: what it does to the falsely safe
pixels belongs beside what it does to the IoU.
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError, ModelError
from terrain_seg_ros.core.types import F32, U8, UNLABELLED
from terrain_training.metrics.counts import Prediction
from terrain_training.metrics.figures import Comparison, EvaluationFigures


def sharpen(probabilities: U8, *, amount: float, sigma_px: float, min_area_px: int) -> Prediction:
    """Return a prediction with sharper borders and without specks.

    Each class map gains `amount` times its difference from its own blur; the sum over the classes
    stays. A connected piece of a class smaller than `min_area_px` takes the class and the
    probabilities of the nearest pixel of a larger piece. Pixels whose probabilities are all 0
    stay without a prediction and do not blur into others.

    Args:
        probabilities: (K, H, W), probability x 255.
        amount: 0 leaves the probabilities as they are.
        sigma_px: of the blur.
        min_area_px: 0 or 1 keeps every piece.

    Raises:
        ConfigError: an amount, sigma or area is out of range.
        ModelError: the array has another shape or type.
    """
    _check(amount, sigma_px, min_area_px)
    if probabilities.ndim != 3 or probabilities.dtype != np.uint8 or not probabilities.size:
        raise ModelError(
            f"probabilities have shape {probabilities.shape} and dtype {probabilities.dtype}, "
            "expected (K, H, W) of uint8, not empty"
        )
    whole = probabilities.sum(axis=0, dtype=np.float32)
    sharp = _unsharp(probabilities.astype(np.float32), whole, amount=amount, sigma_px=sigma_px)
    mask = np.where(whole > 0.0, sharp.argmax(axis=0), UNLABELLED).astype(np.uint8)
    rounded = np.clip(np.rint(sharp), 0, 255).astype(np.uint8)
    return _without_specks(mask, rounded, min_area_px)


def sharpening_effect(before: EvaluationFigures, after: EvaluationFigures) -> Comparison:
    """Return the table of what sharpening did, over the same images and classes.

    Raises:
        ModelError: the figures are of other classes or images.
    """
    if tuple(before.iou) != tuple(after.iou) or before.truth_px != after.truth_px:
        raise ModelError(
            f"figures are of {before.images} images with pixels {dict(before.truth_px)} and of "
            f"{after.images} with {dict(after.truth_px)}; evaluate both on the same images"
        )
    rows: Mapping[str, tuple[float | None, float | None]] = {
        **{f"IoU {name}": (before.iou[name], after.iou[name]) for name in before.iou},
        "mean IoU": (before.mean_iou, after.mean_iou),
        "mean boundary F1": (before.mean_boundary_f1, after.mean_boundary_f1),
        "false-safe rate": (before.false_safe_rate, after.false_safe_rate),
        "missed share of hazards": (before.missed_hazard_share, after.missed_hazard_share),
    }
    return Comparison(
        title="Sharpening",
        columns=("before", "after", "difference"),
        rows={name: (*pair, _difference(*pair)) for name, pair in rows.items()},
    )


def _check(amount: float, sigma_px: float, min_area_px: int) -> None:
    if not 0.0 <= amount < float("inf"):
        raise ConfigError(f"amount is {amount}, expected 0 or more")
    if not 0.0 < sigma_px < float("inf"):
        raise ConfigError(f"sigma_px is {sigma_px}, expected more than 0")
    if min_area_px < 0:
        raise ConfigError(f"min_area_px is {min_area_px}, expected 0 or more")


def _unsharp(values: F32, whole: F32, *, amount: float, sigma_px: float) -> F32:
    """Return the sharpened maps (K, H, W) with the sums (H, W) that they had.

    A pixel so dim beside its surroundings that nothing would be left of it keeps its values.
    """
    seen = (whole > 0.0).astype(np.float32)
    weight = np.maximum(_blur(seen, sigma_px), np.float32(1e-6))
    blurred = np.stack([_blur(each, sigma_px) / weight for each in values])
    sharp = np.maximum(values + np.float32(amount) * (values - blurred), 0.0) * seen
    total = sharp.sum(axis=0)
    factor = np.divide(whole, total, out=np.zeros_like(whole), where=total > 0.0)
    result: F32 = np.where(total > 0.0, sharp * factor, values)
    return result


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


def _blur(values: F32, sigma_px: float) -> F32:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma_px), dtype=np.float32)


def _without_specks(mask: U8, probabilities: U8, min_area_px: int) -> Prediction:
    specks = _specks(mask, min_area_px)
    kept = ~specks & (mask != UNLABELLED)
    if not specks.any() or not kept.any():
        return Prediction(mask, probabilities)
    away = (~kept).astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(
        away, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    place_of = np.zeros(int(labels.max()) + 1, dtype=np.int64)
    place_of[labels[kept]] = np.flatnonzero(kept)
    nearest = place_of[labels[specks]]
    new_mask, new_probabilities = mask.copy(), probabilities.copy()
    new_mask[specks] = mask.ravel()[nearest]
    new_probabilities[:, specks] = probabilities.reshape(len(probabilities), -1)[:, nearest]
    return Prediction(new_mask, new_probabilities)


def _specks(mask: U8, min_area_px: int) -> NDArray[np.bool_]:
    """Return the pixels of pieces that are too small; diagonal neighbours are connected."""
    small = np.zeros(mask.shape, dtype=bool)
    for value in np.unique(mask[mask != UNLABELLED]):
        chosen = (mask == value).astype(np.uint8)
        _, pieces, statistics, _ = cv2.connectedComponentsWithStats(chosen, connectivity=8)
        too_small = statistics[:, cv2.CC_STAT_AREA] < min_area_px
        too_small[0] = False
        small |= too_small[pieces]
    return small
