"""The true hazards of a world, at the cells of any grid."""

from __future__ import annotations

import math
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.types import F32, F64, GridSnapshot
from terrain_seg_ros.worlds.cast_rays import RayCast
from terrain_seg_ros.worlds.truth import CellGrid, HazardDefinition, truth_layers
from terrain_seg_ros.worlds.world import World

FINE_PER_CELL = 4
"""Number of points along a cell's side at which the truth is evaluated."""
MAX_FINE = 8192
SLOPE_WINDOW_M = 0.5
"""Length over which the ground's slope is averaged to compute the footprint of a pixel."""
OCCLUSION_SLACK_M = 0.03
"""A cell is hidden if it exceeds its pixel's depth by more than this plus a ground sample."""

Flags = NDArray[np.bool_]
Scalar = TypeVar("Scalar", bound=np.generic)


class Window(NamedTuple):
    """A square of a field's cells, given by its first row and column; it may exceed the field."""

    row: int
    col: int
    side: int


class TruthField:
    """The true hazards of a world, and the distance to the nearest one.

    A hazard is a rock of at least `min_hazard_m` mean diameter, or ground steeper than
    `max_slope_rad` over `baseline_m`. The corners of cells are at integer multiples of `cell_m` in
    the world's frame, as for a `RollingGrid`.
    """

    def __init__(
        self,
        world: World,
        *,
        cell_m: float,
        min_hazard_m: float,
        max_slope_rad: float,
        baseline_m: float,
    ) -> None:
        """Compute the hazards.

        Raises:
            ConfigError: the world has too many cells.
        """
        self.world = world
        self.cell_m = cell_m
        self.half_cells = math.floor(world.half_side_m / cell_m)
        fine = 2 * self.half_cells * FINE_PER_CELL
        if not 0 < fine <= MAX_FINE:
            raise ConfigError(
                f"a world of {2 * world.half_side_m} m has {2 * self.half_cells} cells of {cell_m} "
                f"m a side, expected 1 to {MAX_FINE // FINE_PER_CELL}"
            )
        step_m = cell_m / FINE_PER_CELL
        points_m = _middles(fine, step_m)
        rocks = world.rock_cover(points_m, points_m, min_diameter_m=min_hazard_m) > 0
        centres_m = _middles(2 * self.half_cells, cell_m)
        self.gradient = [
            _nearest(world, _smooth(np.asarray(part), SLOPE_WINDOW_M / world.spacing_m), centres_m)
            for part in np.gradient(world.ground_m, world.spacing_m)
        ]  # along y and x, (2 half, 2 half)
        steep = _nearest(world, world.slope_rad(baseline_m), points_m) > max_slope_rad
        corner_m = -self.half_cells * cell_m
        cells = CellGrid(self.side, self.side, cell_m, corner_m, corner_m)
        definition = HazardDefinition(min_hazard_m, max_slope_rad, baseline_m)
        self.hazard = truth_layers(world, cells, definition).hazard  # (side, side)
        distance = cv2.distanceTransform(
            np.logical_not(rocks | steep).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE
        )
        self.distance_m: F32 = _at_centres(np.asarray(distance)) * np.float32(step_m)

    @property
    def side(self) -> int:
        """Return the number of rows, which equals the number of columns."""
        return 2 * self.half_cells

    def window(self, grid: GridSnapshot) -> Window:
        """Return the window of a grid.

        Raises:
            ConfigError: its cells have a different size.
        """
        if abs(grid.resolution_m - self.cell_m) > 1e-9:
            raise ConfigError(f"grid has cells of {grid.resolution_m} m, expected {self.cell_m}")
        row = round(grid.origin_y_m / self.cell_m) + self.half_cells
        col = round(grid.origin_x_m / self.cell_m) + self.half_cells
        return Window(row, col, grid.cost.shape[0])

    def centres_m(self, window: Window) -> tuple[F64, F64]:
        """Return x of the window's columns and y of its rows, at the centres of the cells."""
        places_m = _middles(window.side, self.cell_m)
        middle = window.side // 2 - self.half_cells
        return (
            places_m + (middle + window.col) * self.cell_m,
            places_m + (middle + window.row) * self.cell_m,
        )

    def cut(self, layer: NDArray[Scalar], window: Window, *, outside: object) -> NDArray[Scalar]:
        """Return a window of a layer of this field; cells outside the world are `outside`."""
        found = np.full((window.side, window.side), outside, dtype=layer.dtype)
        rows, cols = (
            slice(max(0, start), min(self.side, start + window.side))
            for start in (window.row, window.col)
        )
        if rows.start < rows.stop and cols.start < cols.stop:
            found[
                rows.start - window.row : rows.stop - window.row,
                cols.start - window.col : cols.stop - window.col,
            ] = layer[rows, cols]
        return found


def visible_cells(
    field: TruthField,
    window: Window,
    *,
    camera: CameraModel,
    cast: RayCast,
    max_range_m: float,
    max_sample_m: float,
) -> Flags:
    """Return which cells (side, side) are in view, not hidden and within the trusted range.

    The centre of a cell, on the ground, decides. It is hidden if its pixel sees something closer
    than the ground covered by the pixel can be.

    Args:
        field: the true hazards of the world.
        window: the cells.
        camera: the camera of the ray cast.
        cast: the ray cast.
        max_range_m: largest distance from the camera.
        max_sample_m: largest distance of neighbouring pixels on the ground.
    """
    x_m, y_m = field.centres_m(window)
    grid_x, grid_y = np.meshgrid(x_m, y_m)
    z_m = field.world.ground_height_m(grid_x, grid_y)
    points = np.stack([grid_x, grid_y, z_m], axis=-1).reshape(-1, 3)
    camera_T_world = cast.world_T_camera.inverse()
    points_camera = points @ camera_T_world.rotation.T + camera_T_world.translation_m
    pixels = camera.project(points_camera)
    finite = np.isfinite(pixels).all(axis=1) & np.isfinite(points_camera).all(axis=1)
    col, row = (np.rint(np.where(finite, part, -1.0)).astype(np.intp) for part in pixels.T)
    finite &= (col >= 0) & (col < camera.width_px) & (row >= 0) & (row < camera.height_px)
    range_m = np.linalg.norm(points_camera, axis=1)
    finite &= range_m <= max_range_m
    rays_m = points - cast.world_T_camera.translation_m
    spacing_rad = np.zeros(finite.shape)
    spacing_rad[finite] = _spacing_rad(cast)[row[finite], col[finite]]
    sample_m = _ground_sample_m(field, window, rays_m, spacing_rad)
    finite &= sample_m <= max_sample_m
    at = (row[finite], col[finite])
    seen_m = np.zeros(finite.shape)
    seen_m[finite] = np.nan_to_num(cast.depth_m, nan=np.inf)[at] + sample_m[finite]
    finite &= points_camera[:, 2] <= seen_m + OCCLUSION_SLACK_M
    return np.asarray(finite.reshape(window.side, window.side))


def _ground_sample_m(field: TruthField, window: Window, rays_m: F64, spacing_rad: F64) -> F64:
    """Return the distance of neighbouring pixels on the ground (side * side,), infinite if hidden.

    It is the angle between them times the distance, divided by the sine of the angle between the
    ray and the local slope.

    Args:
        field: the true hazards of the world.
        window: the cells.
        rays_m: (side * side, 3) from the camera to the cells' centres, in the world's frame.
        spacing_rad: (side * side,) angle between the rays of neighbouring pixels there.
    """
    range_m = np.linalg.norm(rays_m, axis=1)
    slope_y, slope_x = (
        field.cut(part, window, outside=0.0).ravel().astype(np.float64) for part in field.gradient
    )
    into = -(rays_m[:, 2] - slope_x * rays_m[:, 0] - slope_y * rays_m[:, 1])
    into /= np.sqrt(1.0 + slope_x**2 + slope_y**2)
    sample_m = np.full(range_m.shape, np.inf)
    np.divide(range_m**2 * spacing_rad, into, out=sample_m, where=into > 0.0)
    return sample_m


def _middles(count: int, step_m: float) -> F64:
    """Return the centres of an even number of steps around 0."""
    middles: F64 = (np.arange(count, dtype=np.float64) + 0.5 - count // 2) * step_m
    return middles


def _spacing_rad(cast: RayCast) -> F64:
    """Return the larger angle (H, W) between the rays of a pixel and its neighbours."""
    unit = cast.rays / np.linalg.norm(cast.rays, axis=-1, keepdims=True)
    steps = [np.linalg.norm(np.gradient(unit, axis=axis), axis=-1) for axis in (0, 1)]
    return np.asarray(np.maximum(*steps))


def _nearest(world: World, layer: F32, points_m: F64) -> F32:
    index = np.rint((points_m + world.half_side_m) / world.spacing_m).astype(np.intp)
    index = np.clip(index, 0, layer.shape[0] - 1)
    return layer[np.ix_(index, index)]


def _smooth(layer: NDArray[np.generic], window: float) -> F32:
    posts = max(1, 2 * round(0.5 * window) + 1)
    return np.asarray(cv2.blur(np.asarray(layer, np.float32), (posts, posts)), dtype=np.float32)


def _at_centres(fine: NDArray[np.generic]) -> F32:
    """Return the mean of the four points around the centre of each cell."""
    low, high = FINE_PER_CELL // 2 - 1, FINE_PER_CELL // 2
    parts = [
        np.asarray(fine[row::FINE_PER_CELL, col::FINE_PER_CELL], dtype=np.float32)
        for row in (low, high)
        for col in (low, high)
    ]
    mean: F32 = sum(parts[1:], start=parts[0]) * np.float32(0.25)
    return mean
