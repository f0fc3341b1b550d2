"""The outline of a vehicle, its validation, and the vehicle's heading."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.grid.footprint_cells import MIN_CORNERS, Polygon
from terrain_seg_ros.core.types import Transform

MIN_LEVEL = 0.5
"""Smallest horizontal component of the vehicle's x axis for which the heading is defined."""

Corner = tuple[float, float]
_REMEDY = "list x and y of each corner in metres, in order around the outline"


def corners_of(values: Any) -> Any:
    """Return the corners in a flat list of x and y; none where it holds a single number.

    A list of parameters cannot be empty in ROS, so that one number stands for no outline. What is
    not a flat list of numbers, such as a list of corners, is returned as it is.

    Raises:
        ConfigError: the numbers are not pairs, or too few.
    """
    if not isinstance(values, (list, tuple)):
        return values
    if not all(type(value) in {int, float} for value in values):
        return values
    if len(values) <= 1:
        return ()
    if len(values) % 2 or len(values) < 2 * MIN_CORNERS:
        raise ConfigError(
            f"footprint.polygon_m has {len(values)} numbers, expected an even count of at least "
            f"{2 * MIN_CORNERS}: {_REMEDY}, or [0.0] to use the radius"
        )
    return tuple(zip(values[::2], values[1::2]))


def check_outline(corners: Polygon) -> None:
    """Check that corners form a simple polygon, whose edges meet only at the corners.

    Raises:
        ConfigError: there are too few, or edges touch or cross.
    """
    if len(corners) < MIN_CORNERS:
        raise ConfigError(
            f"footprint.polygon_m has {len(corners)} corners, expected at least {MIN_CORNERS}; "
            f"{_REMEDY}"
        )
    edges = list(zip(corners, (*corners[1:], corners[0])))
    for (i, first), (j, second) in combinations(enumerate(edges), 2):
        if j == i + 1 or (i == 0 and j == len(edges) - 1):
            before, after = (first, second) if j == i + 1 else (second, first)
            bad = _turns_back(before[0], before[1], after[1])
        else:
            bad = _meet(first, second)
        if bad:
            raise ConfigError(
                f"footprint.polygon_m crosses or touches itself: the edge {first[0]} to {first[1]} "
                f"and the edge {second[0]} to {second[1]}; {_REMEDY}, none of them twice"
            )


def heading_rad(grid_T_base: Transform) -> float | None:
    """Return the heading of the vehicle's x axis, None if it points steeply up or down."""
    ahead_x, ahead_y = grid_T_base.rotation[:2, 0].tolist()
    return math.atan2(ahead_y, ahead_x) if math.hypot(ahead_x, ahead_y) >= MIN_LEVEL else None


def _side(a: Corner, b: Corner, c: Corner) -> float:
    """Return the side of the line from a to b on which c lies: positive for the left side."""
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
