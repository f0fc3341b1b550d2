"""Conversion of the ground points of pixels to evidence in the grid."""

from __future__ import annotations

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
    cells, sums, priority, pixel, of_point = _sum_up(
        view.local_x_m,
        view.local_y_m,
        np.stack([view.fill_x_m, view.fill_y_m]),
        view.fill_pixel,
        view.reason,
        pixels,
        rule.is_hazard(pixels),
        _weights(segmentation.tensor_confidence, view.range_m, grid.settings.half_weight_range_m),
        _frame(grid, view),
    )
    seen = np.flatnonzero(pixel >= 0)
    if seen.size:
        evidence_km = _evidence(sums, seen, grid.settings.min_hazard_share)
        pixel = pixel.take(seen)
        sigma_m = view.height_sigma_m
        grid.add(
            CellView(
                cells[0].take(seen),
                cells[1].take(seen),
                evidence_km,
                hazardous=rule.is_hazard(evidence_km),
                sample_m=view.ground_sample_m.reshape(-1).take(pixel),
                height_m=_heights(grid, view, of_point, seen, len(sums)),
                height_sigma_m=None if sigma_m is None else sigma_m.reshape(-1).take(pixel),
            )
        )
    grid.set_reason(cells[0], cells[1], _BY_PRIORITY.take(priority))


def _frame(grid: RollingGrid, view: GroundView) -> F64:
    """Return (4,): column and row of the view's anchor, cells per metre, and cells per side."""
    anchor = (view.anchor_m[:2] - (grid.origin_x_m, grid.origin_y_m)) / grid.settings.resolution_m
    return np.array([*anchor, 1.0 / grid.settings.resolution_m, grid.side])


@kernel("uint8[:, ::1], float32[:, ::1], float64")
def _weights(confidence: U8, range_m: F32, half_weight_m: float) -> U8:
    """Return the weight of pixels (h, w), 0 to 255."""
    weight = np.empty_like(confidence)
    for row in range(weight.shape[0]):
        for col in range(weight.shape[1]):
            share = range_m[row, col] * np.float32(1.0 / half_weight_m)
            full = np.float32(confidence[row, col])
            weight[row, col] = np.rint(full / (share * share + np.float32(1.0)))
    return weight


@kernel("float32[::1], float32[::1], float64[::1]")
def _places(x_m: F32, y_m: F32, frame: F64) -> Index:
    """Return the place of points in the grid, row by row, -1 outside it."""
    scale, col0, row0 = np.float32(frame[2]), np.float32(frame[0]), np.float32(frame[1])
    place, side = np.empty(x_m.size, dtype=np.int32), np.int32(frame[3])
    for point in range(x_m.size):
        row, col = np.floor(y_m[point] * scale + row0), np.floor(x_m[point] * scale + col0)
        is_inside = (row >= 0.0) & (row < side) & (col >= 0.0) & (col < side)  # not where NaN
        place[point] = np.int32(row) * side + np.int32(col) if is_inside else -1
    return place


@kernel(
    "float32[:, ::1], float32[:, ::1], float32[:, ::1], int64[::1], uint8[:, ::1], "
    "uint8[:, ::1], boolean[::1], uint8[:, ::1], float64[::1]"
)
def _sum_up(  # noqa: PLR0917
    x_m: F32,
    y_m: F32,
    fill_m: F32,
    fill_pixel: NDArray[np.intp],
    reason: U8,
    pixels: U8,
    is_hazard: Flags,
    weight: U8,
    frame: F64,
) -> tuple[Index, Index, U8, Index, Index]:
    """Sum up what the points of each cell say: the points of pixels, then the fill points.

    Returns:
        Row and column (2, M) of the cells that the view says something about, in the order of its
        points; the sums (M, 2, 2 + K) of pixels, of their weights, and of their classes' bytes,
        first those of safe pixels, then those of hazards; the priority (M,) of the strongest
        reason; one of the observed pixels (M,), -1 without any; and the cell (N + F,) of each
        observed point, -1 of the others.
    """
    (height, width), side, found = reason.shape, int(frame[3]), 0
    reasons, weights, channels = reason.reshape(-1), weight.reshape(-1), 2 + len(pixels)
    most = min(reason.size + fill_pixel.size, side * side)
    number = np.full(side * side, -1, dtype=np.int32)
    listed, seen = np.empty((2, most), dtype=np.int32)
    sums, priority = np.empty((most, 2, channels), np.int32), np.empty(most, np.uint8)
    of_point = np.full(reason.size + fill_pixel.size, -1, dtype=np.int32)
    for row in range(height + 1):
        is_fill, first = row == height, row * width
        x, y = (fill_m[0], fill_m[1]) if is_fill else (x_m[row], y_m[row])
        places = _places(x, y, frame)
        for point in range(places.size):
            place, pixel = places[point], fill_pixel[point] if is_fill else first + point
            why = reasons[pixel]
            if place < 0 or not _SAYS_SOMETHING[why]:
                continue
            cell = number[place]
            if cell < 0:
                cell = number[place] = found
                listed[cell], seen[cell], priority[cell], sums[cell] = place, -1, 0, 0
                found += 1
            if why != _OBSERVED:
                priority[cell] = max(priority[cell], _PRIORITIES[why])
                continue
            priority[cell] = max(priority[cell], _PRIORITIES[_LOW_CONFIDENCE])
            seen[cell], of_point[first + point] = pixel, cell
            kind = np.int64(is_hazard[pixel])
            sums[cell, kind, 0] += 1
            sums[cell, kind, 1] += weights[pixel]
            for number_ in range(channels - 2):
                sums[cell, kind, 2 + number_] += pixels[number_, pixel]
    cells = np.empty((2, found), dtype=np.int32)
    for cell in range(found):
        cells[0, cell], cells[1, cell] = listed[cell] // side, listed[cell] % side
    return cells, sums[:found].copy(), priority[:found].copy(), seen[:found].copy(), of_point


@kernel("int32[:, :, ::1], int64[::1], float64")
def _evidence(sums: Index, cells: NDArray[np.intp], min_hazard_share: float) -> F32:
    """Return the view's evidence (K, M) of cells: of all their pixels, or of the hazards alone."""
    evidence_km = np.empty((sums.shape[2] - 2, cells.size), dtype=np.float32)
    for place in range(cells.size):
        cell, total = cells[place], 0
        count, risky = sums[cell, 0, 0] + sums[cell, 1, 0], sums[cell, 1, 0]
        kept = 0 if risky > 0 and risky >= min_hazard_share * count else 1
        for number in range(2, sums.shape[2]):
            total += kept * sums[cell, 0, number] + sums[cell, 1, number]
        weight = kept * sums[cell, 0, 1] + sums[cell, 1, 1]
        gain = weight / (255.0 * (kept * sums[cell, 0, 0] + risky) * max(total, 1))
        for number in range(2, sums.shape[2]):
            bytes_ = kept * sums[cell, 0, number] + sums[cell, 1, number]
            evidence_km[number - 2, place] = np.float32(bytes_ * gain)
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
    mean_m = np.full(cell_count, -np.inf)
    for _ in range(2):
        mean_m = _mean_from(mean_m, of_point, view.fill_pixel, view.local_z_m.reshape(-1))
    offset_m = float(view.anchor_m[2]) - grid.heights.level_m
    return (mean_m.take(seen) + offset_m).astype(np.float32)


@kernel("float64[::1], int32[::1], int64[::1], float32[::1]")
def _mean_from(lowest_m: F64, of_point: Index, owner: NDArray[np.intp], z_m: F32) -> F64:
    """Return the mean height (M,) of each cell's observed points from a height on, NaN without."""
    sum_m, count = np.zeros(lowest_m.size), np.zeros(lowest_m.size)
    for point in range(of_point.size):
        cell = of_point[point]
        if cell < 0:
            continue
        height_m = z_m[point if point < z_m.size else owner[point - z_m.size]]
        if np.isfinite(height_m) and height_m >= lowest_m[cell] - HEIGHT_ROUNDING_M:
            sum_m[cell] += height_m
            count[cell] += 1.0
    return sum_m / count
