"""How far a figure would move with other images or worlds of the same kind: the bootstrap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.types import F64

COVERED = 0.95
"""Share of the resamples between the bounds of an interval."""
Interval = tuple[float, float]
"""The 2.5 and 97.5 percentile of a figure over the resamples."""


def draw(random: np.random.Generator, *, resamples: int, count: int) -> NDArray[np.int64]:
    """Return the indices (resamples, count) of `count` items, drawn with replacement."""
    return random.integers(0, count, (resamples, count))


def interval(values: Sequence[float] | F64) -> Interval | None:
    """Return the percentile interval (Efron, 1979) of a figure; None where it is NaN throughout."""
    known = np.asarray(values, dtype=np.float64)
    known = known[~np.isnan(known)]
    if not known.size:
        return None
    tail = 50.0 * (1.0 - COVERED)
    low, high = np.percentile(known, [tail, 100.0 - tail])
    return float(low), float(high)
