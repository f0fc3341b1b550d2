"""Comparison of grids with the truth of their world: what is called safe, and which rocks show."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.grid.cost_to_safe_map import cost_to_safe_map
from terrain_seg_ros.core.grid.costs import COST_FREE, COST_LETHAL, COST_UNKNOWN, I8
from terrain_seg_ros.core.pipeline_settings import PipelineSettings
from terrain_seg_ros.core.types import GridSnapshot
from terrain_seg_ros.score.score_picture import MapLayers
from terrain_seg_ros.score.tally import (
    SIZE_CLASSES_M,
    Tally,
    ViewAreas,
    range_band,
    size_class,
)
from terrain_seg_ros.score.truth_field import TruthField, Window, visible_cells
from terrain_seg_ros.worlds.cast_rays import RayCast

MIN_ROCK_PIXELS = 8
"""Smallest number of pixels of a rock to be in view."""
MIN_ROCK_CELLS = 2.0
"""Smallest diameter, in cells, of a rock that must appear in the grid."""
FOOT_SHARE = 0.5
"""A rock is in view if at least this share of its lower outline borders ground, not a rock."""

Flags = NDArray[np.bool_]


class TruthComparison:
    """Compares the grids of a drive or descent with the truth, one after the other.

    The grids' frame is the world's.
    """

    def __init__(
        self, field: TruthField, settings: PipelineSettings, camera: CameraModel, tally: Tally
    ) -> None:
        """Start before the first grid; the settings say what is safe and how far ground is seen."""
        self.field = field
        self.tally = tally
        self.settings = settings
        self.camera = camera
        shape = (field.side, field.side)
        self._seen, self._reported_safe, self._false_safe, self._findable, self._found = (
            np.zeros(shape, dtype=np.bool_) for _ in range(5)
        )
        self._last_findable: Flags = np.zeros((0, 0), dtype=np.bool_)

    def compare(self, grid: GridSnapshot, safe: I8, cast: RayCast, *, height_m: float) -> None:
        """Compare one grid and count.

        Args:
            grid: the grid.
            safe: its safe map.
            cast: the view that was the last to enter it.
            height_m: height of the camera above the surrounding ground.
        """
        field, settings = self.field, self.settings
        window = field.window(grid)
        visible = visible_cells(
            field,
            window,
            camera=self.camera,
            cast=cast,
            max_range_m=settings.ground.max_range_m,
            max_sample_m=settings.ground.trusted_sample_m,
        )
        self._mark(self._seen, window, visible)
        inside = field.cut(np.ones_like(self._seen), window, outside=False)
        hazard = field.cut(field.hazard, window, outside=False)
        self.tally.visible_cells += int((visible & inside).sum())
        self.tally.observed_cells += int((visible & inside & (grid.cost != COST_UNKNOWN)).sum())
        self._compare_safe(grid, safe, window, hazard)
        self._compare_lethal(grid, window, inside & hazard, inside, (cast, height_m))
        self._compare_rocks(grid, window, cast)

    def compare_site(self, grid: GridSnapshot, site_m: tuple[float, float] | None) -> None:
        """Score the landing site, x and y, that was chosen in the last grid; None: no site."""
        field, tally = self.field, self.tally
        window, findable = field.window(grid), self._last_findable
        cols_m, rows_m = field.centres_m(window)
        tally.landing_possible = bool(findable.any())
        tally.landing_offered = site_m is not None
        if site_m is None:
            return
        distance_m = field.cut(field.distance_m, window, outside=0.0)
        row, col = (
            int(np.argmin(np.abs(places - place)))
            for places, place in ((rows_m, site_m[1]), (cols_m, site_m[0]))
        )
        clearance_m = self.settings.footprint.clearance_m
        tally.landing_safe = bool(distance_m[row, col] >= clearance_m)
        if findable.any():
            best = np.argmax(np.where(findable, distance_m, -1.0))
            best_row, best_col = np.unravel_index(int(best), distance_m.shape)
            tally.landing_to_best_m = math.hypot(
                float(cols_m[best_col]) - site_m[0], float(rows_m[best_row]) - site_m[1]
            )

    def cells_of(self, places_m: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        """Return row and column of places, given by x and y."""
        field = self.field
        return [
            (
                y_m / field.cell_m + field.half_cells,
                x_m / field.cell_m + field.half_cells,
            )
            for x_m, y_m in places_m
        ]

    def layers(self) -> MapLayers:
        """Return the layers of the map of the run."""
        return MapLayers(self.field.hazard, self._seen, self._reported_safe, self._false_safe)

    def finish(self) -> Tally:
        """Return the counts, with the areas accumulated over all views."""
        area_m2 = self.field.cell_m**2
        self.tally.called_safe_m2 = float(self._reported_safe.sum()) * area_m2
        self.tally.false_safe_m2 = float(self._false_safe.sum()) * area_m2
        self.tally.findable_m2 = float(self._findable.sum()) * area_m2
        self.tally.found_m2 = float((self._findable & self._found).sum()) * area_m2
        return self.tally

    def _compare_safe(self, grid: GridSnapshot, safe: I8, window: Window, hazard: Flags) -> None:
        """Compare the safe map with the truth eroded by the same footprint."""
        field, footprint = self.field, self.settings.footprint
        called = safe == COST_FREE
        distance_m = field.cut(field.distance_m, window, outside=0.0)
        truly_safe = distance_m >= footprint.clearance_m
        seen = field.cut(self._seen, window, outside=False)
        truth_cost = np.where(hazard, COST_LETHAL, np.where(seen, COST_FREE, COST_UNKNOWN))
        best = cost_to_safe_map(
            truth_cost.astype(np.int8), footprint, resolution_m=grid.resolution_m
        )
        self._mark(self._reported_safe, window, called)
        self._mark(self._false_safe, window, called & ~truly_safe)
        self._mark(self._findable, window, best == COST_FREE)
        self._last_findable = best == COST_FREE
        self._mark(self._found, window, called & (best == COST_FREE))
        areas = [called, called & ~truly_safe, best == COST_FREE, called & (best == COST_FREE)]
        cells = [int(area.sum()) for area in areas]
        self.tally.by_view.append(ViewAreas(*(count * field.cell_m**2 for count in cells)))

    def _compare_lethal(
        self,
        grid: GridSnapshot,
        window: Window,
        hazard: Flags,
        inside: Flags,
        view: tuple[RayCast, float],
    ) -> None:
        lethal = (grid.cost == COST_LETHAL) & inside
        if not lethal.any():
            return
        near = cv2.dilate(hazard.view(np.uint8), np.ones((3, 3), np.uint8)) > 0
        x_m, y_m = self.field.centres_m(window)
        cast, height_m = view
        eye_m = cast.world_T_camera.translation_m
        rows, cols = np.nonzero(lethal)
        range_m = np.sqrt((x_m[cols] - eye_m[0]) ** 2 + (y_m[rows] - eye_m[1]) ** 2 + height_m**2)
        bands = np.array([range_band(value) for value in range_m.tolist()])
        count = self.tally.lethal_cells.size
        self.tally.lethal_cells += np.bincount(bands, minlength=count)
        true = near[rows, cols]
        self.tally.lethal_cells_true += np.bincount(bands[true], minlength=count)

    def _compare_rocks(self, grid: GridSnapshot, window: Window, cast: RayCast) -> None:
        """Count the rocks in view, and those with a lethal cell within one cell of their foot."""
        field, settings = self.field, self.settings.ground
        rocks = field.world.rocks
        smallest_m = max(SIZE_CLASSES_M[0], MIN_ROCK_CELLS * field.cell_m)
        for index, distance_m in rocks_in_view(cast).items():
            diameter_m = float(rocks.diameter_m[index])
            trusted = distance_m <= settings.max_range_m
            if diameter_m < smallest_m or not trusted:
                continue
            cells = self._foot(index, window)
            if cells is None or not (grid.cost[cells] != COST_UNKNOWN).any():
                continue
            row, col = size_class(diameter_m), range_band(distance_m)
            self.tally.rocks_seen[row, col] += 1
            around = np.zeros(grid.cost.shape, np.uint8)
            around[cells] = 1
            near = cv2.dilate(around, np.ones((3, 3), np.uint8)) > 0
            shows = bool((grid.cost[near] == COST_LETHAL).any())
            self.tally.rocks_found[row, col] += shows
            cost = grid.cost[cells]
            self.tally.rock_cells += int(cost.size)
            self.tally.rock_cells_free += int(((cost >= 0) & (cost < COST_LETHAL)).sum())

    def _foot(self, index: int, window: Window) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
        """Return rows and columns of the cells in the window whose centre a rock covers."""
        rocks, (x_m, y_m) = self.field.world.rocks, self.field.centres_m(window)
        cos, sin = math.cos(rocks.yaw_rad[index]), math.sin(rocks.yaw_rad[index])
        dx = x_m[np.newaxis, :] - rocks.x_m[index]
        dy = y_m[:, np.newaxis] - rocks.y_m[index]
        ground_m = self.field.world.ground_height_m(rocks.x_m[index], rocks.y_m[index])
        buried = (float(ground_m) - rocks.z_m[index]) / rocks.c_m[index]
        waist = math.sqrt(max(0.0, 1.0 - buried**2))
        u = (cos * dx + sin * dy) / (rocks.a_m[index] * max(waist, 1e-6))
        v = (cos * dy - sin * dx) / (rocks.b_m[index] * max(waist, 1e-6))
        rows, cols = np.nonzero(u * u + v * v < 1.0)
        return (rows, cols) if rows.size else None

    def _mark(self, layer: Flags, window: Window, flags: Flags) -> None:
        rows, cols = (
            slice(max(0, start), min(self.field.side, start + window.side))
            for start in (window.row, window.col)
        )
        if rows.start < rows.stop and cols.start < cols.stop:
            layer[rows, cols] |= flags[
                rows.start - window.row : rows.stop - window.row,
                cols.start - window.col : cols.stop - window.col,
            ]


def rocks_in_view(cast: RayCast) -> dict[int, float]:
    """Return the distance along the optical axis of the rocks whose foot is visible.

    A rock is included if it covers enough pixels and at least half of its lower outline borders
    ground rather than another rock or the edge of the image.
    """
    index = cast.rock
    found = np.unique(index[index >= 0])
    below = np.full_like(index, -2)
    below[:-1] = index[1:]
    edge = (index >= 0) & (below != index)
    free = edge & (below == -1)
    size = int(index.max(initial=-1)) + 1
    pixels, lower, grounded = (
        np.bincount(index[flags], minlength=size) for flags in (index >= 0, edge, free)
    )
    result = {}
    for rock in found.tolist():
        if pixels[rock] >= MIN_ROCK_PIXELS and grounded[rock] >= FOOT_SHARE * lower[rock]:
            result[rock] = float(np.median(cast.depth_m[index == rock]))
    return result
