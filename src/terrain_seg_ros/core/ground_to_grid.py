"""From pixels on the ground to evidence in the grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import GeometryError
from terrain_seg_ros.core.grid import RollingGrid
from terrain_seg_ros.core.mask_to_ground import GroundView
from terrain_seg_ros.core.types import F32, F64, U8, Reason, Segmentation

REASON_PRIORITY = (
    Reason.LOW_CONFIDENCE,
    Reason.TOO_FAR,
    Reason.UNLABELLED,
    Reason.HIDDEN,
    Reason.SATURATION,
    Reason.SHADOW,
    Reason.OWN_BODY,
)
"""Where pixels of one cell disagree, the last of these wins: from the vaguest to the plainest."""

PACK = 2.0**26
"""Two sums of bytes share one float64: each below 2^26, both exact within its 53 bits."""
HAZARD_ROUNDING = 1e-3
"""In units of 1/255: rounding must not make a pixel of exactly the threshold safe."""


Index = NDArray[np.intp]


@dataclass(frozen=True)
class _Points:
    """Hold points in the grid: the flat index of their pixel, and their cell."""

    pixels: Index
    rows: Index
    cols: Index


def ground_to_grid(
    grid: RollingGrid,
    view: GroundView,
    *,
    segmentation: Segmentation,
    hazards: F32,
    hazard_threshold: float,
) -> None:
    """Add one view to the grid; however many pixels a cell has, they count as one view.

    The view's opinion of a cell is the mean of the class probabilities of the cell's observed
    pixels, with one asymmetry so that a rock smaller than the cell is not averaged away: if at
    least `min_hazard_share` of these pixels are hazardous, that is if their P(hazard) reaches
    `hazard_threshold`, the mean is taken over the hazardous pixels alone. Its weight is the mean
    confidence of the same pixels, each times r^2 / (r^2 + range^2) with r the half-weight range.

    Cells on which only pixels that are not observed fell get no evidence but an excuse; where the
    pixels' reasons differ `REASON_PRIORITY` decides.

    Args:
        grid: moved to the vehicle and decayed to the image's stamp.
        view: where the pixels lie; its `reason` says which are observed.
        segmentation: its probabilities and confidence at tensor size are used.
        hazards: (K,) hazard per class, 0 to 1.
        hazard_threshold: what makes a pixel hazardous.

    Raises:
        GeometryError: the shapes do not fit each other.
    """
    probabilities = segmentation.probabilities_khw
    if probabilities.shape != (grid.class_count, *view.reason.shape):
        raise GeometryError(
            f"probabilities are {probabilities.shape}, expected "
            f"{(grid.class_count, *view.reason.shape)}: classes of the grid, pixels of the view"
        )
    seen, unseen, reason = _locate(grid, view)
    if seen.pixels.size:
        _add(
            grid,
            seen,
            probabilities=probabilities.reshape(grid.class_count, -1).take(seen.pixels, axis=1),
            weight=_weight(view, segmentation, seen.pixels, grid.settings.half_weight_range_m),
            hazards=hazards,
            hazard_threshold=hazard_threshold,
        )
    for code in REASON_PRIORITY:
        found = np.flatnonzero(reason == code)
        if found.size:
            grid.excuse(unseen.rows.take(found), unseen.cols.take(found), code)


def _locate(grid: RollingGrid, view: GroundView) -> tuple[_Points, _Points, U8]:
    """Return the points in the grid that are observed, and those that are not with why."""
    resolution_m = grid.settings.resolution_m
    col = _cell_of(view.local_x_m, view.fill_x_m, view.anchor_x_m - grid.origin_x_m, resolution_m)
    row = _cell_of(view.local_y_m, view.fill_y_m, view.anchor_y_m - grid.origin_y_m, resolution_m)
    inside = (col >= 0.0) & (col < grid.side)
    inside &= (row >= 0.0) & (row < grid.side)
    flat = view.reason.ravel()
    reason = np.concatenate([flat, flat.take(view.fill_pixel)])
    observed = reason == Reason.OBSERVED
    found = []
    for points in (np.flatnonzero(inside & observed), np.flatnonzero(inside & ~observed)):
        whole = int(np.searchsorted(points, flat.size))
        filled = view.fill_pixel.take(points[whole:] - flat.size)
        pixels = np.concatenate([points[:whole], filled])
        rows, cols = row.take(points).astype(np.intp), col.take(points).astype(np.intp)
        found.append((_Points(pixels, rows, cols), points))
    (seen, _), (unseen, points) = found
    return seen, unseen, reason.take(points)


def _cell_of(whole_m: F32, fill_m: F32, offset_m: float, resolution_m: float) -> F32:
    """Return the fractional cell along one axis, first of pixels, then of fill points."""
    cell = np.concatenate([whole_m.ravel(), fill_m])
    cell *= np.float32(1.0 / resolution_m)
    cell += np.float32(offset_m / resolution_m)
    return cell


def _weight(
    view: GroundView, segmentation: Segmentation, pixels: Index, half_weight_m: float
) -> F32:
    """Return the weight of pixels, a whole number 0..255."""
    weight = view.range_m.ravel().take(pixels)
    weight *= np.float32(1.0 / half_weight_m)
    weight *= weight
    weight += np.float32(1.0)
    np.divide(segmentation.tensor_confidence.ravel().take(pixels), weight, out=weight)
    return np.rint(weight, out=weight)


def _add(
    grid: RollingGrid,
    seen: _Points,
    *,
    probabilities: U8,
    weight: F32,
    hazards: F32,
    hazard_threshold: float,
) -> None:
    row0, col0 = int(seen.rows.min()), int(seen.cols.min())
    row_count, col_count = int(seen.rows.max()) - row0 + 1, int(seen.cols.max()) - col0 + 1
    bins = seen.rows - row0
    bins *= col_count
    bins += seen.cols
    bins -= col0
    bins *= 2
    bins += _hazardous(probabilities, hazards, hazard_threshold)
    sums = _Sums([1.0, weight, *probabilities], bins, 2 * row_count * col_count)
    cells = sums.occupied_pairs()
    rest, hazardous = sums.take(2 * cells), sums.take(2 * cells + 1)
    share = grid.settings.min_hazard_share
    alone = (hazardous[0] > 0.0) & (hazardous[0] >= share * (rest[0] + hazardous[0]))
    keep = np.where(alone, 0.0, 1.0)
    count, weights, *classes = (some + keep * other for some, other in zip(hazardous, rest))
    gain = weights / (255.0 * count * np.maximum(sum(classes), 1.0))
    evidence_km: F32 = np.stack([part * gain for part in classes]).astype(np.float32)
    row, col = np.divmod(cells, col_count)
    row += row0
    col += col0
    grid.add(row, col, evidence_km)
    grid.excuse(row, col, Reason.LOW_CONFIDENCE)


def _hazardous(probabilities: U8, hazards: F32, threshold: float) -> NDArray[np.bool_]:
    """Return which pixels have P(hazard) at the threshold or above."""
    hazard: F32 = np.zeros(probabilities.shape[1], dtype=np.float32)
    for values, weight in zip(probabilities, hazards):
        if weight > 0.0:
            hazard += values * np.float32(weight)
    return hazard >= 255.0 * threshold - HAZARD_ROUNDING


class _Sums:
    """Hold each channel's sum per bin; channels are whole numbers 0 to 255.

    Two channels go through one bincount where their sums cannot meet.
    """

    def __init__(self, channels: Sequence[U8 | F32 | float], bins: Index, size: int) -> None:
        """Sum up; the first channel is the count."""
        self._channel_count = len(channels)
        self._packs = bins.size * 255 < PACK
        self._totals: list[F64] = []
        stride = 2 if self._packs else 1
        for index in range(0, len(channels), stride):
            weights: F64 = np.empty(bins.shape, dtype=np.float64)
            weights[:] = channels[index]
            if index + 1 < len(channels) and self._packs:
                weights += np.multiply(channels[index + 1], PACK, dtype=np.float64)
            self._totals.append(np.bincount(bins, weights, size).astype(np.float64, copy=False))

    def occupied_pairs(self) -> Index:
        """Return the pairs of bins (2 i, 2 i + 1) into which anything fell."""
        return np.flatnonzero(self._totals[0][0::2] + self._totals[0][1::2])

    def take(self, bins: Index) -> list[F64]:
        """Return each channel's sum in some bins."""
        found: list[F64] = []
        for total in self._totals:
            taken = total.take(bins)
            upper = np.floor(taken * (1.0 / PACK)) if self._packs else np.zeros(0)
            found += [taken - upper * PACK, upper] if self._packs else [taken]
        return found[: self._channel_count]
