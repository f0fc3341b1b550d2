"""The pipeline: the stages from image to grid, in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import cv2
import numpy as np

from terrain_seg_ros.core.backend import Backend
from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.grid.footprint_outline import heading_rad
from terrain_seg_ros.core.grid.grid_to_cost import grid_to_cost
from terrain_seg_ros.core.grid.ground_to_grid import ground_to_grid
from terrain_seg_ros.core.grid.rolling_grid import RollingGrid
from terrain_seg_ros.core.grid_products import GridProducts
from terrain_seg_ros.core.ground.ground_view import GroundView
from terrain_seg_ros.core.ground.height_map import HeightMap
from terrain_seg_ros.core.ground.mask_to_ground import GroundProjector
from terrain_seg_ros.core.ground.measurement import GroundMeasurement, GroundResidual
from terrain_seg_ros.core.ground.own_body import OwnBody
from terrain_seg_ros.core.ground.view_shadow import hide_shadows
from terrain_seg_ros.core.hazard_rule import HazardRule
from terrain_seg_ros.core.image.images_to_masks import SegmentStep, images_to_masks
from terrain_seg_ros.core.image.novelty import novelty_of
from terrain_seg_ros.core.image.observability import unobserved_reasons
from terrain_seg_ros.core.landing.site_selector import LandingSiteSelector
from terrain_seg_ros.core.model_card import ModelCard
from terrain_seg_ros.core.pipeline_settings import PipelineSettings
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import (
    F32,
    F64,
    U8,
    CameraImage,
    GridSnapshot,
    Reason,
    Transform,
)


@dataclass(frozen=True)
class FuseStep:
    """The result of fusing one view: the ground points of its pixels and the updated grid.

    `patch` also states why pixels are not observed. `residual` is the misfit between the plane
    and the measured ground, None without a measurement. `stage_ms` has the stages project, fuse
    and cost.
    """

    patch: GroundView
    grid: GridSnapshot
    stage_ms: dict[str, float]
    residual: GroundResidual | None


@dataclass(frozen=True)
class _ClassTables:
    """Values per class of the model, derived from the settings."""

    taxonomy: Taxonomy
    speed_percents: F32
    standing: U8


class Pipeline:
    """One model and one grid; not thread-safe."""

    def __init__(
        self,
        card: ModelCard,
        backend: Backend,
        settings: PipelineSettings,
        *,
        heights: HeightMap | None = None,
    ) -> None:
        """Start with an empty grid; `heights` is required if the ground source is a height map.

        Raises:
            ConfigError: a hazard, a speed or a protruding class names an unknown class, or the
                height map is missing.
            ModelError: the card's novelty is of other statistics.
        """
        self._card = card
        self._backend = backend
        self._projector = GroundProjector(
            settings.ground, cell_m=settings.grid.resolution_m, heights=heights
        )
        self._settings = settings
        self._classes = _class_tables(card.taxonomy, settings)
        self._novelty = novelty_of(card)
        self._grid = RollingGrid(settings.grid, len(card.taxonomy))
        self._heading_rad: float | None = None
        self.site_selector = LandingSiteSelector()
        """Chooses among landing sites and keeps the operator's selection."""

    @property
    def taxonomy(self) -> Taxonomy:
        """Return the model's classes with the hazards currently set."""
        return self._classes.taxonomy

    @property
    def hazard_rule(self) -> HazardRule:
        """Return the rule for the hazards and the threshold currently set."""
        return HazardRule.of(self._classes.taxonomy, self._settings.cost.hazard_threshold)

    @property
    def settings(self) -> PipelineSettings:
        """Return the current settings."""
        return self._settings

    @property
    def products(self) -> GridProducts:
        """Return the outputs derived from the grid; valid until the grid changes."""
        return GridProducts(
            self._grid,
            self._settings,
            self._classes.speed_percents,
            self.site_selector,
            self._heading_rad,
        )

    def apply_settings(self, settings: PipelineSettings) -> None:
        """Replace the settings; the grid is kept if its shape, frame and fusion are unchanged.

        Raises:
            ConfigError: a hazard, a speed or a protruding class names an unknown class; the old
                settings remain in use.
        """
        classes = _class_tables(self._card.taxonomy, settings)
        old, new = self._settings.grid, settings.grid
        shape = (new.frame_id, new.resolution_m, new.size_m)
        if shape != (old.frame_id, old.resolution_m, old.size_m):
            self._grid = RollingGrid(new, len(classes.taxonomy))
            self.site_selector.forget()
        self._grid.settings = new
        self._projector.apply_settings(settings.ground, cell_m=new.resolution_m)
        self._classes, self._settings = classes, settings

    def segment(self, image: CameraImage) -> SegmentStep:
        """Return the network's output for an image.

        Raises:
            InferenceError: the backend failed.
        """
        return self.segment_all([image])[0]

    def segment_all(self, images: Sequence[CameraImage]) -> list[SegmentStep]:
        """Return the network's output for each image of one batch; see `images_to_masks`."""
        wanted = self._novelty if self._settings.observability.max_novelty > 0.0 else None
        return images_to_masks(images, self._card, self._backend, novelty=wanted)

    def fuse(
        self,
        step: SegmentStep,
        camera: CameraModel,
        *,
        grid_T_camera: Transform,
        grid_T_base: Transform,
        stamp_ns: int,
        measured: GroundMeasurement | None = None,
        own_body: OwnBody | None = None,
    ) -> FuseStep:
        """Move the grid to the vehicle, add one view to it and return the result.

        Args:
            step: the segmented image.
            camera: the camera's intrinsics.
            grid_T_camera: the optical frame in the grid's frame, at the image's stamp.
            grid_T_base: the vehicle in the grid's frame, at the image's stamp.
            stamp_ns: the image's stamp.
            measured: the ground measured with the image. If the settings use a plane instead, the
                result contains how far the plane is from the measurement.
            own_body: where this camera sees the vehicle itself.

        Raises:
            GeometryError: camera, image, transforms and measurement are inconsistent; the grid is
                unchanged.
        """
        start = perf_counter()
        patch, residual = self._project(
            step, camera, measured, grid_T_camera=grid_T_camera, grid_T_base=grid_T_base
        )
        projected = perf_counter()
        reasons = unobserved_reasons(
            step.tensor[0],
            step.segmentation,
            self._settings.observability,
            class_names=self._classes.taxonomy.names,
        )
        if self._settings.observability.is_novel(step.novelty):
            reasons[...] = Reason.NOVEL
        np.copyto(reasons, patch.reason, where=patch.reason != Reason.OBSERVED)
        patch = _hide(
            replace(patch, reason=reasons),
            step,
            self._settings,
            standing=self._classes.standing,
            camera_m=grid_T_camera.translation_m,
            own_body=own_body,
        )
        self._heading_rad = heading_rad(grid_T_base)
        self._grid.move_to(float(grid_T_base.translation_m[0]), float(grid_T_base.translation_m[1]))
        self._grid.decay_to(stamp_ns)
        ground_to_grid(
            self._grid,
            patch,
            segmentation=step.segmentation,
            hazards=self._classes.taxonomy.hazards(),
            hazard_threshold=self._settings.cost.hazard_threshold,
        )
        fused = perf_counter()
        snapshot = self._snapshot(stamp_ns)
        stage_ms = {
            "project": (projected - start) * 1e3,
            "fuse": (fused - projected) * 1e3,
            "cost": (perf_counter() - fused) * 1e3,
        }
        return FuseStep(patch, snapshot, stage_ms, residual)

    def points_optical(
        self,
        step: SegmentStep,
        camera: CameraModel,
        *,
        height_px: int,
        width_px: int,
        grid_T_camera: Transform,
        grid_T_base: Transform,
        measured: GroundMeasurement | None = None,
    ) -> F32:
        """Return one ground point per pixel (height, width, 3), optical frame, NaN without one.

        A size smaller than the image's decimates it. Points beyond the grid's range limits are NaN.

        Raises:
            GeometryError: camera, image and transforms are inconsistent.
        """
        camera.check_image(step.geometry.image_width_px, step.geometry.image_height_px)
        return self._projector.points_optical(
            camera,
            step.geometry,
            height_px=height_px,
            width_px=width_px,
            grid_T_camera=grid_T_camera,
            grid_T_base=grid_T_base,
            measured=measured,
        )

    def reset_grid(self, *, keep_hazards: bool = False) -> None:
        """Discard all evidence, as after a jump in time.

        With `keep_hazards`, hazards that the grid's settings retain are kept.
        """
        if keep_hazards:
            self._grid.forget(Reason.OUTSIDE_VIEW, new_time=True)
        else:
            self._grid.clear(Reason.OUTSIDE_VIEW)
        self.site_selector.forget()

    def rewind(self, stamp_ns: int) -> None:
        """Set the grid's time back to an earlier stamp, after a wrong one."""
        self._grid.rewind(stamp_ns)

    def mark_unobserved(self, reason: Reason, stamp_ns: int) -> GridSnapshot:
        """Discard all evidence for a reason (staleness, no transform) and return the grid.

        Retained hazards are kept, unless the reason is OUTSIDE_VIEW, which discards everything.
        """
        if reason is Reason.OUTSIDE_VIEW:
            self._grid.clear(reason)
        else:
            self._grid.forget(reason)
        self.site_selector.forget()
        return self._snapshot(stamp_ns)

    def _project(
        self,
        step: SegmentStep,
        camera: CameraModel,
        measured: GroundMeasurement | None,
        *,
        grid_T_camera: Transform,
        grid_T_base: Transform,
    ) -> tuple[GroundView, GroundResidual | None]:
        poses = {"grid_T_camera": grid_T_camera, "grid_T_base": grid_T_base}
        patch = self._projector.project(camera, step.geometry, **poses, measured=measured)
        if measured is None:
            return patch, None
        return patch, self._projector.residual(camera, step.geometry, measured, **poses)

    def _snapshot(self, stamp_ns: int) -> GridSnapshot:
        return grid_to_cost(
            self._grid,
            self._settings.cost,
            hazards=self._classes.taxonomy.hazards(),
            stamp_ns=stamp_ns,
            slope=self._settings.slope,
        )


def _class_tables(taxonomy: Taxonomy, settings: PipelineSettings) -> _ClassTables:
    taxonomy = taxonomy.with_hazards(settings.hazards)
    threshold = settings.cost.hazard_threshold
    return _ClassTables(
        taxonomy=taxonomy,
        speed_percents=settings.speed.per_class(taxonomy),
        standing=settings.shadow.table(taxonomy, hazard_threshold=threshold),
    )


def _hide(
    view: GroundView,
    step: SegmentStep,
    settings: PipelineSettings,
    *,
    standing: U8,
    camera_m: F64,
    own_body: OwnBody | None,
) -> GroundView:
    """Return the view without ground hidden by standing objects and without the vehicle itself."""
    stands = np.asarray(cv2.LUT(step.segmentation.tensor_mask, standing), dtype=np.uint8)
    flags = None if own_body is None else own_body.flags(step.geometry)
    if flags is not None:
        stands[flags] = 0
    measured = settings.ground.source == "depth"
    view = hide_shadows(
        view,
        stands,
        camera_m=camera_m,
        depth_ratio=None if measured else settings.shadow.rock_depth_ratio,
        cell_m=settings.grid.resolution_m,
    )
    if flags is not None:
        view.reason[flags] = Reason.OWN_BODY
    return view
