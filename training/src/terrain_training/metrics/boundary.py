"""Boundary F1: whether outlines lie where they should (Csurka et al., BMVC 2013)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.types import F64, U8

TOLERANCE_SHARE = 0.0075
"""Of the image diagonal, as Csurka, Larlus and Perronnin take it ("What is a good evaluation
measure for semantic segmentation?", BMVC 2013)."""

Flags = NDArray[np.bool_]


def tolerance_px(height_px: int, width_px: int) -> float:
    """Return how far apart two outlines may lie, at least one pixel."""
    return max(1.0, TOLERANCE_SHARE * float(np.hypot(height_px, width_px)))


def boundary_f1(truth: U8, mask: U8, *, classes: int) -> F64:
    """Return the boundary F1 of each class (K,) in one image.

    A boundary pixel has a neighbour above, below, left or right that is of another class; the
    border of the image and that of ignored pixels is not a boundary. Precision is the share of
    predicted boundary pixels that lie within the tolerance of a true one of their class, recall
    the reverse. Pixels within the tolerance of an ignored one are not counted, since their
    counterpart may be hidden, but they may be the counterpart of a counted one.

    Args:
        truth: (H, W) class ids, 255 where nothing counts.
        mask: (H, W) predicted class ids; other values are no prediction.
        classes: how many there are.

    Returns:
        NaN where the truth has no counted boundary of the class: labels that leave the ground
        between two classes open, as AI4Mars does, tell nothing of outlines. 0 where the
        prediction alone has none.
    """
    reach_px = tolerance_px(*truth.shape)
    counted = ~_near(truth == IGNORE, reach_px)
    true_edges, predicted_edges = _edges(truth, classes), _edges(mask, classes)
    scores = np.full(classes, np.nan)
    for index in range(classes):
        true_edge = true_edges & (truth == index)
        predicted_edge = predicted_edges & (mask == index)
        recall = _share_near(true_edge, predicted_edge, counted=counted, reach_px=reach_px)
        if recall is None:
            continue
        precision = _share_near(predicted_edge, true_edge, counted=counted, reach_px=reach_px)
        scores[index] = _f1(precision or 0.0, recall)
    return scores


def _edges(labels: U8, classes: int) -> Flags:
    """Return pixels with a direct neighbour of another class; other values are no class."""
    known = labels < classes
    edges = np.zeros(labels.shape, dtype=bool)
    for before, after in (
        (np.s_[:-1, :], np.s_[1:, :]),
        (np.s_[:, :-1], np.s_[:, 1:]),
    ):
        differ = (labels[before] != labels[after]) & known[before] & known[after]
        edges[before] |= differ
        edges[after] |= differ
    return edges


def _share_near(edges: Flags, targets: Flags, *, counted: Flags, reach_px: float) -> float | None:
    """Return the share of counted edge pixels within reach of a target; None without any."""
    judged = edges & counted
    total = int(np.count_nonzero(judged))
    if not total:
        return None
    return float(np.count_nonzero(judged & _near(targets, reach_px)) / total)


def _near(targets: Flags, reach_px: float) -> Flags:
    if not targets.any():
        return np.zeros(targets.shape, dtype=bool)
    away = np.logical_not(targets).astype(np.uint8)
    distance_px = cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distance_px <= reach_px + 1e-4)


def _f1(precision: float, recall: float) -> float:
    whole = precision + recall
    return 2.0 * precision * recall / whole if whole > 0.0 else 0.0
