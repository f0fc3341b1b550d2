"""Tables of a run: latency per stage, and how much of the pictures each class takes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.taxonomy import Taxonomy

LATENCY_HEAD = ("stage", "p50 ms", "p90 ms", "p99 ms")
SHARE_HEAD = ("class", "share")


def latency_rows(latency_ms: Mapping[str, Mapping[str, float]]) -> list[list[str]]:
    """Return stage and percentiles as cells; each stage has p50, p90 and p99."""
    return [
        [stage, *(f"{values[key]:.2f}" for key in ("p50", "p90", "p99"))]
        for stage, values in latency_ms.items()
    ]


def class_shares(counts: NDArray[np.int64], taxonomy: Taxonomy) -> dict[str, float]:
    """Return the share of each class by name.

    Args:
        counts: (256,) pixels by class id; unlabelled ones count in the total.
        taxonomy: the classes.
    """
    total = max(1, int(counts.sum()))
    return {entry.name: float(counts[entry.id] / total) for entry in taxonomy}


def share_rows(shares: Mapping[str, float]) -> list[list[str]]:
    """Return class and share as cells."""
    return [[name, f"{value:.1%}"] for name, value in shares.items()]
