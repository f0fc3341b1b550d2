"""The ground of a moment as a surface, and where a ray meets it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.types import F32, F64
from terrain_seg_ros.messages.grid_map_message import GridLayers
from terrain_seg_ros.messages.grid_message import GridValues
from terrain_seg_ros.view.moment import Moment

ELEVATION = "elevation"
FARTHEST_CLICK_M = 500.0
Value = TypeVar("Value", bound=np.generic)


@dataclass(frozen=True)
class Ground:
    """Heights (rows, cols) of a grid's cells in its frame, without gaps.

    `is_measured` says whether they come from measured heights, or are one plane.
    """

    grid: GridValues
    height_m: F32
    is_measured: bool

    def height_at(self, x_m: F64, y_m: F64) -> F64:
        """Return the heights (N,) at places (N,); beyond the border those of the border."""
        rows, cols = self.height_m.shape
        col = np.clip((x_m - self.grid.origin_x_m) / self.grid.resolution_m, 0, cols - 1)
        row = np.clip((y_m - self.grid.origin_y_m) / self.grid.resolution_m, 0, rows - 1)
        found: F64 = self.height_m[row.astype(int), col.astype(int)].astype(np.float64)
        return found

    def height_below(self, place_m: F64) -> float:
        """Return how high a place (3,) is above the ground."""
        x_m, y_m, z_m = place_m.tolist()
        return float(z_m - self.height_at(np.array([x_m]), np.array([y_m]))[0])

    def hit(self, origin: F64, direction: F64) -> F64 | None:
        """Return where a ray (3,) first meets the ground, None where it does not."""
        length = float(np.linalg.norm(direction))
        if not np.isfinite(origin).all() or not np.isfinite(length) or length == 0.0:
            return None
        step_m = max(self.grid.resolution_m / 2.0, FARTHEST_CLICK_M / 20_000)
        along_m = np.arange(0.0, FARTHEST_CLICK_M, step_m)
        points = origin + along_m[:, np.newaxis] * (direction / length)
        below = points[:, 2] <= self.height_at(points[:, 0], points[:, 1])
        if below[0] or not below.any():
            return None
        found: F64 = points[int(np.argmax(below))]
        return found


def ground_of(moment: Moment) -> Ground | None:
    """Return the ground under the grid of a moment, None without a grid.

    Where no heights are measured the ground is the plane through the vehicle's base frame, as the
    node assumes, or that of the grid's frame where landing sites show that the vehicle flies.
    """
    grid = moment.grid
    if grid is None:
        return None
    elevation = layer_on(grid, moment.layers, ELEVATION)
    if elevation is not None and np.isfinite(elevation).any():
        return Ground(grid, without_gaps(elevation), is_measured=True)
    pose = moment.vehicle_pose
    level_m = 0.0 if pose is None or moment.sites else float(pose.translation_m[2])
    return Ground(grid, np.full(grid.values.shape, level_m, np.float32), is_measured=False)


def layer_on(grid: GridValues, layers: GridLayers | None, name: str) -> F32 | None:
    """Return a layer on the cells of a grid, NaN beyond it; None where it is absent.

    A layer that was published before the grid rolled on is shifted; one of another resolution or
    frame counts as absent.
    """
    if layers is None or name not in layers.layers or layers.frame_id != grid.frame_id:
        return None
    if abs(layers.resolution_m - grid.resolution_m) > 1e-6 * grid.resolution_m:
        return None
    offset = _offset_cells(grid, layers)
    return moved(layers.layers[name], offset, grid.values.shape, np.float32(np.nan))


def values_on(grid: GridValues, other: GridValues | None, fill: int) -> NDArray[np.int8]:
    """Return another grid's values on the cells of a grid, `fill` where it has none."""
    if other is None or abs(other.resolution_m - grid.resolution_m) > 1e-6 * grid.resolution_m:
        return np.full(grid.values.shape, fill, dtype=np.int8)
    return moved(other.values, _offset_cells(grid, other), grid.values.shape, np.int8(fill))


def moved(
    source: NDArray[Value], offset: tuple[int, int], shape: tuple[int, ...], fill: Value
) -> NDArray[Value]:
    """Return the part of an array that begins at an offset, `fill` where it has nothing."""
    row, col = offset
    result = np.full(shape, fill, dtype=source.dtype)
    top, left = max(0, -row), max(0, -col)
    bottom, right = min(shape[0], source.shape[0] - row), min(shape[1], source.shape[1] - col)
    if top < bottom and left < right:
        result[top:bottom, left:right] = source[top + row : bottom + row, left + col : right + col]
    return result


def _offset_cells(grid: GridValues, other: GridValues | GridLayers) -> tuple[int, int]:
    return (
        round((grid.origin_y_m - other.origin_y_m) / grid.resolution_m),
        round((grid.origin_x_m - other.origin_x_m) / grid.resolution_m),
    )


def without_gaps(values: F32) -> F32:
    """Return values with NaN replaced by blurred neighbours, and far from any by their median."""
    known = np.isfinite(values)
    level = np.float32(np.median(values[known]))
    filled: F32 = np.where(known, values, level).astype(np.float32)
    weight = known.astype(np.float32)
    for size in (65, 17, 5):
        total = cv2.blur(weight, (size, size))
        mean = cv2.blur(np.where(known, values, 0.0).astype(np.float32), (size, size))
        near = ~known & (total > 1e-4)
        filled[near] = mean[near] / total[near]
    return filled
