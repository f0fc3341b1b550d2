"""Ground points from one depth per pixel, trusted up to a reach and filled along the surface."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.geometry.pixel_rays import MIN_GRAZING, PixelRays, Reach
from terrain_seg_ros.core.ground.ground_view import GroundView, Poses
from terrain_seg_ros.core.ground.plane_intersection import MAX_FILL, MIN_SLOPE
from terrain_seg_ros.core.kernel import kernel
from terrain_seg_ros.core.types import F32, U8, Reason

CONTINUOUS = np.float32(2.0)
"""Largest distance of neighbours on one surface, as a multiple of that on level ground."""
FILL_SHARE = 0.7
"""Largest distance of fill points as a share of a cell: a square lattice this dense leaves no cell
empty at any rotation (1 / sqrt 2, less rounding)."""
MAX_FILL_WITHIN = 16
"""Most parts into which each side of a square of four pixels is divided."""
MEDIAN_PX = 5
"""Side, in pixels, of the window whose median spacing may qualify a pixel as trusted."""

_OBSERVED, _TOO_FAR = np.uint8(Reason.OBSERVED), np.uint8(Reason.TOO_FAR)
_NO_DEPTH, _OUTSIDE_VIEW = np.uint8(Reason.NO_DEPTH), np.uint8(Reason.OUTSIDE_VIEW)

Flags = NDArray[np.bool_]
Index = NDArray[np.intp]


def depth_to_ground(depth_m: F32, rays: PixelRays, reach: Reach, poses: Poses) -> GroundView:
    """Return the ground points of pixels with a known depth, in the grid's frame.

    Neighbours are on one continuous surface if their distance is at most `CONTINUOUS` times the
    distance on level ground at that range and height; the ground between them is filled, half
    from each. If they are farther apart, the nearer one hides the ground in between, and nothing
    is filled. A pixel between two such edges, nearer than one side and farther than the other,
    mixes both surfaces and lies on neither; it gets no depth.

    Args:
        depth_m: (h, w) along the optical axis, NaN where nothing was measured.
        rays: the rays of the pixels, optical frame.
        reach: the limits of trust and the spacing of fill points.
        poses: the poses of camera and vehicle; the anchor is the vehicle's origin.
    """
    anchor_m = poses.grid_T_base.translation_m
    local_m, range_m, level_m, rise = _place_pixels(
        depth_m,
        rays.x,
        rays.y,
        rays.length,
        rays.spacing_rad,
        poses.grid_T_camera.rotation.astype(np.float32),
        (poses.grid_T_camera.translation_m - anchor_m).astype(np.float32),
    )
    gap_m = _gaps(local_m, level_m)
    spacing_m = _spacing(range_m, rays.spacing_rad, level_m, gap_m)
    _discard_mixed(local_m, range_m, spacing_m, gap_m)
    reason = _trust(range_m, spacing_m, rise, reach.max_range_m, reach.max_spacing_m)
    fill_pixel, fill_x_m, fill_y_m = _fill(
        local_m, _parts(gap_m, reason, 1.0 / (FILL_SHARE * reach.cell_m))
    )
    return GroundView(
        range_m=range_m,
        reason=reason,
        plane_x_m=local_m[0],
        plane_y_m=local_m[1],
        grid_R_plane=np.eye(3),
        anchor_m=anchor_m,
        local_x_m=local_m[0],
        local_y_m=local_m[1],
        fill_pixel=fill_pixel,
        fill_x_m=fill_x_m,
        fill_y_m=fill_y_m,
        ground_sample_m=spacing_m,
        local_z_m=local_m[2],
    )


@kernel(
    "float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], "
    "float32[:, ::1], float32[::1]"
)
def _place_pixels(  # noqa: PLR0917
    depth_m: F32, x: F32, y: F32, length: F32, spacing_rad: F32, axes: F32, offset_m: F32
) -> tuple[F32, F32, F32, F32]:
    """Return what is known of each pixel by its depth and ray, NaN without a depth.

    Returns:
        x, y and z (3, h, w) relative to the anchor; the range (h, w); the distance of neighbouring
        pixels on level ground there; and the sine of the ray's elevation, known without a depth.
    """
    height, width = depth_m.shape
    local_m = np.empty((3, height, width), dtype=np.float32)
    range_m, level_m, rise = np.empty_like(depth_m), np.empty_like(depth_m), np.empty_like(depth_m)
    for row in range(height):
        for col in range(width):
            depth = depth_m[row, col]
            across, down = depth * x[row, col], depth * y[row, col]
            for axis in range(3):
                local_m[axis, row, col] = (
                    axes[axis, 0] * across
                    + axes[axis, 1] * down
                    + axes[axis, 2] * depth
                    + offset_m[axis]
                )
            up = axes[2, 0] * x[row, col] + axes[2, 1] * y[row, col] + axes[2, 2]
            rise[row, col] = up / length[row, col]
            range_m[row, col] = depth * length[row, col]
            grazing = max(abs(rise[row, col]), np.float32(MIN_GRAZING))
            level_m[row, col] = spacing_rad[row, col] / grazing * range_m[row, col]
    return local_m, range_m, level_m, rise


@kernel("float32[:, :, ::1], float32[:, ::1]")
def _gaps(local_m: F32, level_m: F32) -> F32:
    """Return the distance (2, h, w) of pixels from the next ones down and to the right.

    It is NaN where they are not on one surface.
    """
    _, height, width = local_m.shape
    gap_m = np.full((2, height, width), np.nan, dtype=np.float32)
    for axis in range(2):
        for row in range(height - 1 + axis):
            for col in range(width - axis):
                to_row, to_col = row + 1 - axis, col + axis
                x = local_m[0, to_row, to_col] - local_m[0, row, col]
                y = local_m[1, to_row, to_col] - local_m[1, row, col]
                z = local_m[2, to_row, to_col] - local_m[2, row, col]
                distance_m = np.sqrt(x * x + y * y + z * z)
                level = min(level_m[row, col], level_m[to_row, to_col])
                is_joined = distance_m <= CONTINUOUS * level
                gap_m[axis, row, col] = distance_m if is_joined else np.float32(np.nan)
    return gap_m


@kernel("float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, :, ::1]")
def _spacing(range_m: F32, spacing_rad: F32, level_m: F32, gap_m: F32) -> F32:
    """Return the distance (h, w) of each pixel from its neighbours on the same surface.

    It is the mean over both sides, for the axis with the larger distance; half the way to each
    neighbour belongs to the pixel. A pixel without such a neighbour is treated as level ground.
    """
    spacing_m = range_m * spacing_rad
    for row in range(spacing_m.shape[0]):
        for col in range(spacing_m.shape[1]):
            is_alone = True
            for axis in range(2):
                after = gap_m[axis, row, col]
                before = np.float32(np.nan)
                if (row, col)[axis] > 0:
                    before = gap_m[axis, row - 1 + axis, col - axis]
                mean = np.float32(0.5) * (before + after)
                if np.isnan(mean):
                    mean = before if np.isnan(after) else after
                is_alone &= np.isnan(mean)
                if mean > spacing_m[row, col]:  # noqa: PLR1730 (not where it is NaN)
                    spacing_m[row, col] = mean
            if is_alone:
                spacing_m[row, col] = level_m[row, col]
    return spacing_m


@kernel(
    "float32[:, :, ::1], float32[:, ::1], float32[:, ::1], float32[:, :, ::1]",
    writes=("local_m", "range_m", "spacing_m"),
)
def _discard_mixed(local_m: F32, range_m: F32, spacing_m: F32, gap_m: F32) -> None:
    """Discard the depth of pixels between an edge on one side and another on the opposite side."""
    height, width = range_m.shape
    mixed = np.zeros(range_m.shape, dtype=np.bool_)
    for axis in range(2):
        for row in range(1 - axis, height - 1 + axis):
            for col in range(axis, width - axis):
                row0, col0 = row - 1 + axis, col - axis
                is_edge = np.isnan(gap_m[axis, row0, col0]) & np.isnan(gap_m[axis, row, col])
                before = range_m[row, col] - range_m[row0, col0]
                after = range_m[row + 1 - axis, col + axis] - range_m[row, col]
                is_between = ((before < 0.0) & (after < 0.0)) | ((before > 0.0) & (after > 0.0))
                mixed[row, col] |= is_edge & is_between
    for row in range(height):
        for col in range(width):
            if mixed[row, col]:
                local_m[:, row, col] = range_m[row, col] = spacing_m[row, col] = np.nan


@kernel("float32[:, ::1], float32[:, ::1], float32[:, ::1], float64, float64")
def _trust(range_m: F32, spacing_m: F32, rise: F32, most_m: float, coarsest_m: float) -> U8:
    """Return why pixels (h, w) are not observed.

    The median of the surroundings also suffices: the pixels at the edges of a small protruding
    object are far apart, and without them the ground beside it would represent the whole cell.
    """
    height, width = range_m.shape
    reason = np.empty(range_m.shape, dtype=np.uint8)
    fine, half = spacing_m <= np.float32(coarsest_m), MEDIAN_PX // 2
    for row in range(height):
        for col in range(width):
            if np.isnan(range_m[row, col]):
                is_below = rise[row, col] < -np.float32(MIN_SLOPE)
                reason[row, col] = _NO_DEPTH if is_below else _OUTSIDE_VIEW
                continue
            reason[row, col] = _TOO_FAR
            if not range_m[row, col] <= np.float32(most_m):
                continue
            count = MEDIAN_PX * MEDIAN_PX if fine[row, col] else 0
            if not count:
                for step_row in range(-half, half + 1):
                    for step_col in range(-half, half + 1):
                        beside_row = min(max(row + step_row, 0), height - 1)
                        count += fine[beside_row, min(max(col + step_col, 0), width - 1)]
            if 2 * count > MEDIAN_PX * MEDIAN_PX:
                reason[row, col] = _OBSERVED
    return reason


@kernel("float32[:, :, ::1], uint8[:, ::1], float64")
def _parts(gap_m: F32, reason: U8, parts_per_m: float) -> U8:
    """Return into how many parts (2, h, w) the way to the next pixels down and right is divided.

    Parts are less than a cell long; 0 if the pixels are not observed or not on one surface.
    """
    _, height, width = gap_m.shape
    parts = np.zeros(gap_m.shape, dtype=np.uint8)
    for axis in range(2):
        for row in range(height - 1 + axis):
            for col in range(width - axis):
                is_seen = reason[row, col] == reason[row + 1 - axis, col + axis] == _OBSERVED
                if is_seen and not np.isnan(gap_m[axis, row, col]):
                    count = math.ceil(gap_m[axis, row, col] * np.float32(parts_per_m))
                    parts[axis, row, col] = min(max(count, 1), MAX_FILL)
    return parts


@kernel("float32[:, :, ::1], uint8[:, :, ::1]")
def _fill(local_m: F32, parts: U8) -> tuple[Index, F32, F32]:
    """Return points less than a cell apart between neighbours on one surface, half from each.

    Points lie between two neighbours and, where both axes have wide gaps, inside four pixels.

    Returns:
        The pixel (F,), x and y of each point.
    """
    _, height, width = parts.shape
    pixel, found = np.empty(_most_points(parts), dtype=np.int64), 0
    x_m, y_m = np.empty(pixel.size, dtype=np.float32), np.empty(pixel.size, dtype=np.float32)
    for axis in range(2):
        for row in range(height - 1 + axis):
            for col in range(width - axis):
                count, to_row, to_col = int(parts[axis, row, col]), row + 1 - axis, col + axis
                for part in range(1, count):
                    share = np.float32(part / count)
                    pixel[found] = (
                        to_row * width + to_col if 2 * part > count else row * width + col
                    )
                    x, y = local_m[0, row, col], local_m[1, row, col]
                    x_m[found] = x + share * (local_m[0, to_row, to_col] - x)
                    y_m[found] = y + share * (local_m[1, to_row, to_col] - y)
                    found += 1
    for row in range(height - 1):
        for col in range(width - 1):
            if not (parts[0, row, col + 1] and parts[1, row + 1, col]):
                continue
            rows = min(int(parts[0, row, col]), MAX_FILL_WITHIN)
            cols = min(int(parts[1, row, col]), MAX_FILL_WITHIN)
            for below in range(1, rows):
                for beside in range(1, cols):
                    down, right = np.float32(below / rows), np.float32(beside / cols)
                    pixel[found] = (row + (2 * below > rows)) * width + col + (2 * beside > cols)
                    x_m[found] = _inside(local_m[0, row : row + 2, col : col + 2], down, right)
                    y_m[found] = _inside(local_m[1, row : row + 2, col : col + 2], down, right)
                    found += 1
    return pixel[:found].copy(), x_m[:found].copy(), y_m[:found].copy()


@kernel("uint8[:, :, ::1]")
def _most_points(parts: U8) -> int:
    """Return how many points `_fill` may find."""
    down, right = parts[0].reshape(-1), parts[1].reshape(-1)
    most = np.int32(0)
    for pixel in range(down.size):
        most += np.int32(max(down[pixel], 1)) * np.int32(max(right[pixel], 1)) - np.int32(1)
    return int(most)


@kernel("float32[:, :], float32, float32")
def _inside(corners: F32, down: float, right: float) -> float:
    """Return the bilinear mean of four corners (2, 2)."""
    upper = corners[0, 0] + right * (corners[0, 1] - corners[0, 0])
    lower = corners[1, 0] + right * (corners[1, 1] - corners[1, 0])
    value: float = upper + down * (lower - upper)
    return value
