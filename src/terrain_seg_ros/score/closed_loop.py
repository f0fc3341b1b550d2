"""Closed-loop scoring of one run: rendered views, the grid built from them, and the truth."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.grid.cost_to_safe_map import cost_to_safe_map
from terrain_seg_ros.core.grid.costs import COST_FREE, COST_LETHAL, COST_UNKNOWN
from terrain_seg_ros.core.ground.measurement import DepthImage
from terrain_seg_ros.core.image.images_to_masks import SegmentStep
from terrain_seg_ros.core.landing.cost_to_landing_sites import LandingSite
from terrain_seg_ros.core.pipeline import Pipeline
from terrain_seg_ros.core.pipeline_settings import PipelineSettings
from terrain_seg_ros.core.types import F32, CameraImage, GridSnapshot, Transform
from terrain_seg_ros.score.paths import PathPose
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


@dataclass(frozen=True)
class RenderedView:
    """One rendered image and its ground truth.

    `image` is the input of the model, `cast` the truth, both of the camera's size. `height_m` is
    the height of the camera above the surrounding ground.
    """

    stamp_ns: int
    image: CameraImage
    cast: RayCast
    world_T_base: Transform  # noqa: N815
    world_T_camera: Transform  # noqa: N815
    height_m: float


class ClosedLoop:
    """Runs a pipeline along a path and compares its grid with the truth after every view.

    The grid's frame is the world's.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        field: TruthField,
        camera: CameraModel,
        tally: Tally,
        *,
        judged_by: PipelineSettings | None = None,
    ) -> None:
        """Start before the first view.

        The footprint, range and sample of `judged_by` (default: the pipeline's own settings) say
        which ground is truly safe and could be found.
        """
        self._pipeline = pipeline
        self._judge = judged_by or pipeline.settings
        self._field = field
        self._camera = camera
        self.tally = tally
        shape = (field.side, field.side)
        self._seen, self._reported_safe, self._false_safe, self._findable, self._found = (
            np.zeros(shape, dtype=np.bool_) for _ in range(5)
        )
        self._last_findable: Flags = np.zeros((0, 0), dtype=np.bool_)

    def add_view(self, view: RenderedView, *, depth_m: F32 | None) -> GridSnapshot:
        """Process one view with its measured depth (h, w), if any; count, and return the grid."""
        start = perf_counter()
        step = self._pipeline.segment(view.image)
        return self.add_masks(step, view, depth_m=depth_m, took_s=perf_counter() - start)

    def add_masks(
        self, step: SegmentStep, view: RenderedView, *, depth_m: F32 | None, took_s: float
    ) -> GridSnapshot:
        """Process one view whose image was segmented in `took_s`, also by another pipeline."""
        start = perf_counter()
        fused = self._pipeline.fuse(
            step,
            self._camera,
            grid_T_camera=view.world_T_camera,
            grid_T_base=view.world_T_base,
            stamp_ns=view.stamp_ns,
            measured=None if depth_m is None else DepthImage(depth_m, view.stamp_ns),
        )
        self.tally.novel_views += self._pipeline.settings.observability.is_novel(step.novelty)
        self.tally.latency_ms.append((perf_counter() - start + took_s) * 1e3)
        self._compare(fused.grid, view)
        return fused.grid

    def score_landing_site(self, grid: GridSnapshot, view: RenderedView) -> LandingSite | None:
        """Let the pipeline choose a landing site in the last grid, score it, and return it."""
        field, tally = self._field, self.tally
        x_m, y_m, _ = view.world_T_base.translation_m.tolist()
        sites = self._pipeline.products.landing_sites(grid, (x_m, y_m)).sites
        site = sites[0] if sites else None
        window, findable = field.window(grid), self._last_findable
        cols_m, rows_m = field.centres_m(window)
        tally.landing_possible = bool(findable.any())
        tally.landing_offered = site is not None
        if site is None:
            return None
        distance_m = field.cut(field.distance_m, window, outside=0.0)
        row, col = (
            int(np.argmin(np.abs(places - place)))
            for places, place in ((rows_m, site.y_m), (cols_m, site.x_m))
        )
        clearance_m = self._judge.footprint.clearance_m
        tally.landing_safe = bool(distance_m[row, col] >= clearance_m)
        if findable.any():
            best = np.argmax(np.where(findable, distance_m, -1.0))
            best_row, best_col = np.unravel_index(int(best), distance_m.shape)
            tally.landing_to_best_m = math.hypot(
                float(cols_m[best_col]) - site.x_m, float(rows_m[best_row]) - site.y_m
            )
        return site

    def cells_of(self, poses: Sequence[PathPose]) -> list[tuple[float, float]]:
        """Return the row and column of the vehicle for each pose of a path."""
        field = self._field
        return [
            (
                float(y_m) / field.cell_m + field.half_cells,
                float(x_m) / field.cell_m + field.half_cells,
            )
            for x_m, y_m, _ in (pose.world_T_base.translation_m for pose in poses)
        ]

    def disc_of(self, site: LandingSite | None) -> tuple[float, float, float] | None:
        """Return row, column and clear radius of a landing site, in cells."""
        if site is None:
            return None
        field = self._field
        row, col = (place / field.cell_m + field.half_cells for place in (site.y_m, site.x_m))
        return row, col, site.clear_radius_m / field.cell_m

    def layers(self) -> MapLayers:
        """Return the layers of the map of the run."""
        return MapLayers(self._field.hazard, self._seen, self._reported_safe, self._false_safe)

    def finish(self) -> Tally:
        """Return the counts, with the areas accumulated over all views."""
        area_m2 = self._field.cell_m**2
        self.tally.called_safe_m2 = float(self._reported_safe.sum()) * area_m2
        self.tally.false_safe_m2 = float(self._false_safe.sum()) * area_m2
        self.tally.findable_m2 = float(self._findable.sum()) * area_m2
        self.tally.found_m2 = float((self._findable & self._found).sum()) * area_m2
        return self.tally

    def _compare(self, grid: GridSnapshot, view: RenderedView) -> None:
        field, settings = self._field, self._judge
        window = field.window(grid)
        visible = visible_cells(
            field,
            window,
            camera=self._camera,
            cast=view.cast,
            max_range_m=settings.ground.max_range_m,
            max_sample_m=settings.ground.trusted_sample_m,
        )
        self._mark(self._seen, window, visible)
        inside = field.cut(np.ones_like(self._seen), window, outside=False)
        hazard = field.cut(field.hazard, window, outside=False)
        self.tally.visible_cells += int((visible & inside).sum())
        self.tally.observed_cells += int((visible & inside & (grid.cost != COST_UNKNOWN)).sum())
        self._compare_safe(grid, window, hazard)
        self._compare_lethal(grid, window, inside & hazard, inside, view)
        self._compare_rocks(grid, window, view)

    def _compare_safe(self, grid: GridSnapshot, window: Window, hazard: Flags) -> None:
        """Compare the safe map with the truth eroded by the same footprint."""
        field, footprint = self._field, self._judge.footprint
        called = self._pipeline.products.safe_map(grid) == COST_FREE
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
        self, grid: GridSnapshot, window: Window, hazard: Flags, inside: Flags, view: RenderedView
    ) -> None:
        lethal = (grid.cost == COST_LETHAL) & inside
        if not lethal.any():
            return
        near = cv2.dilate(hazard.view(np.uint8), np.ones((3, 3), np.uint8)) > 0
        x_m, y_m = self._field.centres_m(window)
        eye_m = view.world_T_camera.translation_m
        rows, cols = np.nonzero(lethal)
        range_m = np.sqrt(
            (x_m[cols] - eye_m[0]) ** 2 + (y_m[rows] - eye_m[1]) ** 2 + view.height_m**2
        )
        bands = np.array([range_band(value) for value in range_m.tolist()])
        count = self.tally.lethal_cells.size
        self.tally.lethal_cells += np.bincount(bands, minlength=count)
        true = near[rows, cols]
        self.tally.lethal_cells_true += np.bincount(bands[true], minlength=count)

    def _compare_rocks(self, grid: GridSnapshot, window: Window, view: RenderedView) -> None:
        """Count the rocks in view, and those with a lethal cell within one cell of their foot."""
        field, settings = self._field, self._judge.ground
        rocks = field.world.rocks
        smallest_m = max(SIZE_CLASSES_M[0], MIN_ROCK_CELLS * field.cell_m)
        for index, distance_m in rocks_in_view(view.cast).items():
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
        rocks, (x_m, y_m) = self._field.world.rocks, self._field.centres_m(window)
        cos, sin = math.cos(rocks.yaw_rad[index]), math.sin(rocks.yaw_rad[index])
        dx = x_m[np.newaxis, :] - rocks.x_m[index]
        dy = y_m[:, np.newaxis] - rocks.y_m[index]
        ground_m = self._field.world.ground_height_m(rocks.x_m[index], rocks.y_m[index])
        buried = (float(ground_m) - rocks.z_m[index]) / rocks.c_m[index]
        waist = math.sqrt(max(0.0, 1.0 - buried**2))
        u = (cos * dx + sin * dy) / (rocks.a_m[index] * max(waist, 1e-6))
        v = (cos * dy - sin * dx) / (rocks.b_m[index] * max(waist, 1e-6))
        rows, cols = np.nonzero(u * u + v * v < 1.0)
        return (rows, cols) if rows.size else None

    def _mark(self, layer: Flags, window: Window, flags: Flags) -> None:
        rows, cols = (
            slice(max(0, start), min(self._field.side, start + window.side))
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
