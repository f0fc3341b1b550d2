"""A world and its content: ground, rocks, craters, classes and light."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import ArrayLike

from terrain_seg_ros.core.errors import ConfigError, GeometryError
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_seg_ros.core.types import F32, F64, U8
from terrain_seg_ros.worlds.height_pyramid import HeightPyramid, build_pyramid

SOIL, BEDROCK, SAND, ROCK, SKY = range(5)
"""Class ids, the same in all worlds."""
WORLD_TAXONOMY = Taxonomy(
    (
        TerrainClass(SOIL, "soil", (176, 132, 92), 0.02),
        TerrainClass(BEDROCK, "bedrock", (110, 142, 168), 0.1),
        TerrainClass(SAND, "sand", (232, 200, 108), 0.4),
        TerrainClass(ROCK, "rock", (204, 52, 44), 1.0),
        TerrainClass(SKY, "sky", (20, 24, 40), 0.0),
    )
)


class Body(str, Enum):
    """The celestial body of a world."""

    MOON = "moon"
    MARS = "mars"


@dataclass(frozen=True)
class Rocks:
    """Rocks (N,) as ellipsoids partly embedded in the ground, metres in the world's frame.

    `x_m`, `y_m`, `z_m` is the centre; `a_m`, `b_m` are the horizontal semi-axes, with `a` along x
    rotated by `yaw_rad`, and `c_m` is the vertical one.
    """

    x_m: F64
    y_m: F64
    z_m: F64
    a_m: F64
    b_m: F64
    c_m: F64
    yaw_rad: F64

    def __post_init__(self) -> None:
        """Check that the arrays agree."""
        sizes = {part.shape for part in vars(self).values()}
        if len(sizes) != 1 or len(self.x_m.shape) != 1:
            raise GeometryError(f"rocks have arrays of shapes {sorted(sizes)}, expected one (N,)")

    def __len__(self) -> int:
        """Return N."""
        return int(self.x_m.size)

    @property
    def diameter_m(self) -> F64:
        """Return the mean horizontal diameter (N,)."""
        return self.a_m + self.b_m


@dataclass(frozen=True)
class Craters:
    """Craters (N,): centre, rim diameter and depth from rim to floor, metres."""

    x_m: F64
    y_m: F64
    diameter_m: F64
    depth_m: F64


@dataclass(frozen=True)
class Sun:
    """The direction of the sun: azimuth from x towards y, and elevation."""

    azimuth_rad: float
    elevation_rad: float

    def direction(self) -> F64:
        """Return the unit vector (3,) towards the sun."""
        flat = math.cos(self.elevation_rad)
        return np.array(
            [
                flat * math.cos(self.azimuth_rad),
                flat * math.sin(self.azimuth_rad),
                math.sin(self.elevation_rad),
            ]
        )


@dataclass(frozen=True)
class World:
    """A square world whose centre is the origin of its frame, z up.

    `ground_m` (n, n) is the height of the ground without rocks at posts `spacing_m` apart, row 0
    the lowest y, column 0 the lowest x; between posts it is bilinear. `classes` (n, n) is the
    class of the ground at the posts (never ROCK or SKY; between posts the nearest counts).
    `albedo` (n, n) is 0..1.
    """

    body: Body
    seed: int
    spacing_m: float
    ground_m: F32
    classes: U8
    albedo: F32
    rocks: Rocks
    craters: Craters
    sun: Sun

    def __post_init__(self) -> None:
        """Check that the layers agree."""
        shape = self.ground_m.shape
        if len(shape) != 2 or shape[0] != shape[1] or shape[0] < 2:
            raise ConfigError(f"world has ground of shape {shape}, expected (n, n) with n >= 2")
        if self.classes.shape != shape or self.albedo.shape != shape:
            raise ConfigError(
                f"world has ground {shape}, classes {self.classes.shape} and albedo "
                f"{self.albedo.shape}, expected one shape"
            )
        if not self.spacing_m > 0.0:
            raise ConfigError(f"world has spacing_m {self.spacing_m}, expected more than 0")

    @cached_property
    def pyramid(self) -> HeightPyramid:
        """Return the pyramid of the ground for ray casting."""
        return build_pyramid(self.ground_m)

    @property
    def half_side_m(self) -> float:
        """Return the largest |x| and |y| of the world."""
        return float(0.5 * self.spacing_m * (self.ground_m.shape[0] - 1))

    def ground_height_m(self, x_m: ArrayLike, y_m: ArrayLike) -> F64:
        """Return the height of the ground without rocks, NaN outside the world."""
        return self.at_posts(self.ground_m, x_m, y_m)

    def at_posts(self, values: F32, x_m: ArrayLike, y_m: ArrayLike) -> F64:
        """Interpolate values (n, n) given at the posts bilinearly; NaN outside the world."""
        x, y = np.broadcast_arrays(np.asarray(x_m, np.float64), np.asarray(y_m, np.float64))
        n = values.shape[0]
        col, row = ((part + self.half_side_m) / self.spacing_m for part in (x, y))
        inside = (col >= 0) & (col <= n - 1) & (row >= 0) & (row <= n - 1)
        col0 = np.clip(np.floor(np.nan_to_num(col)), 0, n - 2).astype(np.intp)
        row0 = np.clip(np.floor(np.nan_to_num(row)), 0, n - 2).astype(np.intp)
        u, v = col - col0, row - row0
        low = values[row0, col0] * (1 - u) + values[row0, col0 + 1] * u
        high = values[row0 + 1, col0] * (1 - u) + values[row0 + 1, col0 + 1] * u
        return np.where(inside, low * (1 - v) + high * v, np.nan)

    def ground_normals(self, x_m: ArrayLike, y_m: ArrayLike) -> F64:
        """Return the ground's outward unit normals (..., 3), interpolated between posts.

        Outside the world they point up.
        """
        along_x, along_y = (
            np.nan_to_num(self.at_posts(part, x_m, y_m)) for part in self._gradients
        )
        normals = np.stack([-along_x, -along_y, np.ones_like(along_x)], axis=-1)
        unit: F64 = normals / np.linalg.norm(normals, axis=-1, keepdims=True)
        return unit

    @cached_property
    def _gradients(self) -> tuple[F32, F32]:
        """Return the slopes along x and y at the posts."""
        along_y, along_x = (
            np.asarray(part, dtype=np.float32)
            for part in np.gradient(self.ground_m, self.spacing_m)
        )
        return along_x, along_y

    def class_at(self, x_m: ArrayLike, y_m: ArrayLike) -> U8:
        """Return the class of the ground at points; outside the world that of the border."""
        x, y = np.broadcast_arrays(np.asarray(x_m, np.float64), np.asarray(y_m, np.float64))
        col, row = (
            np.clip(np.rint((part + self.half_side_m) / self.spacing_m), 0, len(self.classes) - 1)
            for part in (x, y)
        )
        found: U8 = self.classes[row.astype(np.intp), col.astype(np.intp)]
        return found

    def rock_cover(self, x_m: F64, y_m: F64, *, min_diameter_m: float = 0.0) -> U8:
        """Return 1 at the points of a grid where a rock of at least a diameter rises above ground.

        Args:
            x_m: (cols,) ascending.
            y_m: (rows,) ascending.
            min_diameter_m: smallest mean horizontal diameter of rocks to include.
        """
        ground = self.ground_height_m(x_m[np.newaxis, :], y_m[:, np.newaxis])
        height = ground.copy()
        for index in np.flatnonzero(self.rocks.diameter_m >= min_diameter_m):
            self._raise_by_rock(int(index), x_m, y_m, height)
        cover: U8 = (height > ground).astype(np.uint8)
        return cover

    def slope_rad(self, baseline_m: float) -> F32:
        """Return the slope (n, n) of the ground without rocks at the posts.

        It is that of the plane fitted by least squares to the posts of a square of about the
        baseline, at least three posts wide. Beyond the border the outermost heights are repeated.
        """
        reach = max(1, round(0.5 * baseline_m / self.spacing_m))
        steps = np.arange(-reach, reach + 1, dtype=np.float64)
        tilt = steps / (np.sum(steps * steps) * self.spacing_m)
        mean: F64 = np.full(steps.size, 1.0 / steps.size)
        along_x, along_y = (
            cv2.sepFilter2D(self.ground_m, cv2.CV_32F, x, y, borderType=cv2.BORDER_REPLICATE)
            for x, y in ((tilt, mean), (mean, tilt))
        )
        return np.asarray(np.arctan(np.hypot(along_x, along_y)), dtype=np.float32)

    def _raise_by_rock(self, index: int, x_m: F64, y_m: F64, height: F64) -> None:
        rocks = self.rocks
        x0, y0 = rocks.x_m[index], rocks.y_m[index]
        a, b, c = rocks.a_m[index], rocks.b_m[index], rocks.c_m[index]
        reach = max(a, b)
        cols = slice(*np.searchsorted(x_m, (x0 - reach, x0 + reach)))
        rows = slice(*np.searchsorted(y_m, (y0 - reach, y0 + reach)))
        if cols.start == cols.stop or rows.start == rows.stop:
            return
        dx, dy = x_m[np.newaxis, cols] - x0, y_m[rows, np.newaxis] - y0
        cos, sin = math.cos(rocks.yaw_rad[index]), math.sin(rocks.yaw_rad[index])
        u, v = (cos * dx + sin * dy) / a, (cos * dy - sin * dx) / b
        under = 1.0 - u * u - v * v
        top = rocks.z_m[index] + c * np.sqrt(np.maximum(under, 0.0))
        part = height[rows, cols]
        np.copyto(part, np.fmax(part, top), where=(under >= 0.0) & ~np.isnan(part))
