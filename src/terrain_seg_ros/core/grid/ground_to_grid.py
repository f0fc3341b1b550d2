"""Conversion of the ground points of pixels to evidence in the grid."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import GeometryError
from terrain_seg_ros.core.grid.cell_evidence import CellView
from terrain_seg_ros.core.grid.rolling_grid import RollingGrid
from terrain_seg_ros.core.ground.ground_view import GroundView
from terrain_seg_ros.core.hazard_rule import HazardRule
from terrain_seg_ros.core.kernel import kernel
from terrain_seg_ros.core.types import F32, F64, U8, Reason, Segmentation

REASON_PRIORITY = (
    Reason.LOW_CONFIDENCE,
    Reason.TOO_FAR,
    Reason.NO_DEPTH,
    Reason.UNLABELLED,
    Reason.HIDDEN,
    Reason.SATURATION,
    Reason.SHADOW,
    Reason.NOVEL,
    Reason.OWN_BODY,
)
"""If pixels of one cell have different reasons, the last of these, the most specific, is used."""
HEIGHT_ROUNDING_M = 1e-9
"""Tolerance: rounding must not discard all pixels of a cell whose heights are equal."""

_OBSERVED, _LOW_CONFIDENCE = np.uint8(Reason.OBSERVED), np.uint8(Reason.LOW_CONFIDENCE)
_PRIORITIES = np.array(
    [
        REASON_PRIORITY.index(code) + 1 if code in REASON_PRIORITY else 0
        for code in range(max(Reason) + 1)
    ],
    dtype=np.uint8,
)
"""1 for the weakest reason, 0 for codes that say nothing of a cell, by the reason's code."""
_SAYS_SOMETHING = (_PRIORITIES > 0) | (np.arange(_PRIORITIES.size) == Reason.OBSERVED)
_BY_PRIORITY = np.array([0, *REASON_PRIORITY], dtype=np.uint8)

Index = NDArray[np.int32]
Flags = NDArray[np.bool_]


def ground_to_grid(
    grid: RollingGrid,
    view: GroundView,
    *,
    segmentation: Segmentation,
    hazards: F32,
    hazard_threshold: float,
) -> None:
    """Add one view to the grid; all pixels of a cell together count as one view.

    The view's class probabilities of a cell are the mean over the observed pixels of the cell,
    with one asymmetry, so that a rock smaller than the cell is not averaged away: if at least
    `min_hazard_share` of these pixels are hazardous, by `HazardRule`, the mean is over the
    hazardous pixels alone. The weight is the mean confidence of the same pixels, each times
    r^2 / (r^2 + range^2), where r is the half-weight range.

    Cells that contain only pixels that are not observed get a reason instead of evidence; if the
    pixels' reasons differ, `REASON_PRIORITY` decides.

    Args:
        grid: the grid, moved to the vehicle and decayed to the image's stamp.
        view: the ground points; pixels with `Reason.OBSERVED` are used.
        segmentation: the result, of which probabilities and confidence at tensor size are used.
        hazards: (K,) hazard per class, 0 to 1.
        hazard_threshold: the P(hazard) from which a pixel is hazardous.

    Raises:
        GeometryError: the shapes do not match.
    """
    probabilities = segmentation.probabilities_khw
    if probabilities.shape != (grid.class_count, *view.reason.shape):
        raise GeometryError(
            f"probabilities are {probabilities.shape}, expected "
            f"{(grid.class_count, *view.reason.shape)}: classes of the grid, pixels of the view"
        )
    pixels = np.ascontiguousarray(probabilities).reshape(grid.class_count, -1)
    rule = HazardRule(hazards, hazard_threshold)
    of_point, cells = _number_cells(
        _cells_of_points(*_local_points(grid, view)), view.reason.reshape(-1), view.fill_pixel
    )
    if not cells.size:
        return
    sums, priority, pixel = _sum_up(
        of_point,
        cells.shape[1],
        view.fill_pixel,
        view.reason.reshape(-1),
        pixels,
        rule.is_hazard(pixels),
        np.ascontiguousarray(segmentation.tensor_confidence).reshape(-1),
        view.range_m.reshape(-1),
        1.0 / grid.settings.half_weight_range_m,
    )
    seen = np.flatnonzero(pixel >= 0)
    if seen.size:
        evidence_km = _evidence(sums, seen, grid.settings.min_hazard_share)
        pixel = pixel.take(seen)
        sigma_m = view.height_sigma_m
        grid.add(
            CellView(
                cells[0, seen],
                cells[1, seen],
                evidence_km,
                hazardous=rule.is_hazard(evidence_km),
                sample_m=view.ground_sample_m.reshape(-1).take(pixel),
                height_m=_heights(grid, view, of_point, seen, cells.shape[1]),
                height_sigma_m=None if sigma_m is None else sigma_m.reshape(-1).take(pixel),
            )
        )
    grid.set_reason(cells[0], cells[1], _BY_PRIORITY.take(priority))


def _local_points(grid: RollingGrid, view: GroundView) -> tuple[Any, ...]:
    """Return the points and the position of their anchor in the grid."""
    resolution_m = grid.settings.resolution_m
    return (
        view.local_x_m.reshape(-1),
        view.local_y_m.reshape(-1),
        view.fill_x_m,
        view.fill_y_m,
        (float(view.anchor_m[0]) - grid.origin_x_m) / resolution_m,
        (float(view.anchor_m[1]) - grid.origin_y_m) / resolution_m,
        1.0 / resolution_m,
        grid.side,
    )


@kernel("float32[::1], float32[::1], float32[::1], float32[::1], float64, float64, float64, int64")
def _cells_of_points(  # noqa: PLR0917
    pixel_x_m: F32,
    pixel_y_m: F32,
    fill_x_m: F32,
    fill_y_m: F32,
    anchor_col: float,
    anchor_row: float,
    cells_per_m: float,
    side: int,
) -> Index:
    """Return row and column (2, N + F) of pixels and fill points, -1 outside the grid."""
    scale, col0, row0 = np.float32(cells_per_m), np.float32(anchor_col), np.float32(anchor_row)
    x_m, y_m = np.concatenate((pixel_x_m, fill_x_m)), np.concatenate((pixel_y_m, fill_y_m))
    cell = np.empty((2, x_m.size), dtype=np.int32)
    for point in range(x_m.size):
        row, col = np.floor(y_m[point] * scale + row0), np.floor(x_m[point] * scale + col0)
        is_inside = (row >= 0.0) & (row < side) & (col >= 0.0) & (col < side)  # not where NaN
        cell[0, point] = np.int32(row) if is_inside else -1
        cell[1, point] = np.int32(col) if is_inside else -1
    return cell


@kernel("int32[:, ::1], uint8[::1], int64[::1]")
def _number_cells(cell: Index, reason: U8, owner: NDArray[np.intp]) -> tuple[Index, Index]:
    """Give numbers to the cells that a view says something about, in the order of its points.

    Returns:
        The number (N + F,) of each point's cell, -1 where a point says nothing, and row and column
        (2, M) of each cell.
    """
    rows, cols = cell[0], cell[1]
    row0 = col0 = np.int32(2**31 - 1)
    for point in range(rows.size):
        row0 = min(row0, rows[point] if rows[point] >= 0 else row0)
        col0 = min(col0, cols[point] if cols[point] >= 0 else col0)
    width = max(cols.max() - col0 + 1, 0)
    number_of = np.full(max(rows.max() - row0 + 1, 0) * width, -1, dtype=np.int32)
    of_point, found = np.full(rows.size, -1, dtype=np.int32), 0
    listed = np.empty((2, number_of.size), dtype=np.int32)
    for point in range(rows.size):
        pixel = point if point < reason.size else owner[point - reason.size]
        if rows[point] < 0 or not _SAYS_SOMETHING[reason[pixel]]:
            continue
        place = (rows[point] - row0) * width + cols[point] - col0
        if number_of[place] < 0:
            number_of[place] = found
            listed[0, found], listed[1, found] = rows[point], cols[point]
            found += 1
        of_point[point] = number_of[place]
    return of_point, listed[:, :found].copy()


@kernel(
    "int32[::1], int64, int64[::1], uint8[::1], uint8[:, ::1], boolean[::1], uint8[::1], "
    "float32[::1], float64"
)
def _sum_up(  # noqa: PLR0917
    of_point: Index,
    cell_count: int,
    owner: NDArray[np.intp],
    reason: U8,
    pixels: U8,
    is_hazard: Flags,
    confidence: U8,
    range_m: F32,
    per_half_weight_m: float,
) -> tuple[Index, U8, Index]:
    """Sum up what the points of each cell say.

    Returns:
        The sums (M, 2, 2 + K) of pixels, of their weights, 0 to 255, and of their classes' bytes,
        first those of safe pixels, then those of hazards; the priority (M,) of the strongest
        reason; and one of the observed pixels (M,), -1 without any.
    """
    class_count = len(pixels)
    sums = np.zeros((cell_count, 2, 2 + class_count), dtype=np.int32)
    priority = np.zeros(cell_count, dtype=np.uint8)
    seen = np.full(cell_count, -1, dtype=np.int32)
    for point in range(of_point.size):
        cell = of_point[point]
        if cell < 0:
            continue
        pixel = point if point < reason.size else owner[point - reason.size]
        if reason[pixel] != _OBSERVED:
            priority[cell] = max(priority[cell], _PRIORITIES[reason[pixel]])
            continue
        priority[cell] = max(priority[cell], _PRIORITIES[_LOW_CONFIDENCE])
        seen[cell] = pixel
        share = range_m[pixel] * np.float32(per_half_weight_m)
        weight = np.rint(np.float32(confidence[pixel]) / (share * share + np.float32(1.0)))
        kind = np.int32(is_hazard[pixel])
        sums[cell, kind, 0] += 1
        sums[cell, kind, 1] += np.int32(weight)
        for number in range(class_count):
            sums[cell, kind, 2 + number] += pixels[number, pixel]
    return sums, priority, seen


@kernel("int32[:, :, ::1], int64[::1], float64", writes=("sums",))
def _evidence(sums: Index, cells: NDArray[np.intp], min_hazard_share: float) -> F32:
    """Return the view's evidence (K, M) of cells: of all their pixels, or of the hazards alone.

    The sums of the hazards become those of the pixels that count.
    """
    evidence_km = np.empty((sums.shape[2] - 2, cells.size), dtype=np.float32)
    for place in range(cells.size):
        safe, risky = sums[cells[place], 0], sums[cells[place], 1]
        is_alone = risky[0] > 0 and risky[0] >= min_hazard_share * (safe[0] + risky[0])
        if not is_alone:
            risky += safe
        total = max(risky[2:].sum(), 1)
        gain = risky[1] / (255.0 * risky[0] * total)
        for number in range(len(evidence_km)):
            evidence_km[number, place] = np.float32(risky[2 + number] * gain)
    return evidence_km


def _heights(
    grid: RollingGrid, view: GroundView, of_point: Index, seen: NDArray[np.intp], cell_count: int
) -> F32 | None:
    """Return the height of the seen cells above the grid's level, None if the ground is a plane.

    It is the mean of the pixels that are not below the mean of all, so that a rock in part of a
    cell counts and one outlier does not decide. Noise thereby raises every cell equally by about
    0.8 standard deviations, which changes neither slope nor roughness.
    """
    if view.local_z_m is None:
        return None
    if grid.heights.level_m is None:
        grid.heights.level_m = float(view.anchor_m[2])
    z_m, reason = view.local_z_m.reshape(-1), view.reason.reshape(-1)
    mean_m = np.full(cell_count, -np.inf)
    for _ in range(2):
        mean_m = _mean_from(mean_m, of_point, view.fill_pixel, reason, z_m)
    offset_m = float(view.anchor_m[2]) - grid.heights.level_m
    return (mean_m.take(seen) + offset_m).astype(np.float32)


@kernel("float64[::1], int32[::1], int64[::1], uint8[::1], float32[::1]")
def _mean_from(
    lowest_m: F64, of_point: Index, owner: NDArray[np.intp], reason: U8, z_m: F32
) -> F64:
    """Return the mean height (M,) of each cell's observed points from a height on, NaN without."""
    sum_m, count = np.zeros(lowest_m.size), np.zeros(lowest_m.size)
    for point in range(of_point.size):
        cell = of_point[point]
        pixel = point if point < z_m.size else owner[point - z_m.size]
        if cell < 0 or reason[pixel] != _OBSERVED:
            continue
        if np.isfinite(z_m[pixel]) and z_m[pixel] >= lowest_m[cell] - HEIGHT_ROUNDING_M:
            sum_m[cell] += z_m[pixel]
            count[cell] += 1.0
    return sum_m / count
