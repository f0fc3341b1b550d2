"""Cast shadows in a world."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.types import F64
from terrain_seg_ros.worlds.cast_rays import ground_hits
from terrain_seg_ros.worlds.near_pairs import PointBins
from terrain_seg_ros.worlds.ray_rocks import rock_shapes, rock_spreads
from terrain_seg_ros.worlds.world import World

LIFT_M = 2e-3
"""Height above the surface at which rays start, so that rounding does not cause shadows."""
MAX_PARTS = 400_000


def in_shadow(world: World, points_m: F64, normals: F64) -> NDArray[np.bool_]:
    """Return which surface points (N, 3) are shadowed by rocks or ground.

    Args:
        world: the world, which includes the sun.
        points_m: (N, 3) in the world's frame.
        normals: (N, 3) outward, of length 1.
    """
    sun = world.sun.direction()
    starts = points_m + LIFT_M * normals
    directions = np.broadcast_to(sun, starts.shape)
    hidden = np.isfinite(ground_hits(world, starts, directions, np.full(len(starts), np.inf)))
    for first in range(0, len(starts), MAX_PARTS):
        part = np.flatnonzero(~hidden[first : first + MAX_PARTS]) + first
        hidden[part[_behind_rocks(world, starts[part], sun)]] = True
    return hidden


def _behind_rocks(world: World, points_m: F64, sun: F64) -> NDArray[np.int64]:
    """Return the indices of points whose ray to the sun enters a rock."""
    across, along = _axes(sun)
    shapes = rock_shapes(world.rocks)
    spreads = rock_spreads(shapes)
    centres = np.stack([world.rocks.x_m, world.rocks.y_m, world.rocks.z_m], axis=1)
    reach = [np.sqrt(np.einsum("i,nij,j->n", axis, spreads, axis)) for axis in (across, along)]
    bin_m = max(float(np.median(reach[0])) if reach[0].size else 1.0, 0.02)
    bins = PointBins(points_m @ across, points_m @ along, bin_m)
    rock, point = bins.pairs(centres @ across, centres @ along, *reach)
    # Discard rocks that lie on the side away from the sun.
    before = (centres[rock] - points_m[point]) @ sun > -reach_along(spreads, sun)[rock]
    rock, point = rock[before], point[before]
    start = np.einsum("nij,nj->ni", shapes[rock], points_m[point] - centres[rock])
    step = (shapes @ sun)[rock]
    square = np.einsum("ni,ni->n", step, step)
    half = np.einsum("ni,ni->n", step, start)
    rest = np.einsum("ni,ni->n", start, start) - 1.0
    # A ray from a point on a rock starts outside the rock; only rocks ahead of it cast a shadow.
    enters = (half < 0.0) & (half * half > square * rest) & (rest > 0.0)
    return np.unique(point[enters])


def reach_along(spreads: F64, direction: F64) -> F64:
    """Return the extent (N,) of ellipsoids from their centres in a direction of length 1."""
    reach: F64 = np.sqrt(np.einsum("i,nij,j->n", direction, spreads, direction))
    return reach


def _axes(sun: F64) -> tuple[F64, F64]:
    """Return two unit vectors perpendicular to the sun's direction."""
    aside = np.array([0.0, 0.0, 1.0]) if abs(sun[2]) < 0.9 else np.array([1.0, 0.0, 0.0])
    across = np.cross(aside, sun)
    across = across / np.linalg.norm(across)
    return across, np.cross(sun, across)
