"""From pixels on the ground to evidence in the grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import GeometryError
from terrain_seg_ros.core.grid import RollingGrid
from terrain_seg_ros.core.ground_view import GroundView
from terrain_seg_ros.core.types import F32, F64, U8, Reason, Segmentation

REASON_PRIORITY = (
    Reason.LOW_CONFIDENCE,
    Reason.TOO_FAR,
    Reason.NO_DEPTH,
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
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class _Points:
    """Hold points (N + F): first every pixel's own, then the fill points, whose pixels are `owner`.

    `rows` and `cols` are whole numbers, NaN or outside the grid where not `inside`.
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
        """Fill the tail of an array (N + F) with what its pixels, the head, have."""
        count = self.pixel_count
        np.take(of_pixels[:count], self.owner, out=of_pixels[count:], mode="clip")


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
    points = _locate(grid, view)
    seen = points.inside & (points.reason == Reason.OBSERVED)
    excuses = _excuses(points, np.flatnonzero(points.inside ^ seen))
    if seen.any():
        flat = probabilities.reshape(grid.class_count, -1)
        bins = _bins(points, seen, hazardous=_hazardous(flat, hazards, hazard_threshold))
        weight = _weight(view, segmentation, grid.settings.half_weight_range_m)
        _add(grid, _Sums([1.0, weight, *flat], points, bins), bins)
    for code, rows, cols in excuses:
        grid.excuse(rows, cols, code)


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
    """Return the cell along one axis, first of pixels, then of fill points."""
    cell = np.concatenate([whole_m.ravel(), fill_m])
    cell *= np.float32(1.0 / resolution_m)
    cell += np.float32(offset_m / resolution_m)
    np.floor(cell, out=cell)
    return cell


class _Bins(NamedTuple):
    """Hold the bin of each point: 2 i + 1 if it is hazardous, else 2 i, for cell i of a box.

    The box of `row_count` x `col_count` cells begins at `row0`, `col0`. Points that are not
    observed in the grid share one bin behind all others.
    """

    of_point: Index
    row0: int
    col0: int
    row_count: int
    col_count: int

    @property
    def size(self) -> int:
        """Return how many bins the box has."""
        return 2 * self.row_count * self.col_count


def _bins(points: _Points, seen: Flags, *, hazardous: Flags) -> _Bins:
    """Return the bins; the rows and columns of the points are used up."""
    rows, cols, unseen = points.rows, points.cols, ~seen
    some = int(np.argmax(seen))
    np.copyto(rows, rows[some], where=unseen)
    np.copyto(cols, cols[some], where=unseen)
    row0, col0 = int(rows.min()), int(cols.min())
    row_count, col_count = int(rows.max()) - row0 + 1, int(cols.max()) - col0 + 1
    # Whole numbers below 2^24, so float32 is exact.
    rows -= np.float32(row0)
    rows *= np.float32(2 * col_count)
    cols -= np.float32(col0)
    cols *= np.float32(2.0)
    rows += cols
    dangerous = np.empty(seen.shape, dtype=np.bool_)
    dangerous[: hazardous.size] = hazardous
    points.spread(dangerous)
    rows += dangerous
    np.copyto(rows, np.float32(2 * row_count * col_count), where=unseen)
    return _Bins(rows.astype(np.intp), row0, col0, row_count, col_count)


def _weight(view: GroundView, segmentation: Segmentation, half_weight_m: float) -> F32:
    """Return the weight of each pixel (N,), a whole number 0..255."""
    weight: F32 = view.range_m.ravel() * np.float32(1.0 / half_weight_m)
    weight *= weight
    weight += np.float32(1.0)
    np.divide(segmentation.tensor_confidence.ravel(), weight, out=weight)
    return np.rint(weight, out=weight)


def _add(grid: RollingGrid, sums: _Sums, bins: _Bins) -> None:
    cells = sums.occupied_pairs()
    rest, hazardous = sums.take(2 * cells), sums.take(2 * cells + 1)
    share = grid.settings.min_hazard_share
    alone = (hazardous[0] > 0.0) & (hazardous[0] >= share * (rest[0] + hazardous[0]))
    keep = np.where(alone, 0.0, 1.0)
    count, weights, *classes = (some + keep * other for some, other in zip(hazardous, rest))
    gain = weights / (255.0 * count * np.maximum(sum(classes), 1.0))
    evidence_km: F32 = np.empty((len(classes), cells.size), dtype=np.float32)
    for plane, part in zip(evidence_km, classes):
        np.multiply(part, gain, out=plane, casting="same_kind")
    row, col = np.divmod(cells, bins.col_count)
    row += bins.row0
    col += bins.col0
    grid.add(row, col, evidence_km)
    grid.excuse(row, col, Reason.LOW_CONFIDENCE)


def _excuses(points: _Points, unseen: Index) -> list[tuple[Reason, Index, Index]]:
    """Return the cells of points that are not observed, by reason, the strongest last."""
    reason = points.reason.take(unseen)
    given = set(np.unique(reason).tolist())
    found = []
    for code in (item for item in REASON_PRIORITY if item in given):
        some = unseen[reason == code]
        rows, cols = (axis.take(some).astype(np.intp) for axis in (points.rows, points.cols))
        found.append((code, rows, cols))
    return found


def _hazardous(probabilities: U8, hazards: F32, threshold: float) -> Flags:
    """Return which pixels of (K, N) have P(hazard) at the threshold or above."""
    hazard: F32 = np.zeros(probabilities.shape[1], dtype=np.float32)
    scaled = np.empty_like(hazard)
    for values, weight in zip(probabilities, hazards):
        if weight > 0.0:
            hazard += np.multiply(values, weight, out=scaled)
    return hazard >= 255.0 * threshold - HAZARD_ROUNDING


class _Sums:
    """Hold each channel's sum per bin; channels are whole numbers 0 to 255.

    Two channels go through one bincount where their sums cannot meet.
    """

    def __init__(self, channels: Sequence[U8 | F32 | float], points: _Points, bins: _Bins) -> None:
        """Sum up; the first channel is the count. Channels are of pixels (N,)."""
        self._channel_count = len(channels)
        self._packs = bins.of_point.size * 255 < PACK
        self._totals: list[F64] = []
        stride = 2 if self._packs else 1
        for first in range(0, len(channels), stride):
            weights: F64 = np.empty(bins.of_point.shape, dtype=np.float64)
            _pack(channels[first : first + stride], out=weights[: points.pixel_count])
            points.spread(weights)
            total: F64 = np.bincount(bins.of_point, weights, bins.size + 1).astype(
                np.float64, copy=False
            )
            self._totals.append(total[: bins.size])

    def occupied_pairs(self) -> Index:
        """Return the pairs of bins (2 i, 2 i + 1) into which anything fell."""
        return np.flatnonzero(self._totals[0][0::2] + self._totals[0][1::2])

    def take(self, bins: Index) -> list[F64]:
        """Return each channel's sum in some bins."""
        found: list[F64] = []
        for total in self._totals:
            taken = total.take(bins)
            if self._packs:
                upper = np.floor(taken * (1.0 / PACK))
                found += [taken - upper * PACK, upper]
            else:
                found.append(taken)
        return found[: self._channel_count]


def _pack(channels: Sequence[U8 | F32 | float], *, out: F64) -> None:
    """Write one channel, or two with the second above the first."""
    if len(channels) == 1:
        out[:] = channels[0]
    else:
        np.multiply(channels[1], PACK, out=out, dtype=np.float64)
        out += channels[0]
