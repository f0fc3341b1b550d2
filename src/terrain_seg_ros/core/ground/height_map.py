"""A height map of the ground, and the first intersection of rays with it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError, GeometryError
from terrain_seg_ros.core.geometry.pixel_rays import PixelRays
from terrain_seg_ros.core.types import F32, F64, Transform

MAX_FANS = 4096
MAX_STEPS = 4096
"""Limits of the number of directions and distances at which the heights are sampled."""
RESOLUTION_M = (1e-3, 1e5)
PLACE_LIMIT_M = 1e8
HEIGHT_LIMIT_M = 1e6
"""Largest plausible height; larger values are mostly undeclared nodata."""
APART = 4.0
"""Offset in rad between directions in a sorted array; more than the span of all elevations."""

Index = NDArray[np.intp]


@dataclass(frozen=True)
class HeightMap:
    """Heights (rows, cols) float32 in the grid's frame, NaN where unknown.

    Row 0 has the lowest y, column 0 the lowest x; `origin_x_m` and `origin_y_m` are the position
    of the height in row 0 and column 0, the centre of that cell. Between four heights the ground
    is interpolated bilinearly.
    """

    heights_m: F32
    origin_x_m: float
    origin_y_m: float
    resolution_m: float

    def __post_init__(self) -> None:
        """Check shape, dtype and ranges."""
        shape, dtype = self.heights_m.shape, self.heights_m.dtype
        if len(shape) != 2 or min(shape) < 2 or dtype != np.float32:
            raise ConfigError(
                f"height map has shape {shape} and dtype {dtype}, expected (rows, cols) of "
                "float32, at least 2 x 2"
            )
        if not max(abs(self.origin_x_m), abs(self.origin_y_m)) <= PLACE_LIMIT_M:
            raise ConfigError(
                f"height map has its origin at ({self.origin_x_m}, {self.origin_y_m}), expected "
                f"finite metres in grid_frame, at most {PLACE_LIMIT_M:g}"
            )
        low, high = RESOLUTION_M
        if not low <= self.resolution_m <= high:
            raise ConfigError(
                f"height map has resolution {self.resolution_m} m, expected more than 0: "
                f"{low:g} to {high:g}"
            )
        if not np.isfinite(self.heights_m).any():
            raise ConfigError("height map has no finite height; check the file and its nodata")
        highest = np.nanmax(self.heights_m, where=np.isfinite(self.heights_m), initial=0.0)
        lowest = np.nanmin(self.heights_m, where=np.isfinite(self.heights_m), initial=0.0)
        for value in (float(lowest), float(highest)):
            if abs(value) > HEIGHT_LIMIT_M:
                raise ConfigError(
                    f"height map contains a height of {value:g} m, expected at most "
                    f"{HEIGHT_LIMIT_M:g}; if it means no data, declare it as nodata"
                )

    def at(self, x_m: F64, y_m: F64) -> F64:
        """Return the heights at points of the grid's frame, NaN where unknown."""
        rows, cols = self.heights_m.shape
        col = (x_m - self.origin_x_m) / self.resolution_m
        row = (y_m - self.origin_y_m) / self.resolution_m
        inside = (col >= 0.0) & (col <= cols - 1.0) & (row >= 0.0) & (row <= rows - 1.0)
        col, row = np.where(inside, col, 0.0), np.where(inside, row, 0.0)
        col0 = np.minimum(col.astype(np.intp), cols - 2)
        row0 = np.minimum(row.astype(np.intp), rows - 2)
        u, v = col - col0, row - row0
        first = row0 * cols + col0
        z00, z01, z10, z11 = (
            self.heights_m.reshape(-1).take(first + step) for step in (0, 1, cols, cols + 1)
        )
        low, high = z00 + u * (z01 - z00), z10 + u * (z11 - z10)
        return np.where(inside, low + v * (high - low), np.nan)


class _Fans(NamedTuple):
    """The ground along directions from the point below the camera: (directions, distances).

    `horizon_rad` is the highest elevation angle up to each distance; `known` is false where the
    height is unknown and that of the last known place before it is used.
    """

    first_rad: float
    step_rad: float
    step_m: float
    height_m: F64
    horizon_rad: F64
    known: NDArray[np.bool_]


class _Directions(NamedTuple):
    """Rays (N,): azimuth, elevation, and horizontal and vertical distance per unit of depth."""

    azimuth_rad: F64
    elevation_rad: F64
    level: F64
    rise: F64


def rays_to_depth(
    heights: HeightMap, rays: PixelRays, grid_T_camera: Transform, *, max_range_m: float
) -> F32:
    """Return the depth (h, w) at which rays first meet the ground, NaN where they do not.

    The rays of a camera lie in vertical planes through it. In each of many such planes the ground
    is traversed once, outwards, keeping the running maximum of the elevation angle; a ray first
    meets the ground where that maximum reaches the elevation of the ray. Relief of any shape
    therefore hides the ground behind it. The intersection is refined linearly between two steps.

    Unknown ground is treated as if it had the last known height before it; a ray that ends there
    has no depth.

    Args:
        heights: the map, in the grid's frame.
        rays: the rays of the pixels, optical frame.
        grid_T_camera: the pose of the optical frame.
        max_range_m: largest horizontal distance of ground to search.

    Raises:
        GeometryError: the camera is not above the ground of the map.
    """
    camera_m = grid_T_camera.translation_m
    under_m = float(heights.at(camera_m[:1], camera_m[1:2])[0])
    if under_m >= camera_m[2]:
        raise GeometryError(
            f"camera is {under_m - camera_m[2]:.3f} m below the ground of the height map; check "
            "that its heights are in grid_frame, and the mounting"
        )
    depth_m: F32 = np.full(rays.x.shape, np.nan, dtype=np.float32)
    pixel = np.flatnonzero(np.isfinite(rays.length))
    if not pixel.size:
        return depth_m
    towards = _directions(rays, grid_T_camera, pixel)
    fans = _walk(heights, camera_m, towards, _spread(rays, max_range_m))
    depth_m.reshape(-1)[pixel] = _meet(fans, towards, float(camera_m[2]))
    return depth_m


def _directions(rays: PixelRays, grid_T_camera: Transform, pixel: Index) -> _Directions:
    x, y = (part.reshape(-1)[pixel].astype(np.float64) for part in (rays.x, rays.y))
    axes = grid_T_camera.rotation
    along = [axes[row, 0] * x + axes[row, 1] * y + axes[row, 2] for row in range(3)]
    level = np.hypot(along[0], along[1])
    # Measured from the centre of the view, so that few views cross the wrap-around.
    middle_rad = math.atan2(along[1].sum(), along[0].sum())
    azimuth_rad = np.arctan2(along[1], along[0]) - middle_rad
    azimuth_rad = middle_rad + (azimuth_rad + np.pi) % (2.0 * np.pi) - np.pi
    return _Directions(azimuth_rad, np.arctan2(along[2], level), level, along[2])


def _spread(rays: PixelRays, max_range_m: float) -> tuple[float, float]:
    return float(np.nanmin(np.where(rays.spacing_rad > 0.0, rays.spacing_rad, np.nan))), max_range_m


def _walk(
    heights: HeightMap, camera_m: F64, towards: _Directions, spread: tuple[float, float]
) -> _Fans:
    """Return the ground along all directions of the view."""
    spacing_rad, max_range_m = spread
    first, last = float(towards.azimuth_rad.min()), float(towards.azimuth_rad.max())
    wanted = (last - first) / spacing_rad if math.isfinite(spacing_rad) else 1.0
    count = int(min(max(math.ceil(wanted), 1), MAX_FANS))
    step_rad = max((last - first) / count, 1e-9)
    reach_m = min(max_range_m, _farthest_m(heights, camera_m))
    steps = int(min(max(math.ceil(reach_m / heights.resolution_m), 1), MAX_STEPS))
    step_m = reach_m / steps
    azimuth_rad = first + (np.arange(count) + 0.5) * step_rad
    distance_m = step_m * np.arange(steps + 1)
    height_m = heights.at(
        camera_m[0] + np.cos(azimuth_rad)[:, np.newaxis] * distance_m,
        camera_m[1] + np.sin(azimuth_rad)[:, np.newaxis] * distance_m,
    )
    known = ~np.isnan(height_m)
    latest = np.maximum.accumulate(np.where(known, np.arange(steps + 1), 0), axis=1)
    height_m = np.take_along_axis(height_m, latest, axis=1)
    height_m[np.isnan(height_m)] = -np.inf
    with np.errstate(invalid="ignore"):
        elevation_rad = np.arctan2(height_m - camera_m[2], distance_m)
    horizon_rad = np.maximum.accumulate(elevation_rad, axis=1)
    return _Fans(first, step_rad, step_m, height_m, horizon_rad, known)


def _farthest_m(heights: HeightMap, camera_m: F64) -> float:
    """Return the distance from the point below the camera to the farthest corner of the map."""
    rows, cols = heights.heights_m.shape
    x_m, y_m = heights.origin_x_m - camera_m[0], heights.origin_y_m - camera_m[1]
    far_x_m = max(abs(x_m), abs(x_m + (cols - 1) * heights.resolution_m))
    far_y_m = max(abs(y_m), abs(y_m + (rows - 1) * heights.resolution_m))
    return math.hypot(far_x_m, far_y_m) + heights.resolution_m


def _meet(fans: _Fans, towards: _Directions, camera_z_m: float) -> F32:
    """Return the depth (N,) at which rays meet the ground in their direction, or NaN."""
    count, width = fans.horizon_rad.shape
    fan = ((towards.azimuth_rad - fans.first_rad) / fans.step_rad).astype(np.intp)
    fan = np.clip(fan, 0, count - 1)
    ordered = (fans.horizon_rad + APART * np.arange(count)[:, np.newaxis]).reshape(-1)
    place = np.searchsorted(ordered, towards.elevation_rad + APART * fan) - fan * width
    hit = np.flatnonzero(place < width)
    fan, after = fan[hit], np.maximum(place[hit], 1)
    before = after - 1
    level = np.maximum(towards.level[hit], 1e-12)
    rise = towards.rise[hit]
    slope = rise / level
    low_m, high_m = fans.height_m[fan, before], fans.height_m[fan, after]
    short_m = camera_z_m + slope * before * fans.step_m - low_m
    beyond_m = high_m - camera_z_m - slope * after * fans.step_m
    share = np.clip(short_m / np.maximum(short_m + beyond_m, 1e-12), 0.0, 1.0)
    depth = (before + share) * fans.step_m / level
    steep = np.abs(rise) > level
    depth[steep] = (low_m + share * (high_m - low_m) - camera_z_m)[steep] / rise[steep]
    depth[~(fans.known[fan, before] & fans.known[fan, after] & (depth > 0.0))] = np.nan
    result: F32 = np.full(place.size, np.nan, dtype=np.float32)
    result[hit] = depth
    return result
