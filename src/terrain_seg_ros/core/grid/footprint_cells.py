"""Which cells a vehicle can touch whose centre is anywhere in one cell."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.settings import item
from terrain_seg_ros.core.types import F64

MIN_CORNERS = 3
ROUNDING_CELLS = 1e-9
"""Tolerance: rounding must not exclude a cell that the outline just touches."""

Offset = Annotated[float, item(-100.0, 100.0)]
"""Metres from the origin of the vehicle's frame."""
Polygon = tuple[tuple[Offset, Offset], ...]
Flags = NDArray[np.bool_]


def footprint_cells(
    polygon_m: Polygon,
    *,
    heading_rad: float,
    margin_m: float,
    resolution_m: float,
    most: int,
) -> NDArray[np.uint8]:
    """Return 1 for the surrounding cells that the vehicle can touch or get too close to, else 0.

    The vehicle's centre is anywhere in the central cell, so that the offset between a point of that
    cell and a point of another one lies in a square of two cells' side around the offset of their
    centres. The vehicle can touch the other cell if its filled outline is closer to that square
    than the margin.

    Args:
        polygon_m: corners (x, y) in the vehicle's frame, in order; it need not be convex.
        heading_rad: heading of the vehicle in the grid's frame.
        margin_m: distance to keep from the outline.
        resolution_m: side of a cell.
        most: largest distance of interest, in cells.

    Returns:
        (2 n + 1, 2 n + 1), rows along y.
    """
    cos, sin = math.cos(heading_rad), math.sin(heading_rad)
    corners = np.array(polygon_m, dtype=np.float64) / resolution_m
    corners = corners @ np.array([[cos, sin], [-sin, cos]])
    margin = margin_m / resolution_m
    reach = int(min(math.ceil(np.abs(corners).max() + margin + 1.0), most))
    steps = np.arange(-reach, reach + 1, dtype=np.float64)
    centres = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    near = _distance(centres, corners) <= margin + ROUNDING_CELLS
    return near.reshape(steps.size, steps.size).astype(np.uint8)


def _distance(centres: F64, corners: F64) -> F64:
    """Return the distance (N,) of a filled polygon to squares of half side 1; 0 if they intersect.

    If they do not intersect, a corner of one of them is among the closest points.
    """
    nearest: F64 = np.full(len(centres), np.inf)
    meet: Flags = np.zeros(len(centres), dtype=np.bool_)
    squares = [centres + np.array(offset) for offset in ((-1, -1), (-1, 1), (1, -1), (1, 1))]
    for start, end in zip(corners, np.roll(corners, -1, axis=0)):
        gaps = np.maximum(np.abs(centres - start) - 1.0, 0.0)
        np.minimum(nearest, np.hypot(gaps[:, 0], gaps[:, 1]), out=nearest)
        for square in squares:
            np.minimum(nearest, _to_segment(square, start, end), out=nearest)
        meet |= _crosses(centres, start, end)
    for square in squares:
        meet |= _inside(square, corners)
    nearest[meet] = 0.0
    return nearest


def _to_segment(points: F64, start: F64, end: F64) -> F64:
    """Return the distance (N,) of points (N, 2) to a segment."""
    along = end - start
    share = (points - start) @ along / max(float(along @ along), ROUNDING_CELLS**2)
    off = points - start - np.clip(share, 0.0, 1.0)[:, np.newaxis] * along
    found: F64 = np.hypot(off[:, 0], off[:, 1])
    return found


def _crosses(centres: F64, start: F64, end: F64) -> Flags:
    """Return which squares of half side 1 intersect a segment (separating axes: x, y, normal)."""
    middle, half = (start + end) / 2.0, np.abs(end - start) / 2.0
    apart = np.abs(centres - middle)
    normal = np.array([start[1] - end[1], end[0] - start[0]])
    within = (apart <= half + 1.0).all(axis=1)
    crosses: Flags = within & (np.abs((centres - middle) @ normal) <= np.abs(normal).sum())
    return crosses


def _inside(points: F64, corners: F64) -> Flags:
    """Return which points (N, 2) lie in a polygon, by counting crossings of a ray."""
    inside: Flags = np.zeros(len(points), dtype=np.bool_)
    x, y = points.T
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0)):
        if y0 != y1:
            spans = (y0 > y) != (y1 > y)
            inside ^= spans & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return inside
