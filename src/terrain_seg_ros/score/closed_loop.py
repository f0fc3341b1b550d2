"""Closed-loop scoring of one run: rendered views, the grid built from them, and the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.ground.measurement import DepthImage
from terrain_seg_ros.core.image.images_to_masks import SegmentStep
from terrain_seg_ros.core.landing.cost_to_landing_sites import LandingSite
from terrain_seg_ros.core.pipeline import Pipeline
from terrain_seg_ros.core.pipeline_settings import PipelineSettings
from terrain_seg_ros.core.types import F32, CameraImage, GridSnapshot, Transform
from terrain_seg_ros.score.paths import PathPose
from terrain_seg_ros.score.score_picture import MapLayers
from terrain_seg_ros.score.tally import Tally
from terrain_seg_ros.score.truth_comparison import TruthComparison
from terrain_seg_ros.score.truth_field import TruthField
from terrain_seg_ros.worlds.cast_rays import RayCast


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
        self._camera = camera
        self.tally = tally
        self._comparison = TruthComparison(field, judged_by or pipeline.settings, camera, tally)

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
        safe = self._pipeline.products.safe_map(fused.grid)
        self._comparison.compare(fused.grid, safe, view.cast, height_m=view.height_m)
        return fused.grid

    def score_landing_site(self, grid: GridSnapshot, view: RenderedView) -> LandingSite | None:
        """Let the pipeline choose a landing site in the last grid, score it, and return it."""
        x_m, y_m, _ = view.world_T_base.translation_m.tolist()
        sites = self._pipeline.products.landing_sites(grid, (x_m, y_m)).sites
        site = sites[0] if sites else None
        self._comparison.compare_site(grid, None if site is None else (site.x_m, site.y_m))
        return site

    def cells_of(self, poses: Sequence[PathPose]) -> list[tuple[float, float]]:
        """Return the row and column of the vehicle for each pose of a path."""
        places = (pose.world_T_base.translation_m.tolist() for pose in poses)
        return self._comparison.cells_of([(x_m, y_m) for x_m, y_m, _ in places])

    def disc_of(self, site: LandingSite | None) -> tuple[float, float, float] | None:
        """Return row, column and clear radius of a landing site, in cells."""
        if site is None:
            return None
        ((row, col),) = self._comparison.cells_of([(site.x_m, site.y_m)])
        return row, col, site.clear_radius_m / self._comparison.field.cell_m

    def layers(self) -> MapLayers:
        """Return the layers of the map of the run."""
        return self._comparison.layers()

    def finish(self) -> Tally:
        """Return the counts, with the areas accumulated over all views."""
        return self._comparison.finish()
