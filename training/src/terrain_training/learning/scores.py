"""Scores of a confusion matrix, as the runtime defines them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import Tensor

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.scores.segmentation_metrics import (
    accuracy_of,
    iou_of,
    mean_iou_of,
    ratio,
)
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_training.settings.recipe import Recipe


def network_size(recipe: Recipe) -> str:
    """Return the size at which a run and a card are scored; `evaluate` uses that of the labels."""
    return f"network size ({recipe.data.width_px} x {recipe.data.height_px})"


def epoch_scores(confusion: Tensor, taxonomy: Taxonomy) -> dict[str, Any]:
    """Return mean IoU (over the true classes), pixel accuracy, and IoU and recall per class.

    A class that the truth lacks has no IoU and no part in the mean, as everywhere.

    Args:
        confusion: (K, K) counts, rows the truth.
        taxonomy: of the K classes.

    Raises:
        ConfigError: nothing was labelled.
    """
    counts = confusion.cpu().numpy().astype(np.float64)
    if counts.sum() == 0:
        raise ConfigError("no validation pixel is labelled; check the masks and the taxonomy file")
    counts = np.pad(counts, ((0, 0), (0, 1)))  # no pixel is without a prediction
    return {
        "mean_iou": float(mean_iou_of(counts)),
        "pixel_accuracy": float(accuracy_of(counts)),
        "iou": _named(iou_of(counts).tolist(), taxonomy),
        "recall": _named(ratio(np.diag(counts), counts.sum(axis=1)).tolist(), taxonomy),
    }


def _named(values: list[float], taxonomy: Taxonomy) -> dict[str, float | None]:
    return {
        name: None if math.isnan(value) else value for name, value in zip(taxonomy.names, values)
    }
