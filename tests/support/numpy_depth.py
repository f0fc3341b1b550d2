"""Ground points from depth in numpy, which the compiled loops must equal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.geometry.pixel_rays import PixelRays, Reach
from terrain_seg_ros.core.ground.ground_view import GroundView, Poses
from terrain_seg_ros.core.ground.plane_intersection import MAX_FILL, MIN_SLOPE
from terrain_seg_ros.core.types import F32, F64, U8, Reason

CONTINUOUS = 2.0
"""Largest distance of neighbours on one surface, as a multiple of that on level ground."""

FILL_SHARE = 0.7
"""Largest distance of fill points as a share of a cell: a square lattice this dense leaves no cell
empty at any rotation (1 / sqrt 2, less rounding)."""
MAX_FILL_WITHIN = 16
"""Most parts into which each side of a square of four pixels is divided."""

MEDIAN_PX = 5
"""Side, in pixels, of the window whose median spacing may qualify a pixel as trusted."""


class FillPoints(NamedTuple):
    """Points (N,), and the flat index of the pixel of each."""

    pixel: NDArray[np.intp]
    x_m: F32
    y_m: F32


Flags = NDArray[np.bool_]
Index = NDArray[np.intp]


@dataclass(frozen=True)
class _Steps:
    """The gaps between neighbours along one axis, and which of them are on one surface."""

    axis: int
    gap_m: F32
    joined: Flags

    @property
    def before(self) -> tuple[slice, ...]:
        """Return the first pixels of the pairs."""
        return (slice(None),) * self.axis + (slice(None, -1),)

    @property
    def after(self) -> tuple[slice, ...]:
        """Return the second pixels of the pairs."""
        return (slice(None),) * self.axis + (slice(1, None),)


def numpy_depth_to_ground(depth_m: F32, rays: PixelRays, reach: Reach, poses: Poses) -> GroundView:
    """Return the ground points of pixels, as `core.ground.depth` does."""
    anchor_m = poses.grid_T_base.translation_m
    rise = rays.rise(poses.grid_T_camera.rotation[2].astype(np.float32))
    range_m = depth_m * rays.length
    offset_m = poses.grid_T_camera.translation_m - anchor_m
    local_m = _points(depth_m, rays, poses.grid_T_camera.rotation, offset_m)
    level_m = rays.level_step(rise) * range_m
    steps = [_steps(local_m, axis, level_m) for axis in (0, 1)]
    mixed = _between_edges(range_m, steps)
    spacing_m = _spacing(range_m * rays.spacing_rad, level_m, steps)
    for part in (*local_m, range_m, spacing_m):
        part[mixed] = np.nan
    known = ~np.isnan(range_m)
    reason: U8 = np.full(depth_m.shape, Reason.NO_DEPTH, dtype=np.uint8)
    reason[~(known | (rise < -MIN_SLOPE))] = Reason.OUTSIDE_VIEW
    reason[known] = Reason.TOO_FAR
    # The median of the surroundings also suffices: the pixels at the edges of a small protruding
    # object are far apart, and without them the ground beside it would represent the whole cell.
    around_m = cv2.medianBlur(np.where(known, spacing_m, np.float32(np.inf)), MEDIAN_PX)
    trusted = (spacing_m <= reach.max_spacing_m) | (around_m <= reach.max_spacing_m)
    near = known & trusted & (range_m <= reach.max_range_m)
    reason[near] = Reason.OBSERVED
    fill = _fill(local_m, near, steps, reach.cell_m)
    return GroundView(
        range_m=range_m,
        reason=reason,
        plane_x_m=local_m[0],
        plane_y_m=local_m[1],
        grid_R_plane=np.eye(3),
        anchor_m=anchor_m,
        local_x_m=local_m[0],
        local_y_m=local_m[1],
        fill_pixel=fill.pixel,
        fill_x_m=fill.x_m,
        fill_y_m=fill.y_m,
        ground_sample_m=spacing_m,
        local_z_m=local_m[2],
    )


def _points(depth_m: F32, rays: PixelRays, rotation: F64, offset_m: F64) -> tuple[F32, F32, F32]:
    """Return x, y and z (h, w) in the grid's frame, relative to the anchor."""
    across, down = depth_m * rays.x, depth_m * rays.y
    axes = rotation.astype(np.float32)
    x_m, y_m, z_m = (
        axes[row, 0] * across
        + axes[row, 1] * down
        + axes[row, 2] * depth_m
        + np.float32(offset_m[row])
        for row in range(3)
    )
    return x_m, y_m, z_m


def _steps(local_m: tuple[F32, F32, F32], axis: int, level_m: F32) -> _Steps:
    squares = [np.square(np.diff(part, axis=axis)) for part in local_m]
    gap_m: F32 = np.sqrt(squares[0] + squares[1] + squares[2])
    pairs = _Steps(axis, gap_m, np.empty(0, dtype=np.bool_))
    allowed_m = np.minimum(level_m[pairs.before], level_m[pairs.after])
    return _Steps(axis, gap_m, gap_m <= np.float32(CONTINUOUS) * allowed_m)


def _between_edges(range_m: F32, steps: list[_Steps]) -> Flags:
    """Return the pixels between an edge on one side and another on the opposite side."""
    mixed: Flags = np.zeros(range_m.shape, dtype=np.bool_)
    for pairs in steps:
        change_m = np.diff(range_m, axis=pairs.axis)
        falls, climbs = (~pairs.joined & (sign * change_m > 0.0) for sign in (-1.0, 1.0))
        middle = (slice(None),) * pairs.axis + (slice(1, -1),)
        for edge in (falls, climbs):
            mixed[middle] |= edge[pairs.before] & edge[pairs.after]
    return mixed


def _spacing(frontal_m: F32, level_m: F32, steps: list[_Steps]) -> F32:
    """Return the distance of each pixel from its neighbours on the same surface.

    It is the mean over both sides, for the axis with the larger distance; half the way to each
    neighbour belongs to the pixel. A pixel without such a neighbour is treated as level ground.
    """
    spacing_m: F32 = frontal_m.copy()
    alone: Flags = np.ones(frontal_m.shape, dtype=np.bool_)
    for pairs in steps:
        gap_m = np.where(pairs.joined, pairs.gap_m, np.float32(0.0))
        sum_m, count = np.zeros_like(frontal_m), np.zeros_like(frontal_m)
        for side in (pairs.before, pairs.after):
            sum_m[side] += gap_m
            count[side] += pairs.joined
        alone &= count == 0.0
        sum_m /= np.maximum(count, np.float32(1.0))
        np.maximum(spacing_m, sum_m, out=spacing_m)
    np.copyto(spacing_m, level_m, where=alone)
    return spacing_m


def _fill(
    local_m: tuple[F32, F32, F32], near: Flags, steps: list[_Steps], cell_m: float
) -> FillPoints:
    """Return points less than a cell apart between neighbours on one surface, half from each.

    Points lie between two neighbours and, where both axes have wide gaps, inside four pixels.
    """
    width = near.shape[1]
    parts = 1.0 / np.float32(FILL_SHARE * cell_m)
    joined = np.zeros((2, *near.shape), dtype=np.bool_)
    counts = np.zeros((2, *near.shape), dtype=np.float32)
    for pairs, some, count in zip(steps, joined, counts):
        np.logical_and(pairs.joined, near[pairs.before], out=some[pairs.before])
        some[pairs.before] &= near[pairs.after]
        np.multiply(pairs.gap_m, parts, out=count[pairs.before], where=some[pairs.before])
    wide = counts > 1.0
    found = [
        _on_line(local_m, np.flatnonzero(some), count, step)
        for some, count, step in zip(wide, counts, (width, 1))
    ]
    corners = np.flatnonzero(wide[0] & wide[1])
    corners = corners[(corners + width < near.size) & (corners % width < width - 1)]
    down, right = joined.reshape(2, -1)
    corners = corners[down[corners + 1] & right[corners + width]]
    found.append(_within(local_m, corners, counts, width))
    return FillPoints(*(np.concatenate(axis) for axis in zip(*found)))


def _on_line(
    local_m: tuple[F32, F32, F32], first: Index, count: F32, step: int
) -> tuple[Index, F32, F32]:
    """Return owners, x and y of the points between pixels and their neighbours one step on."""
    parts = np.minimum(np.ceil(count.reshape(-1).take(first)), MAX_FILL).astype(np.intp)
    pair, index = _repeated(parts - 1)
    share = (index + 1) / parts.astype(np.float32).take(pair)
    points_m = []
    for axis_m in local_m[:2]:
        start_m = axis_m.reshape(-1).take(first)
        length_m = axis_m.reshape(-1).take(first + step) - start_m
        points_m.append(start_m.take(pair) + share.astype(np.float32) * length_m.take(pair))
    owner = first.take(pair) + step * (share > 0.5)
    return owner, points_m[0], points_m[1]


def _within(
    local_m: tuple[F32, F32, F32], first: Index, counts: F32, width: int
) -> tuple[Index, F32, F32]:
    """Return owners, x and y of the points inside squares of four pixels, given the first ones."""
    rows, cols = (
        np.minimum(np.ceil(count.reshape(-1).take(first)), MAX_FILL_WITHIN).astype(np.intp)
        for count in counts
    )
    patch, index = _repeated((rows - 1) * (cols - 1))
    row, col = np.divmod(index, (cols - 1).take(patch))
    down = ((row + 1) / rows.take(patch)).astype(np.float32)
    right = ((col + 1) / cols.take(patch)).astype(np.float32)
    corner = first.take(patch)
    points_m = []
    for axis_m in local_m[:2]:
        upper_m, upper_end_m, lower_m, lower_end_m = (
            axis_m.reshape(-1).take(corner + step) for step in (0, 1, width, width + 1)
        )
        upper_m += right * (upper_end_m - upper_m)
        lower_m += right * (lower_end_m - lower_m)
        points_m.append(upper_m + down * (lower_m - upper_m))
    owner = corner + width * (down > 0.5) + (right > 0.5)
    return owner, points_m[0], points_m[1]


def _repeated(count: Index) -> tuple[Index, Index]:
    """Return the index of each item repeated `count` times, and the running number within each."""
    item = np.repeat(np.arange(count.size), count)
    return item, np.arange(item.size) - np.repeat(np.cumsum(count) - count, count)
