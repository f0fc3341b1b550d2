"""The ground truth of a grid's cells in a world: hazards, rocks, slopes, heights, classes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError, GeometryError
from terrain_seg_ros.core.types import F32, F64, U8
from terrain_seg_ros.worlds.near_pairs import expand
from terrain_seg_ros.worlds.world import World

MAX_CELLS = 16_000_000
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class CellGrid:
    """The position of a grid's cells, as in `GridSnapshot`.

    The origin is the corner of cell (0, 0), the one of lowest x and y; rows go along y.
    """

    rows: int
    cols: int
    resolution_m: float
    origin_x_m: float
    origin_y_m: float

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.rows < 1 or self.cols < 1 or self.rows * self.cols > MAX_CELLS:
            raise GeometryError(
                f"grid has {self.rows} x {self.cols} cells, expected 1 to {MAX_CELLS} in all"
            )
        if not (math.isfinite(self.resolution_m) and self.resolution_m > 0.0):
            raise GeometryError(f"grid has resolution_m {self.resolution_m}, expected more than 0")
        if not (math.isfinite(self.origin_x_m) and math.isfinite(self.origin_y_m)):
            raise GeometryError(
                f"grid has its origin at ({self.origin_x_m}, {self.origin_y_m}), expected numbers"
            )

    def centres(self) -> tuple[F64, F64]:
        """Return x (cols,) and y (rows,) of the centres of the cells."""
        x: F64 = (
            self.origin_x_m + (np.arange(self.cols, dtype=np.float64) + 0.5) * self.resolution_m
        )
        y: F64 = (
            self.origin_y_m + (np.arange(self.rows, dtype=np.float64) + 0.5) * self.resolution_m
        )
        return x, y


@dataclass(frozen=True)
class HazardDefinition:
    """The definition of a true hazard.

    A cell is a hazard if a rock of at least `min_hazard_m` in mean horizontal diameter stands on
    any part of it, or if the ground at its centre is steeper than `max_slope_rad` over
    `baseline_m`.
    """

    min_hazard_m: float
    max_slope_rad: float
    baseline_m: float

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("min_hazard_m", "max_slope_rad", "baseline_m"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0.0):
                raise ConfigError(f"hazard definition's {name} is {value}, expected more than 0")


@dataclass(frozen=True)
class Truth:
    """The ground truth of the cells (rows, cols) of a grid.

    `known` marks the cells that lie completely inside the world; the others have hazard False, NaN
    and SOIL. `rock_diameter_m` is the diameter of the largest rock on any part of the cell, 0
    without one, `rock` its index or -1; both include rocks of every size. `elevation_m` and
    `slope_rad` are those of the ground without rocks; `classes` are those of the ground at the
    centres of the cells.
    """

    grid: CellGrid
    known: Flags
    hazard: Flags
    steep: Flags
    rock_diameter_m: F32
    rock: NDArray[np.int32]
    slope_rad: F32
    elevation_m: F32
    classes: U8


def truth_layers(world: World, grid: CellGrid, definition: HazardDefinition) -> Truth:
    """Return the ground truth of the cells of a grid in the world's frame."""
    x, y = grid.centres()
    half = 0.5 * grid.resolution_m
    limit = world.half_side_m + 1e-9
    known = (np.abs(x)[np.newaxis, :] + half <= limit) & (np.abs(y)[:, np.newaxis] + half <= limit)
    elevation = world.ground_height_m(x[np.newaxis, :], y[:, np.newaxis])
    at_posts = world.slope_rad(definition.baseline_m)
    slope = world.at_posts(at_posts, x[np.newaxis, :], y[:, np.newaxis])
    classes = world.class_at(x[np.newaxis, :], y[:, np.newaxis])
    rock = _largest_rock(world, grid)
    diameter = np.where(rock >= 0, np.append(world.rocks.diameter_m, 0.0)[rock], 0.0)
    steep = known & (np.nan_to_num(slope) > definition.max_slope_rad)
    return Truth(
        grid=grid,
        known=known,
        hazard=known & (steep | (diameter >= definition.min_hazard_m)),
        steep=steep,
        rock_diameter_m=np.where(known, diameter, np.nan).astype(np.float32),
        rock=np.where(known, rock, -1).astype(np.int32),
        slope_rad=np.where(known, slope, np.nan).astype(np.float32),
        elevation_m=np.where(known, elevation, np.nan).astype(np.float32),
        classes=np.where(known, classes, 0).astype(np.uint8),
    )


def _largest_rock(world: World, grid: CellGrid) -> NDArray[np.int64]:
    """Return the index of the largest rock that stands on each cell, -1 if there is none."""
    rock, cell = rock_cells(world, grid)
    order = np.argsort(world.rocks.diameter_m[rock], kind="stable")
    largest: NDArray[np.int64] = np.full(grid.rows * grid.cols, -1, dtype=np.int64)
    largest[cell[order]] = rock[order]
    return largest.reshape(grid.rows, grid.cols)


def rock_cells(world: World, grid: CellGrid) -> tuple[Ints, Ints]:
    """Return pairs of a rock and the flat index of a cell on which any part of it stands.

    A rock stands on the cells that its outline covers, seen from above: the ellipse of its widest
    part or, if that is under the ground, of the part at the height of the lowest ground around.
    Ellipse and square are intersected exactly; touching a corner counts.
    """
    rocks = world.rocks
    sunk = np.maximum(_lowest_ground_m(world) - rocks.z_m, 0.0) / rocks.c_m
    shrink = np.sqrt(np.maximum(1.0 - sunk * sunk, 0.0))
    a, b = rocks.a_m * shrink, rocks.b_m * shrink
    cos, sin = np.cos(rocks.yaw_rad), np.sin(rocks.yaw_rad)
    stands = np.flatnonzero(shrink > 0.0)
    boxes = [
        _cell_range(middle[stands], reach[stands], origin, grid.resolution_m, count)
        for middle, reach, origin, count in (
            (rocks.x_m, np.hypot(a * cos, b * sin), grid.origin_x_m, grid.cols),
            (rocks.y_m, np.hypot(a * sin, b * cos), grid.origin_y_m, grid.rows),
        )
    ]
    (first_col, cols), (first_row, rows) = boxes
    owner, place = expand(cols * rows)
    row, col = np.divmod(place, cols[owner])
    row, col, rock = row + first_row[owner], col + first_col[owner], stands[owner]
    left = grid.origin_x_m + col * grid.resolution_m - rocks.x_m[rock]
    low = grid.origin_y_m + row * grid.resolution_m - rocks.y_m[rock]
    dx, dy = left[:, np.newaxis] + SQUARE_X * grid.resolution_m, low[:, np.newaxis]
    dy = dy + SQUARE_Y * grid.resolution_m
    turn_cos, turn_sin = cos[rock, np.newaxis], sin[rock, np.newaxis]
    u = (turn_cos * dx + turn_sin * dy) / a[rock, np.newaxis]
    v = (turn_cos * dy - turn_sin * dx) / b[rock, np.newaxis]
    touches = _meets_unit_disc(u, v)
    return rock[touches], (row * grid.cols + col)[touches]


def _lowest_ground_m(world: World) -> F64:
    """Return the lowest height of the ground (N,) at rocks' centres and the ends of their axes."""
    rocks = world.rocks
    cos, sin = np.cos(rocks.yaw_rad), np.sin(rocks.yaw_rad)
    heights = [
        world.ground_height_m(
            rocks.x_m + cos * along * rocks.a_m - sin * across * rocks.b_m,
            rocks.y_m + sin * along * rocks.a_m + cos * across * rocks.b_m,
        )
        for along, across in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))
    ]
    lowest: F64 = np.fmin.reduce(heights)
    return lowest


SQUARE_X, SQUARE_Y = np.array([0.0, 1.0, 1.0, 0.0]), np.array([0.0, 0.0, 1.0, 1.0])
"""The corners of a cell, anticlockwise."""


def _cell_range(
    middle_m: F64, reach_m: F64, origin_m: float, resolution_m: float, count: int
) -> tuple[Ints, Ints]:
    """Return the first cell along an axis that each interval touches, and the number of cells."""
    first = np.floor((middle_m - reach_m - origin_m) / resolution_m)
    last = np.floor((middle_m + reach_m - origin_m) / resolution_m)
    low = np.clip(first, 0, count).astype(np.int64)
    high = np.clip(last + 1, 0, count).astype(np.int64)
    return low, np.maximum(high - low, 0)


def _meets_unit_disc(u: F64, v: F64) -> Flags:
    """Return which parallelograms (N, 4 corners in order) have a point within 1 of the origin."""
    next_u, next_v = np.roll(u, -1, axis=1), np.roll(v, -1, axis=1)
    along_u, along_v = next_u - u, next_v - v
    length = along_u * along_u + along_v * along_v
    share = np.clip(-(u * along_u + v * along_v) / length, 0.0, 1.0)
    near = np.hypot(u + share * along_u, v + share * along_v).min(axis=1) <= 1.0
    side = u * next_v - v * next_u
    around = (side >= 0.0).all(axis=1) | (side <= 0.0).all(axis=1)
    found: Flags = near | around
    return found
