"""The running mean of heights in numpy, which the compiled loop must equal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.types import F32

TINY = 1e-12
MOST = 3.0


def numpy_add_heights(
    layers: dict[str, F32],
    slots: NDArray[np.intp],
    height_m: F32,
    weight: F32,
    *,
    scale: float,
    sigma_m: F32 | None,
) -> None:
    """Include heights at slots in `mean_m`, `total` and `sigma_m` (N,), as `CellHeights.add`."""
    known = np.isfinite(height_m)
    slots, height_m, weight = slots[known], height_m[known], weight[known]
    older_m, older = layers["mean_m"][slots], layers["total"][slots]
    older_m = np.where(older > 0.0, older_m, height_m)
    together = older + np.maximum(weight, np.float32(TINY))
    share = 1.0 - older / together
    layers["mean_m"][slots] = older_m + (height_m - older_m) * share
    new_m = np.zeros_like(height_m) if sigma_m is None else np.nan_to_num(sigma_m[known])
    layers["sigma_m"][slots] += (new_m - layers["sigma_m"][slots]) * share
    layers["total"][slots] = np.minimum(together, np.float32(MOST / scale))
