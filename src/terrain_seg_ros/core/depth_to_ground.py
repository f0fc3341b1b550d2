"""From one depth per pixel to where the pixels lie, trusted and filled along the surface."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.ground_plane import FILL_SHARE, MAX_FILL, MIN_SLOPE, FillPoints
from terrain_seg_ros.core.ground_view import GroundView, Poses
from terrain_seg_ros.core.pixel_rays import PixelRays, Reach
from terrain_seg_ros.core.types import F32, F64, U8, Reason

CONTINUOUS = 2.0
"""Neighbours on one surface lie at most so many times farther apart than on level ground."""

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class _Steps:
    """Hold how neighbours along one axis lie: gaps between them, and which are on one surface."""

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


def depth_to_ground(depth_m: F32, rays: PixelRays, reach: Reach, poses: Poses) -> GroundView:
    """Return where pixels of a known depth lie, in the grid's frame.

    Neighbours are on one continuous surface where they lie no farther apart than `CONTINUOUS`
    times what level ground would show at that range and height: the ground between them is
    filled, half from each. Where they lie farther apart the nearer one hides what is between:
    nothing is filled there. A pixel between two such edges, nearer than one side and farther than
    the other, is a mixture of both and no point of any surface: it has no depth.

    Args:
        depth_m: (h, w) along the optical axis, NaN where nothing was measured.
        rays: of the pixels, optical frame.
        reach: how far to trust and what to fill.
        poses: of camera and vehicle; the anchor is the vehicle's origin.
    """
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
    near = (range_m <= reach.max_range_m) & (spacing_m <= reach.max_spacing_m)
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
    """Return x, y and z (h, w) in the grid's frame, less the anchor."""
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
    """Return the pixels that lie between an edge on one side and another on the opposite side."""
    mixed: Flags = np.zeros(range_m.shape, dtype=np.bool_)
    for pairs in steps:
        change_m = np.diff(range_m, axis=pairs.axis)
        falls, climbs = (~pairs.joined & (sign * change_m > 0.0) for sign in (-1.0, 1.0))
        middle = (slice(None),) * pairs.axis + (slice(1, -1),)
        for edge in (falls, climbs):
            mixed[middle] |= edge[pairs.before] & edge[pairs.after]
    return mixed


def _spacing(frontal_m: F32, level_m: F32, steps: list[_Steps]) -> F32:
    """Return how far each pixel lies from its neighbours on the same surface, the farthest.

    A pixel that has none is taken to lie on level ground.
    """
    spacing_m: F32 = frontal_m.copy()
    alone: Flags = np.ones(frontal_m.shape, dtype=np.bool_)
    for pairs in steps:
        gap_m = np.where(pairs.joined, pairs.gap_m, np.float32(0.0))
        for side in (pairs.before, pairs.after):
            np.maximum(spacing_m[side], gap_m, out=spacing_m[side])
            alone[side] &= ~pairs.joined
    np.copyto(spacing_m, level_m, where=alone)
    return spacing_m


def _fill(
    local_m: tuple[F32, F32, F32], near: Flags, steps: list[_Steps], cell_m: float
) -> FillPoints:
    """Return points less than a cell apart between neighbours on one surface, half from each."""
    apart_m = np.float32(FILL_SHARE * cell_m)
    flat = np.arange(near.size).reshape(near.shape)
    owners, xs_m, ys_m = [flat[:0, 0]], [local_m[0][:0, 0]], [local_m[1][:0, 0]]
    for pairs in steps:
        wide = pairs.joined & (pairs.gap_m > apart_m) & near[pairs.before] & near[pairs.after]
        first, last = flat[pairs.before][wide], flat[pairs.after][wide]
        parts = np.minimum(np.ceil(pairs.gap_m[wide] / apart_m), MAX_FILL).astype(np.intp)
        inner = parts - 1
        pair = np.repeat(np.arange(first.size), inner)
        index = np.arange(pair.size) - np.repeat(np.cumsum(inner) - inner, inner) + 1
        share = (index / parts[pair]).astype(np.float32)
        owners.append(np.where(share <= 0.5, first[pair], last[pair]))
        for found_m, axis_m in ((xs_m, local_m[0]), (ys_m, local_m[1])):
            start_m, end_m = axis_m.ravel()[first], axis_m.ravel()[last]
            found_m.append(start_m[pair] + share * (end_m - start_m)[pair])
    return FillPoints(np.concatenate(owners), np.concatenate(xs_m), np.concatenate(ys_m))
