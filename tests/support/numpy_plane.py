"""The intersection of rays with a plane in numpy, which the compiled loops must equal."""

from __future__ import annotations

import numpy as np

from terrain_seg_ros.core.geometry.pixel_rays import PixelRays, Reach
from terrain_seg_ros.core.ground.plane_intersection import (
    FILL_SHARE,
    MAX_FILL,
    MAX_HALF,
    MIN_DISTANCE_M,
    MIN_SLOPE,
    FillPoints,
    PlaneView,
)
from terrain_seg_ros.core.types import F32, F64, U8, Reason


def numpy_intersect_plane(rays: PixelRays, mounting: tuple[F64, F64], reach: Reach) -> PlaneView:
    """Return where rays meet the plane, as `core.ground.plane_intersection` does."""
    rotation, translation_m = mounting
    height_m = float(translation_m[2])
    axes = rotation.astype(np.float32)
    along = [axes[row, 0] * rays.x + axes[row, 1] * rays.y + axes[row, 2] for row in range(3)]
    falls = along[2] < -MIN_SLOPE * rays.length
    depth_m: F32 = np.full_like(rays.x, np.nan)
    np.divide(np.float32(-height_m), along[2], out=depth_m, where=falls)
    range_m = depth_m * rays.length
    spacing_m = range_m * range_m * rays.spacing_rad * np.float32(1.0 / height_m)
    reason: U8 = np.full(falls.shape, Reason.OUTSIDE_VIEW, dtype=np.uint8)
    near = (range_m <= reach.max_range_m) & (spacing_m <= reach.max_spacing_m)
    reason[falls] = Reason.TOO_FAR
    reason[near] = Reason.OBSERVED
    offsets_m = (depth_m * along[0], depth_m * along[1])
    foot_m = (np.float32(translation_m[0]), np.float32(translation_m[1]))
    near_spacing_m = np.where(near, spacing_m, np.float32(0.0))
    cell_x_m, cell_y_m, fill = _cut(offsets_m, foot_m, near_spacing_m, cell_m=reach.cell_m)
    view = PlaneView(
        rotation=rotation,
        translation_m=translation_m,
        x_m=offsets_m[0] + foot_m[0],
        y_m=offsets_m[1] + foot_m[1],
        depth_m=depth_m,
        range_m=range_m,
        spacing_m=spacing_m,
        reason=reason,
        cell_x_m=cell_x_m,
        cell_y_m=cell_y_m,
        fill=fill,
    )
    for shared in (view.x_m, view.y_m, range_m, spacing_m, reason):
        shared.setflags(write=False)
    return view


def _cut(
    offsets_m: tuple[F32, F32],
    foot_m: tuple[np.float32, np.float32],
    spacing_m: F32,
    *,
    cell_m: float,
) -> tuple[F32, F32, FillPoints]:
    """Divide the ground that each pixel covers along its ray into parts smaller than a cell.

    A pixel extends by half the angle to its neighbours, which on the ground is farther outwards
    than inwards: from d / (1 + q) to d / (1 - q) for the distance d and q = spacing / (2 d), where
    neighbours meet. The centres of the parts are less than a cell apart, also across that border.

    Returns:
        x and y (h, w) of the first part of each pixel, and those of the others.
    """
    apart_m = np.float32(FILL_SHARE * cell_m)
    pixel = np.flatnonzero(spacing_m > apart_m)
    x_m, y_m, gap_m = (part.ravel().take(pixel) for part in (*offsets_m, spacing_m))
    distance_m = np.maximum(np.hypot(x_m, y_m), np.float32(MIN_DISTANCE_M))
    half = gap_m / (2.0 * distance_m)
    first, last = 1.0 / (1.0 + half), 1.0 / (1.0 - np.minimum(half, MAX_HALF))
    count = np.minimum(np.ceil((last - first) * distance_m / apart_m), MAX_FILL)
    step = (last - first) / count
    first += 0.5 * step
    owners, scales = [pixel[:0]], [first[:0]]
    for index in range(1, int(count.max(initial=0.0))):
        some = np.flatnonzero(count > index)
        owners.append(some)
        scales.append(first.take(some) + index * step.take(some))
    owner, scale = np.concatenate(owners), np.concatenate(scales)
    fill = FillPoints(
        pixel.take(owner),
        x_m.take(owner) * scale + foot_m[0],
        y_m.take(owner) * scale + foot_m[1],
    )
    cells = []
    for offset_m, own_m, foot in zip(offsets_m, (x_m, y_m), foot_m):
        cell = offset_m + foot
        cell.reshape(-1)[pixel] = own_m * first + foot
        cells.append(cell)
    return cells[0], cells[1], fill
