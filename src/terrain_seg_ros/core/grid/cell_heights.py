"""Measured heights per cell, and the hazard of the slopes between them."""

from __future__ import annotations

import numpy as np

from terrain_seg_ros.core.grid.cell_evidence import TINY, Flags
from terrain_seg_ros.core.grid.scrolling_layers import ScrollingLayers, Slots
from terrain_seg_ros.core.kernel import kernel
from terrain_seg_ros.core.types import F32

HEIGHT_EVIDENCE_MAX = 3.0
"""Cap of the weight of a height: it is the mean of the latest few views, so it follows changes."""


class CellHeights:
    """The height layers of a rolling grid; they take memory only once a height is measured.

    Heights are relative to `level_m`, the height of the first measured view in the grid's frame.
    """

    def __init__(self, layers: ScrollingLayers) -> None:
        """Start without layers."""
        self._layers = layers
        self.level_m: float | None = None

    @property
    def heights_m(self) -> F32 | None:
        """Return a view (rows, cols) of heights above `level_m`, NaN where none were measured.

        None if no view has measured any.
        """
        return self._layers.window("height_m") if "height_m" in self._layers else None

    @property
    def sigma_m(self) -> F32 | None:
        """Return a view (rows, cols) of the heights' deviation; None if it was never known."""
        return self._layers.window("height_sigma_m") if "height_sigma_m" in self._layers else None

    @property
    def steepness(self) -> F32:
        """Return a view (rows, cols) of P(hazard) by slope and roughness, 0 where unknown."""
        if "steep" not in self._layers:
            self._layers.add_layer("steep", np.float32, 0.0)
        return self._layers.window("steep")

    def add(
        self,
        slots: Slots,
        height_m: F32,
        weight: F32,
        *,
        scale: float,
        sigma_m: F32 | None = None,
    ) -> None:
        """Include new heights in the running mean of each slot.

        The deviation of a slot is the mean of its views' with the same weights: the noise of one
        sensor in neighbouring views is not independent, so that more views do not lower it.

        Args:
            slots: (M,) slots of the cells.
            height_m: (M,) height above `level_m`, NaN where none was measured.
            weight: (M,) weight of the view, before decay.
            scale: the common decay factor.
            sigma_m: (M,) standard deviation of the heights, None where it is not known.
        """
        if "height_m" not in self._layers:
            self._layers.add_layer("height_m", np.float32, np.nan)
            self._layers.add_layer("height_weight", np.float32, 0.0)
        if sigma_m is not None and "height_sigma_m" not in self._layers:
            self._layers.add_layer("height_sigma_m", np.float32, 0.0)
        has_sigma, nothing = "height_sigma_m" in self._layers, np.empty(0, dtype=np.float32)
        _add_heights(
            slots,
            height_m,
            weight,
            nothing if sigma_m is None else sigma_m,
            self._layers.flat("height_m"),
            self._layers.flat("height_weight"),
            self._layers.flat("height_sigma_m") if has_sigma else nothing,
            HEIGHT_EVIDENCE_MAX / scale,
        )

    def multiply_weights(self, factor: float) -> None:
        """Multiply the weights of all heights, after the common decay factor was folded in."""
        if "height_weight" in self._layers:
            self._layers.whole("height_weight")[...] *= np.float32(factor)

    def forget(self, gone: Flags) -> None:
        """Remove the weight of heights of cells, given as flags over the whole buffer."""
        if "height_weight" in self._layers:
            self._layers.whole("height_weight")[gone] = 0.0


@kernel(
    "int64[::1], float32[::1], float32[::1], float32[::1], float32[::1], float32[::1], "
    "float32[::1], float64",
    writes=("mean_m", "total", "mean_sigma_m"),
)
def _add_heights(  # noqa: PLR0917
    slots: Slots,
    height_m: F32,
    weight: F32,
    sigma_m: F32,
    mean_m: F32,
    total: F32,
    mean_sigma_m: F32,
    limit: float,
) -> None:
    """Include heights (M,) at slots in means (N,), whose weights are kept up to a limit.

    `sigma_m` is empty where the deviation of heights is not known, which counts as 0, and
    `mean_sigma_m` where it never was.
    """
    for place in range(slots.size):
        slot = slots[place]
        if not np.isfinite(height_m[place]):
            continue
        together = total[slot] + max(weight[place], np.float32(TINY))
        share = np.float32(1.0) - total[slot] / together
        older_m = mean_m[slot] if total[slot] > 0.0 else height_m[place]
        mean_m[slot] = older_m + (height_m[place] - older_m) * share
        if mean_sigma_m.size:
            new_m = sigma_m[place] if sigma_m.size else np.float32(0.0)
            new_m = np.float32(0.0) if np.isnan(new_m) else new_m
            mean_sigma_m[slot] += (new_m - mean_sigma_m[slot]) * share
        total[slot] = min(together, np.float32(limit))
