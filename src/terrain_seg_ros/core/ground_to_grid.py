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


@dataclass(frozen=True)
class _Window:
    """Hold the block of cells that one view touches."""

    row0: int
    col0: int
    rows: int
    cols: int

    def bins(self, rows: NDArray[np.int32], cols: NDArray[np.int32]) -> NDArray[np.intp]:
        bins: NDArray[np.intp] = (rows - self.row0).astype(np.intp)
        bins *= self.cols
        bins += cols - self.col0
        return bins


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
    pixels, rows, cols = _locate(grid, view)
    reason = view.reason.ravel().take(pixels)
    observed = reason == Reason.OBSERVED
    seen = np.flatnonzero(observed)
    if seen.size:
        _add(
            grid,
            _select(view, segmentation, pixels.take(seen), grid.settings.half_weight_range_m),
            rows=rows.take(seen),
            cols=cols.take(seen),
            hazards=hazards,
            hazard_threshold=hazard_threshold,
        )
    unseen = np.flatnonzero(~observed)
    reason, rows, cols = reason.take(unseen), rows.take(unseen), cols.take(unseen)
    for code in REASON_PRIORITY:
        found = np.flatnonzero(reason == code)
        if found.size:
            grid.excuse(rows.take(found), cols.take(found), code)


def _locate(
    grid: RollingGrid, view: GroundView
) -> tuple[NDArray[np.intp], NDArray[np.int32], NDArray[np.int32]]:
    """Return the flat pixel index, row and column of the points that lie in the grid."""
    per_m = np.float32(1.0 / grid.settings.resolution_m)
    col = np.concatenate([view.local_x_m.ravel(), view.fill_x_m])
    col *= per_m
    col += np.float32((view.anchor_x_m - grid.origin_x_m) / grid.settings.resolution_m)
    row = np.concatenate([view.local_y_m.ravel(), view.fill_y_m])
    row *= per_m
    row += np.float32((view.anchor_y_m - grid.origin_y_m) / grid.settings.resolution_m)
    inside = (col >= 0.0) & (col < grid.side)
    inside &= (row >= 0.0) & (row < grid.side)
    points = np.flatnonzero(inside)
    whole = int(np.searchsorted(points, view.local_x_m.size))
    filled = view.fill_pixel.take(points[whole:] - view.local_x_m.size)
    pixels = np.concatenate([points[:whole], filled])
    return pixels, row.take(points).astype(np.int32), col.take(points).astype(np.int32)


def _select(
    view: GroundView, segmentation: Segmentation, pixels: NDArray[np.intp], half_weight_m: float
) -> tuple[U8, F32]:
    """Return the probabilities (K, M) and the weight 0..255 (M,) of pixels."""
    flat = segmentation.probabilities_khw.reshape(segmentation.probabilities_khw.shape[0], -1)
    weight = view.range_m.ravel().take(pixels)
    weight *= np.float32(1.0 / half_weight_m)
    weight *= weight
    weight += np.float32(1.0)
    np.divide(segmentation.tensor_confidence.ravel().take(pixels), weight, out=weight)
    np.rint(weight, out=weight)
    return flat.take(pixels, axis=1), weight


def _add(
    grid: RollingGrid,
    selected: tuple[U8, F32],
    *,
    rows: NDArray[np.int32],
    cols: NDArray[np.int32],
    hazards: F32,
    hazard_threshold: float,
) -> None:
    probabilities, weight = selected
    row0, col0 = int(rows.min()), int(cols.min())
    window = _Window(row0, col0, int(rows.max()) - row0 + 1, int(cols.max()) - col0 + 1)
    bins = window.bins(rows, cols)
    bins *= 2
    bins += _hazardous(probabilities, hazards, hazard_threshold)
    sums = _sums([*probabilities, weight, 1.0], bins, 2 * window.rows * window.cols)
    count = sums[-1]
    touched = np.flatnonzero(count[0::2] + count[1::2])
    rest, hazardous = touched * 2, touched * 2 + 1
    hazardous_count = count.take(hazardous)
    alone = hazardous_count >= grid.settings.min_hazard_share * (count.take(rest) + hazardous_count)
    alone &= hazardous_count > 0.0
    keep = np.where(alone, 0.0, 1.0)
    parts = [part.take(hazardous) + keep * part.take(rest) for part in sums]
    *classes, weights, counts = parts
    whole = np.sum(classes, axis=0)
    gain = weights / (255.0 * counts * np.maximum(whole, 1.0))
    evidence_km: F32 = np.stack([part * gain for part in classes]).astype(np.float32)
    row, col = np.divmod(touched, window.cols)
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


def _sums(channels: Sequence[U8 | F32 | float], bins: NDArray[np.intp], size: int) -> list[F64]:
    """Return each channel's sum per bin; channels are whole numbers 0 to 255.

    Two channels go through one bincount where their sums cannot meet.
    """
    packs = bins.size * 255 < PACK
    found: list[F64] = []
    for index in range(0, len(channels), 2):
        pair = channels[index : index + 2]
        if len(pair) == 1 or not packs:
            for part in pair:
                weights: F64 = np.broadcast_to(part, bins.shape).astype(np.float64)
                found.append(np.bincount(bins, weights, size).astype(np.float64))
            continue
        packed = np.multiply(pair[1], PACK, dtype=np.float64) + pair[0]
        total = np.bincount(bins, packed, size)
        upper = np.floor(total * (1.0 / PACK))
        found += [total - upper * PACK, upper]
    return found
