"""The outline of a vehicle: its corners checked, and the cells that it may touch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.types import F64, Transform

MIN_CORNERS = 3
TOUCH_CELLS = 1e-6
"""Outlines and cells nearer than this touch: rounding must never make a cell look free."""
MIN_LEVEL = 0.5
"""Horizontal share of the vehicle's x axis from which on it has a heading."""

Corner = tuple[float, float]
Flags = NDArray[np.bool_]
_REMEDY = "give x and y of each corner in metres, in the order in which they follow each other"


def corners_of(values: Sequence[float]) -> tuple[Corner, ...]:
    """Return the corners in a flat list of x and y; none where it has at most one number.

    A list of parameters cannot be empty in ROS, so that one number stands for no outline.

    Raises:
        ConfigError: the list is no list of pairs, or of too few.
    """
    if len(values) <= 1:
        return ()
    if len(values) % 2 or len(values) < 2 * MIN_CORNERS:
        raise ConfigError(
            f"footprint polygon_m has {len(values)} numbers, expected an even count of at least "
            f"{2 * MIN_CORNERS}: {_REMEDY}, or [0.0] to use the radius"
        )
    return tuple(zip(values[::2], values[1::2]))


def check_outline(corners: Sequence[Corner]) -> None:
    """Check that corners make a polygon whose edges meet at the corners alone.

    Raises:
        ConfigError: there are too few, one is not finite, or edges touch or cross.
    """
    if len(corners) < MIN_CORNERS:
        raise ConfigError(
            f"footprint polygon_m has {len(corners)} corners, expected at least {MIN_CORNERS}; "
            f"{_REMEDY}"
        )
    if not all(math.isfinite(value) for corner in corners for value in corner):
        raise ConfigError(f"footprint polygon_m is {list(corners)}, expected finite metres")
    edges = list(zip(corners, (*corners[1:], corners[0])))
    for (i, first), (j, second) in combinations(enumerate(edges), 2):
        if j == i + 1 or (i == 0 and j == len(edges) - 1):
            before, after = (first, second) if j == i + 1 else (second, first)
            bad = _turns_back(before[0], before[1], after[1])
        else:
            bad = _meet(first, second)
        if bad:
            raise ConfigError(
                f"footprint polygon_m crosses or touches itself: the edge {first[0]} to {first[1]} "
                f"and the edge {second[0]} to {second[1]}; {_REMEDY}, none of them twice"
            )


def heading_rad(grid_T_base: Transform) -> float | None:
    """Return the heading of the vehicle's x axis, None where that points steeply up or down."""
    ahead_x, ahead_y = grid_T_base.rotation[:2, 0].tolist()
    return math.atan2(ahead_y, ahead_x) if math.hypot(ahead_x, ahead_y) >= MIN_LEVEL else None


def touched_cells(corners_cells: F64, *, margin_cells: float, reach_cells: int) -> Flags:
    """Return which cells a vehicle may touch, seen from the cell that holds its origin.

    The vehicle's origin is anywhere in its own cell, and its outline, filled, is anywhere within
    the margin of where it should be. A cell is touched if any of its points can be: if the
    distance of the outline from a square of twice a cell's side, around the cell's middle, is at
    most the margin. This is the Minkowski sum of the outline with a disc and both cells, without
    any rounding to cells.

    Args:
        corners_cells: (N, 2), x and y from the vehicle's origin, turned to its heading.
        margin_cells: how far off the outline may be.
        reach_cells: how many cells to look at to each side.

    Returns:
        (2 reach + 1, 2 reach + 1), rows along y, the vehicle's cell in the middle.
    """
    along = np.arange(-reach_cells, reach_cells + 1, dtype=np.float64)
    x, y = along[np.newaxis, :], along[:, np.newaxis]
    inside: Flags = np.zeros((along.size, along.size), dtype=np.bool_)
    near: Flags = np.zeros_like(inside)
    limit = (margin_cells + TOUCH_CELLS) ** 2
    for (ax, ay), (bx, by) in zip(corners_cells, np.roll(corners_cells, -1, axis=0)):
        near |= _squared_distance(ax - x, ay - y, bx - x, by - y) <= limit
        if ay != by:
            is_left = x < ax + (y - ay) * ((bx - ax) / (by - ay))
            inside ^= ((ay > y) != (by > y)) & is_left
    return near | inside


def _squared_distance(ax: F64, ay: F64, bx: F64, by: F64) -> F64:
    """Return the squared distance of the edge from a to b to the square from -1 to 1.

    Of two convex shapes that do not overlap, a corner of one is among the nearest points. They
    overlap unless x, y or the edge's normal separates them.
    """
    ux, uy = bx - ax, by - ay
    found = np.minimum(_squared_to_square(ax, ay), _squared_to_square(bx, by))
    length = ux * ux + uy * uy
    for corner_x, corner_y in ((-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)):
        to_x, to_y = corner_x - ax, corner_y - ay
        share = np.clip((to_x * ux + to_y * uy) / length, 0.0, 1.0)
        found = np.minimum(found, (to_x - share * ux) ** 2 + (to_y - share * uy) ** 2)
    overlap = (np.minimum(ax, bx) <= 1.0) & (np.maximum(ax, bx) >= -1.0)
    overlap = overlap & (np.minimum(ay, by) <= 1.0) & (np.maximum(ay, by) >= -1.0)
    overlap &= np.abs(ax * uy - ay * ux) <= np.abs(ux) + np.abs(uy)
    result: F64 = np.where(overlap, 0.0, found)
    return result


def _squared_to_square(x: F64, y: F64) -> F64:
    beyond_x, beyond_y = np.maximum(np.abs(x) - 1.0, 0.0), np.maximum(np.abs(y) - 1.0, 0.0)
    result: F64 = beyond_x**2 + beyond_y**2
    return result


def _side(a: Corner, b: Corner, c: Corner) -> float:
    """Return on which side of the line from a to b a point lies: above 0 to the left."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _turns_back(a: Corner, b: Corner, c: Corner) -> bool:
    """Return whether the edge from b to c has no length or lies on the one from a to b."""
    ahead = (b[0] - a[0]) * (c[0] - b[0]) + (b[1] - a[1]) * (c[1] - b[1])
    return b in (a, c) or (_side(a, b, c) == 0.0 and ahead < 0.0)


def _meet(first: tuple[Corner, Corner], second: tuple[Corner, Corner]) -> bool:
    """Return whether two edges have a point in common."""
    sides = [_side(*first, corner) for corner in second]
    other_sides = [_side(*second, corner) for corner in first]
    if min(sides) > 0.0 or max(sides) < 0.0 or min(other_sides) > 0.0 or max(other_sides) < 0.0:
        return False
    return all(
        min(a[axis] for a in first) <= max(b[axis] for b in second)
        and max(a[axis] for a in first) >= min(b[axis] for b in second)
        for axis in (0, 1)
    )
