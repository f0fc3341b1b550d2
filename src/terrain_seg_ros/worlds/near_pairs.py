"""Pairs of rectangles and the points inside them, found without comparing all pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.types import F64

Ints = NDArray[np.int64]


class PointBins:
    """Points (N,) sorted into square bins, to find those inside rectangles."""

    def __init__(self, x_m: F64, y_m: F64, bin_m: float) -> None:
        """Sort points into bins with the side `bin_m`."""
        self._x_m, self._y_m, self._bin_m = x_m, y_m, bin_m
        self._left_m = float(x_m.min(initial=0.0))
        self._low_m = float(y_m.min(initial=0.0))
        col, row = self._bins(x_m, self._left_m), self._bins(y_m, self._low_m)
        self._cols = int(col.max(initial=0)) + 1
        self._rows = int(row.max(initial=0)) + 1
        key = row * self._cols + col
        self._order = np.argsort(key, kind="stable")
        self._keys = key[self._order]

    def pairs(self, x_m: F64, y_m: F64, reach_x_m: F64, reach_y_m: F64) -> tuple[Ints, Ints]:
        """Return index pairs of a rectangle (M,), given by centre and half sides, and a point."""
        first_col = np.maximum(self._bins(x_m - reach_x_m, self._left_m), 0)
        last_col = np.minimum(self._bins(x_m + reach_x_m, self._left_m), self._cols - 1)
        first_row = np.maximum(self._bins(y_m - reach_y_m, self._low_m), 0)
        last_row = np.minimum(self._bins(y_m + reach_y_m, self._low_m), self._rows - 1)
        count = np.where(last_col >= first_col, np.maximum(last_row - first_row + 1, 0), 0)
        shape, place = expand(count)
        base = (first_row[shape] + place) * self._cols
        start = np.searchsorted(self._keys, base + first_col[shape], side="left")
        end = np.searchsorted(self._keys, base + last_col[shape], side="right")
        run, place = expand(end - start)
        point, shape = self._order[start[run] + place], shape[run]
        near = np.abs(self._x_m[point] - x_m[shape]) <= reach_x_m[shape]
        near &= np.abs(self._y_m[point] - y_m[shape]) <= reach_y_m[shape]
        return shape[near], point[near]

    def _bins(self, values: F64, least: float) -> Ints:
        return np.floor((values - least) / self._bin_m).astype(np.int64)


def expand(counts: Ints) -> tuple[Ints, Ints]:
    """Return owner and running number of each of sum(counts) items, where owner i has counts[i]."""
    owner = np.repeat(np.arange(counts.size, dtype=np.int64), counts)
    place = np.arange(owner.size, dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)
    return owner, place
