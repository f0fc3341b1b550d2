"""The fusion of one view in numpy, which the compiled loops must equal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.grid.cell_evidence import CellView
from terrain_seg_ros.core.grid.ground_to_grid import REASON_PRIORITY
from terrain_seg_ros.core.grid.rolling_grid import RollingGrid
from terrain_seg_ros.core.ground.ground_view import GroundView
from terrain_seg_ros.core.hazard_rule import HazardRule
from terrain_seg_ros.core.types import F32, F64, U8, Reason, Segmentation

LANES = (3, 2, 1)
"""Numbers of byte sums packed into one float64; its 53 bits separate them as long as they fit."""
WASTE_BINS = 64
"""Number of bins (a power of two) for discarded points; consecutive sums into one bin are slow."""
HEIGHT_ROUNDING_M = 1e-9
"""Tolerance: rounding must not discard all pixels of a cell whose heights are equal."""


Index = NDArray[np.intp]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class _Points:
    """Points (N + F): first one per pixel, then the fill points, which belong to pixels `owner`.

    `rows` and `cols` are integral, and NaN or outside the grid where not `inside`.
    """

    rows: F32
    cols: F32
    inside: Flags
    reason: U8
    owner: Index

    @property
    def pixel_count(self) -> int:
        """Return N."""
        return self.reason.size - self.owner.size

    def spread(self, of_pixels: NDArray[Any]) -> None:
        """Copy the values of the pixels, the first N of an array (N + F), to their fill points."""
        count = self.pixel_count
        np.take(of_pixels[:count], self.owner, out=of_pixels[count:], mode="clip")


def numpy_ground_to_grid(
    grid: RollingGrid,
    view: GroundView,
    *,
    segmentation: Segmentation,
    hazards: F32,
    hazard_threshold: float,
) -> None:
    """Add one view to the grid, as `core.grid.ground_to_grid` does."""
    probabilities = segmentation.probabilities_khw
    points = _locate(grid, view)
    seen = points.inside & (points.reason == Reason.OBSERVED)
    unseen = np.flatnonzero(~seen)
    reasons = _unseen_reasons(points, unseen[points.inside.take(unseen)])
    if unseen.size < seen.size:
        flat = probabilities.reshape(grid.class_count, -1)
        rule = HazardRule(hazards, hazard_threshold)
        some = int(np.argmax(seen))
        bins = _bins(points, unseen, some=some, hazardous=rule.is_hazard(flat))
        weight = _weight(view, segmentation, grid.settings.half_weight_range_m)
        sums = _sum_up([1.0, weight, *flat], points, bins)
        cells = np.flatnonzero((sums.totals[0][0::2] + sums.totals[0][1::2]) > 0.0)
        row, col = np.divmod(cells, bins.col_count)
        row += bins.row0
        col += bins.col0
        evidence_km = _evidence(sums.take_pairs(cells), grid.settings.min_hazard_share)
        grid.add(
            CellView(
                row,
                col,
                evidence_km,
                hazardous=rule.is_hazard(evidence_km),
                sample_m=_one_of_each(view.ground_sample_m, points, bins, cells),
                height_m=_heights(grid, view, points, bins, cells),
                height_sigma_m=(
                    None
                    if view.height_sigma_m is None
                    else _one_of_each(view.height_sigma_m, points, bins, cells)
                ),
            )
        )
        grid.set_reason(row, col, Reason.LOW_CONFIDENCE)
    for code, rows, cols in reasons:
        grid.set_reason(rows, cols, code)


def _locate(grid: RollingGrid, view: GroundView) -> _Points:
    resolution_m = grid.settings.resolution_m
    anchor_x_m, anchor_y_m = view.anchor_m[:2].tolist()
    cols = _cell_of(view.local_x_m, view.fill_x_m, anchor_x_m - grid.origin_x_m, resolution_m)
    rows = _cell_of(view.local_y_m, view.fill_y_m, anchor_y_m - grid.origin_y_m, resolution_m)
    inside = (cols >= 0.0) & (cols < grid.side)
    inside &= rows >= 0.0
    inside &= rows < grid.side
    reason: U8 = np.empty(rows.shape, dtype=np.uint8)
    reason[: view.reason.size] = view.reason.ravel()
    points = _Points(rows, cols, inside, reason, view.fill_pixel)
    points.spread(reason)
    return points


def _cell_of(whole_m: F32, fill_m: F32, offset_m: float, resolution_m: float) -> F32:
    """Return the cell index along one axis, first of pixels, then of fill points."""
    cell: F32 = np.empty(whole_m.size + fill_m.size, dtype=np.float32)
    cells_per_m = np.float32(1.0 / resolution_m)
    np.multiply(whole_m.reshape(-1), cells_per_m, out=cell[: whole_m.size])
    np.multiply(fill_m, cells_per_m, out=cell[whole_m.size :])
    cell += np.float32(offset_m / resolution_m)
    return np.floor(cell, out=cell)


class _Bins(NamedTuple):
    """The bin of each point: 2 i + 1 if it is hazardous, else 2 i, for cell i of a box.

    The box of `row_count` x `col_count` cells begins at `row0`, `col0`. Points that are not
    observed in the grid use extra bins after all others.
    """

    of_point: Index
    row0: int
    col0: int
    row_count: int
    col_count: int

    @property
    def size(self) -> int:
        """Return the number of bins of the box."""
        return 2 * self.row_count * self.col_count


def _bins(points: _Points, unseen: Index, *, some: int, hazardous: Flags) -> _Bins:
    """Return the bins; the rows and columns of the points are overwritten.

    Args:
        points: the points.
        unseen: (M,) indices of points that are not observed in the grid.
        some: the index of one that is.
        hazardous: (N,) flags of the pixels.
    """
    rows, cols = points.rows, points.cols
    rows[unseen], cols[unseen] = rows[some], cols[some]
    row0, col0 = int(rows.min()), int(cols.min())
    row_count, col_count = int(rows.max()) - row0 + 1, int(cols.max()) - col0 + 1
    # Integers below 2^24, so float32 is exact.
    rows -= np.float32(row0)
    rows *= np.float32(2 * col_count)
    cols -= np.float32(col0)
    cols *= np.float32(2.0)
    rows += cols
    dangerous = np.empty(rows.shape, dtype=np.bool_)
    dangerous[: hazardous.size] = hazardous
    points.spread(dangerous)
    rows += dangerous
    waste = np.arange(unseen.size, dtype=np.int32) & (WASTE_BINS - 1)
    rows[unseen] = waste + np.int32(2 * row_count * col_count)
    return _Bins(rows.astype(np.intp), row0, col0, row_count, col_count)


def _weight(view: GroundView, segmentation: Segmentation, half_weight_m: float) -> F32:
    """Return the weight of each pixel (N,), an integral value 0..255."""
    weight: F32 = view.range_m.ravel() * np.float32(1.0 / half_weight_m)
    weight *= weight
    weight += np.float32(1.0)
    np.divide(segmentation.tensor_confidence.ravel(), weight, out=weight)
    return np.rint(weight, out=weight)


def _evidence(pairs: Sequence[F64], min_hazard_share: float) -> F32:
    """Return the view's evidence (K, M) from the sums (M, 2) of each channel.

    The channels are the count, the weight and the classes; the second column sums hazardous
    pixels, the first one the others.
    """
    total, risky = pairs[0].sum(axis=1), pairs[0][:, 1]
    alone = (risky > 0.0) & (risky >= min_hazard_share * total)
    keep = np.where(alone, 0.0, 1.0)
    counts, weights, *classes = (pair[:, 1] + keep * pair[:, 0] for pair in pairs)
    gain = weights / (255.0 * counts * np.maximum(sum(classes), 1.0))
    evidence_km: F32 = np.empty((len(classes), keep.size), dtype=np.float32)
    for plane, part in zip(evidence_km, classes):
        np.multiply(part, gain, out=plane, casting="same_kind")
    return evidence_km


def _one_of_each(values: F32, points: _Points, bins: _Bins, cells: Index) -> F32:
    """Return a value of pixels (h, w) in each cell, taken from one of its pixels."""
    of_cell: F32 = np.empty(bins.row_count * bins.col_count + WASTE_BINS, dtype=np.float32)
    of_point: F32 = np.empty(bins.of_point.size, dtype=np.float32)
    of_point[: points.pixel_count] = values.reshape(-1)
    points.spread(of_point)
    of_cell[bins.of_point >> 1] = of_point
    return of_cell.take(cells)


def _heights(
    grid: RollingGrid, view: GroundView, points: _Points, bins: _Bins, cells: Index
) -> F32 | None:
    """Return the height of each cell above the grid's level, None if the ground is a plane.

    It is the mean of the pixels that are not below the mean of all, so that a rock in part of a
    cell counts and one outlier does not decide. Noise thereby raises every cell equally by about
    0.8 standard deviations, which changes neither slope nor roughness.
    """
    if view.local_z_m is None:
        return None
    if grid.heights.level_m is None:
        grid.heights.level_m = float(view.anchor_m[2])
    z_m: F64 = np.empty(bins.of_point.size, dtype=np.float64)
    z_m[: points.pixel_count] = view.local_z_m.reshape(-1)
    points.spread(z_m)
    known = np.isfinite(z_m)
    z_m[~known] = 0.0
    of_point, count = bins.of_point >> 1, bins.row_count * bins.col_count + WASTE_BINS
    weight = np.bincount(of_point, known, count)
    mean_m = np.bincount(of_point, z_m, count) / np.maximum(weight, 1.0)
    known &= z_m >= mean_m.take(of_point) - HEIGHT_ROUNDING_M
    z_m *= known
    weight = np.bincount(of_point, known, count)
    mean_m = np.bincount(of_point, z_m, count) / np.maximum(weight, 1.0)
    height_m = mean_m.take(cells) + (float(view.anchor_m[2]) - grid.heights.level_m)
    height_m[weight.take(cells) == 0.0] = np.nan
    return height_m.astype(np.float32)


def _unseen_reasons(points: _Points, unseen: Index) -> list[tuple[Reason, Index, Index]]:
    """Return the cells of points that are not observed, by reason, the strongest last."""
    reason = points.reason.take(unseen)
    given = set(np.flatnonzero(np.bincount(reason)).tolist())
    found = []
    for code in (item for item in REASON_PRIORITY if item in given):
        some = unseen[reason == code]
        rows, cols = (axis.take(some).astype(np.intp) for axis in (points.rows, points.cols))
        found.append((code, rows, cols))
    return found


class _Sums(NamedTuple):
    """Each channel's sum per bin, `lanes` channels packed in one float64, the first uppermost."""

    totals: list[F64]
    lanes: int
    channel_count: int

    def take_pairs(self, pairs: Index) -> list[F64]:
        """Return each channel's sum (M, 2) in the pairs of bins 2 i and 2 i + 1."""
        found: list[F64] = []
        base = _lane_base(self.lanes)
        for total in self.totals:
            rest = total.reshape(-1, 2).take(pairs, axis=0)
            lanes = min(self.lanes, self.channel_count - len(found))
            for lane in range(lanes - 1, 0, -1):
                upper = np.floor(rest * base**-lane)
                rest -= upper * base**lane
                found.append(upper)
            found.append(rest)
        return found


def _lane_base(lanes: int) -> float:
    return float(2.0 ** (53 // lanes))


def _sum_up(channels: Sequence[U8 | F32 | float], points: _Points, bins: _Bins) -> _Sums:
    """Sum channels (N,) of integers 0 to 255 per bin; the first is the count.

    As many channels as fit share one bincount. Whether they fit follows from the sum of the count,
    which is packed above the others: it is too large if one of those overflows.
    """
    for lanes in LANES:
        first = _bincount(channels[:lanes], lanes, points, bins)
        base = _lane_base(lanes)
        if lanes == 1 or first.max() < math.floor((base - 1.0) / 255.0) * base ** (lanes - 1):
            break
    rest = range(lanes, len(channels), lanes)
    totals = [first] + [_bincount(channels[at : at + lanes], lanes, points, bins) for at in rest]
    return _Sums(totals, lanes, len(channels))


def _bincount(
    channels: Sequence[U8 | F32 | float], lanes: int, points: _Points, bins: _Bins
) -> F64:
    weights: F64 = np.empty(bins.of_point.shape, dtype=np.float64)
    packed, base = weights[: points.pixel_count], _lane_base(lanes)
    packed[:] = channels[-1]
    for lane, channel in enumerate(channels[-2::-1], start=1):
        packed += np.multiply(channel, base**lane, dtype=np.float64)
    points.spread(weights)
    total = np.bincount(bins.of_point, weights, bins.size)
    return total[: bins.size].astype(np.float64, copy=False)
