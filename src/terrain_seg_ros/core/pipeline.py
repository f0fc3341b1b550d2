"""The order of the stages: the only module that knows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Annotated

import cv2
import numpy as np

from terrain_seg_ros.core.backend import Backend
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.grid.cost_to_safe_map import FootprintSettings, cost_to_safe_map
from terrain_seg_ros.core.grid.elevation_to_slope import SlopeSettings
from terrain_seg_ros.core.grid.footprint_outline import heading_rad
from terrain_seg_ros.core.grid.grid_settings import GridSettings
from terrain_seg_ros.core.grid.grid_to_cost import CostSettings, grid_to_cost
from terrain_seg_ros.core.grid.grid_to_layers import grid_to_layers
from terrain_seg_ros.core.grid.grid_to_speed import SpeedSettings, grid_to_speed
from terrain_seg_ros.core.grid.ground_to_grid import ground_to_grid
from terrain_seg_ros.core.grid.rolling_grid import I8, RollingGrid
from terrain_seg_ros.core.ground.ground_view import GroundView
from terrain_seg_ros.core.ground.height_map import HeightMap
from terrain_seg_ros.core.ground.mask_to_ground import GroundProjector, GroundSettings
from terrain_seg_ros.core.ground.measurement import GroundMeasurement, GroundResidual
from terrain_seg_ros.core.ground.own_body import OwnBody
from terrain_seg_ros.core.ground.view_shadow import ShadowSettings, hide_shadows
from terrain_seg_ros.core.hazard_rule import HazardRule
from terrain_seg_ros.core.image.image_to_tensor import (
    TensorGeometry,
    image_to_tensor,
    tensor_geometry,
)
from terrain_seg_ros.core.image.observability import ObservabilitySettings, unobserved_reasons
from terrain_seg_ros.core.image.probabilities_to_mask import probabilities_to_mask
from terrain_seg_ros.core.landing.cost_to_landing_sites import LandingSettings, Position
from terrain_seg_ros.core.landing.site_selector import LandingChoice, LandingSiteSelector
from terrain_seg_ros.core.model_card import ModelCard
from terrain_seg_ros.core.settings import Prefix, item, setting, settings
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import (
    F32,
    U8,
    CameraImage,
    GridSnapshot,
    Reason,
    Segmentation,
    Transform,
)


@settings
@dataclass(frozen=True)
class PipelineSettings:
    """Stages from image to grid.

    `hazards` replaces those of the model's card, by class name.
    """

    ground: Annotated[GroundSettings, Prefix("ground")]
    shadow: Annotated[ShadowSettings, Prefix("ground")]
    grid: Annotated[GridSettings, Prefix("grid")]
    cost: Annotated[CostSettings, Prefix("cost")]
    observability: Annotated[ObservabilitySettings, Prefix("observability")]
    slope: Annotated[SlopeSettings, Prefix("slope")]
    footprint: Annotated[FootprintSettings, Prefix("footprint")]
    landing: Annotated[LandingSettings, Prefix("landing")]
    speed: SpeedSettings
    hazards: Annotated[
        Mapping[str, Annotated[float, item(0.0, 1.0)]],
        setting(
            "Hazard of a class of the model, by name; classes that are not set have the hazard of "
            "the model's card.",
            name="hazard.<class>",
            dynamic=True,
        ),
    ]

    def __post_init__(self) -> None:
        """Check what concerns two stages."""
        if self.cost.min_evidence > self.grid.max_evidence:
            raise ConfigError(
                f"cost.min_evidence is {self.cost.min_evidence} but grid.max_evidence is "
                f"{self.grid.max_evidence}: no cell could ever be observed; lower the first"
            )


@dataclass(frozen=True)
class SegmentStep:
    """Hold what one image became; valid until the backend's next call.

    `tensor` is (1, h, w, C). `stage_ms` has the stages resize, inference and upsample.
    """

    tensor: U8
    geometry: TensorGeometry
    segmentation: Segmentation
    stage_ms: dict[str, float]


@dataclass(frozen=True)
class FuseStep:
    """Hold where the pixels lie, why some are not observed, and the grid after this view.

    `residual` says how well the plane fits the ground that was measured, None where none was.
    `stage_ms` has the stages project, fuse and cost.
    """

    patch: GroundView
    grid: GridSnapshot
    stage_ms: dict[str, float]
    residual: GroundResidual | None


class Pipeline:
    """Run one model and keep one grid; for one thread."""

    def __init__(
        self,
        card: ModelCard,
        backend: Backend,
        settings: PipelineSettings,
        *,
        heights: HeightMap | None = None,
    ) -> None:
        """Start with an empty grid; `heights` is the ground where its source is a height map.

        Raises:
            ConfigError: a hazard, a speed or a protruding class names no class of the model, or
                there is no height map.
        """
        self._card = card
        self._backend = backend
        self._projector = GroundProjector(
            settings.ground, cell_m=settings.grid.resolution_m, heights=heights
        )
        self._settings = settings
        self._taxonomy = card.taxonomy.with_hazards(settings.hazards)
        self._percents = settings.speed.per_class(card.taxonomy)
        self._protruding = _protruding(settings, self._taxonomy)
        self._grid = RollingGrid(settings.grid, len(card.taxonomy))
        self._heading_rad: float | None = None
        self.site_selector = LandingSiteSelector()
        """Chooses among landing sites and keeps the operator's selection."""

    @property
    def taxonomy(self) -> Taxonomy:
        """Return the model's classes with the hazards in force."""
        return self._taxonomy

    @property
    def hazard_rule(self) -> HazardRule:
        """Return what is a hazard, by the hazards and the threshold in force."""
        return HazardRule.of(self._taxonomy, self._settings.cost.hazard_threshold)

    @property
    def settings(self) -> PipelineSettings:
        """Return the settings in force."""
        return self._settings

    def apply_settings(self, settings: PipelineSettings) -> None:
        """Use other settings from now on; the grid is kept if its shape and frame stay.

        Raises:
            ConfigError: a hazard, a speed or a protruding class names no class of the model;
                nothing has changed then.
        """
        taxonomy = self._card.taxonomy.with_hazards(settings.hazards)
        percents = settings.speed.per_class(taxonomy)
        protruding = _protruding(settings, taxonomy)
        old, new = self._settings.grid, settings.grid
        shape = (new.frame_id, new.resolution_m, new.size_m)
        if shape != (old.frame_id, old.resolution_m, old.size_m):
            self._grid = RollingGrid(new, len(taxonomy))
            self.site_selector.forget()
        self._grid.settings = new
        self._projector.apply_settings(settings.ground, cell_m=new.resolution_m)
        self._taxonomy, self._percents, self._protruding = taxonomy, percents, protruding
        self._settings = settings

    def segment(self, image: CameraImage) -> SegmentStep:
        """Return what the network says of an image.

        Raises:
            InferenceError: the backend failed.
        """
        return self.segment_all([image])[0]

    def segment_all(self, images: Sequence[CameraImage]) -> list[SegmentStep]:
        """Return what the network says of each image, run once for all of them.

        Every image waits for the whole run: it is in each one's `stage_ms`.

        Raises:
            InferenceError: the backend failed.
            MessageError: one of them is no image.
        """
        tensors, resize_ms = [], []
        for image in images:
            start = perf_counter()
            tensors.append(image_to_tensor(image.pixels, self._card))
            resize_ms.append((perf_counter() - start) * 1e3)
        start = perf_counter()
        output = self._backend(tensors[0] if len(tensors) == 1 else np.concatenate(tensors))
        inference_ms = (perf_counter() - start) * 1e3
        steps = []
        for place, (image, tensor) in enumerate(zip(images, tensors)):
            start = perf_counter()
            geometry = tensor_geometry(self._card, image.width_px, image.height_px)
            segmentation = probabilities_to_mask(output, geometry, index=place)
            upsample_ms = (perf_counter() - start) * 1e3
            stage_ms = {
                "resize": resize_ms[place],
                "inference": inference_ms,
                "upsample": upsample_ms,
            }
            steps.append(SegmentStep(tensor, geometry, segmentation, stage_ms))
        return steps

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
        """Move the grid to the vehicle, add one view to it and return what it says.

        Args:
            step: of the image.
            camera: its intrinsics.
            grid_T_camera: of the optical frame, at the image's stamp.
            grid_T_base: at the image's stamp.
            stamp_ns: the image's.
            measured: ground that was measured with the image. Where a plane serves all the same,
                how far off it is stands in the result.
            own_body: where this camera sees the vehicle itself.

        Raises:
            GeometryError: camera, image, transforms and measurement contradict each other; the
                grid is as it was.
        """
        start = perf_counter()
        patch = self._projector.project(
            camera,
            step.geometry,
            grid_T_camera=grid_T_camera,
            grid_T_base=grid_T_base,
            measured=measured,
        )
        residual = None
        if measured is not None:
            residual = self._projector.residual(
                camera,
                step.geometry,
                measured,
                grid_T_camera=grid_T_camera,
                grid_T_base=grid_T_base,
            )
        projected = perf_counter()
        reasons = unobserved_reasons(
            step.tensor[0],
            step.segmentation,
            self._settings.observability,
            class_names=self._taxonomy.names,
        )
        np.copyto(reasons, patch.reason, where=patch.reason != Reason.OBSERVED)
        patch = self._hide(replace(patch, reason=reasons), step, grid_T_camera, own_body)
        self._heading_rad = heading_rad(grid_T_base)
        self._grid.move_to(float(grid_T_base.translation_m[0]), float(grid_T_base.translation_m[1]))
        self._grid.decay_to(stamp_ns)
        ground_to_grid(
            self._grid,
            patch,
            segmentation=step.segmentation,
            hazards=self._taxonomy.hazards(),
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
        """Return one ground point per pixel (height, width, 3), optical frame, NaN where none.

        A size smaller than the image's decimates it. Trust ends where the grid's does.

        Raises:
            GeometryError: camera, image and transforms contradict each other.
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

    def safe_map(self, snapshot: GridSnapshot) -> I8:
        """Return where the vehicle's middle may stand: 0 safe, 100 unsafe, -1 indefinite.

        A footprint that is no circle is turned as the vehicle was at the newest view.
        """
        return cost_to_safe_map(
            snapshot.cost,
            self._settings.footprint,
            resolution_m=snapshot.resolution_m,
            heading_rad=self._heading_rad,
        )

    def grid_layers(self, snapshot: GridSnapshot) -> dict[str, F32]:
        """Return all that the grid knows, by name; the snapshot is the newest."""
        return grid_to_layers(self._grid, snapshot)

    def landing_sites(self, snapshot: GridSnapshot, vehicle: Position) -> LandingChoice:
        """Return where the vehicle may land, seen from x and y of it; the snapshot is the newest.

        Raises:
            GeometryError: the position is not finite.
        """
        settings = self._settings
        return self.site_selector.select(
            replace(snapshot, age_s=self._grid.age_s(snapshot.stamp_ns)),
            settings.landing,
            clearance_m=settings.footprint.clearance_m,
            slope=settings.slope,
            vehicle=vehicle,
        )

    def speed_limits(self, snapshot: GridSnapshot) -> I8:
        """Return speed limits in per cent, 0 where there is none; the snapshot is the newest."""
        unobserved = self._settings.speed.unobserved_percent
        return grid_to_speed(self._grid, snapshot, self._percents, unobserved_percent=unobserved)

    def reset_grid(self, *, keep_hazards: bool = False) -> None:
        """Forget all evidence, as after a jump in time; hazards stay where they may and shall."""
        if keep_hazards:
            self._grid.forget(Reason.OUTSIDE_VIEW, new_time=True)
        else:
            self._grid.clear(Reason.OUTSIDE_VIEW)
        self.site_selector.forget()

    def rewind(self, stamp_ns: int) -> None:
        """Count time from an earlier stamp again, as the last one was wrong."""
        self._grid.rewind(stamp_ns)

    def mark_unobserved(self, reason: Reason, stamp_ns: int) -> GridSnapshot:
        """Forget all evidence for a reason (staleness, no transform) and return the grid.

        Hazards that are kept stay, unless the reason is OUTSIDE_VIEW: all is forgotten then.
        """
        if reason is Reason.OUTSIDE_VIEW:
            self._grid.clear(reason)
        else:
            self._grid.forget(reason)
        self.site_selector.forget()
        return self._snapshot(stamp_ns)

    def _hide(
        self,
        view: GroundView,
        step: SegmentStep,
        grid_T_camera: Transform,
        own_body: OwnBody | None,
    ) -> GroundView:
        """Return the view less what things that stand out hide, and what the vehicle does."""
        mask = step.segmentation.tensor_mask
        protruding = np.asarray(cv2.LUT(mask, self._protruding), dtype=np.uint8)
        flags = None if own_body is None else own_body.flags(step.geometry)
        if flags is not None:
            protruding[flags] = 0
        settings = self._settings
        measured = settings.ground.source == "depth"
        view = hide_shadows(
            view,
            protruding,
            camera_m=grid_T_camera.translation_m,
            depth_ratio=None if measured else settings.shadow.rock_depth_ratio,
            cell_m=settings.grid.resolution_m,
        )
        if flags is not None:
            view.reason[flags] = Reason.OWN_BODY
        return view

    def _snapshot(self, stamp_ns: int) -> GridSnapshot:
        return grid_to_cost(
            self._grid,
            self._settings.cost,
            hazards=self._taxonomy.hazards(),
            stamp_ns=stamp_ns,
            slope=self._settings.slope,
        )


def _protruding(settings: PipelineSettings, taxonomy: Taxonomy) -> U8:
    threshold = settings.cost.hazard_threshold
    return settings.shadow.table(taxonomy, hazard_threshold=threshold)
