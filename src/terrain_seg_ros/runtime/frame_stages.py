"""The stages of an image after decoding: network, pose, ground, grid, and their messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from terrain_seg_ros.core.errors import InferenceError, TerrainSegError
from terrain_seg_ros.core.ground.measurement import GroundMeasurement
from terrain_seg_ros.core.image.images_to_masks import SegmentStep
from terrain_seg_ros.core.pipeline import FuseStep
from terrain_seg_ros.core.types import CameraImage
from terrain_seg_ros.parameters.node_settings import NodeSettings
from terrain_seg_ros.runtime.camera_infos import CameraInfos
from terrain_seg_ros.runtime.frame import Frame, View, refusing
from terrain_seg_ros.runtime.ground_measurements import GroundMeasurements
from terrain_seg_ros.runtime.health import Health, Note, Refusal
from terrain_seg_ros.runtime.input_topics import rectified_cameras
from terrain_seg_ros.runtime.outboxes.outboxes import Outboxes
from terrain_seg_ros.runtime.session import Session
from terrain_seg_ros.runtime.vehicle_pose import PoseSource, Transforms, VehiclePose
from terrain_seg_ros.runtime.view_check import ViewCheck


class Sources(NamedTuple):
    """What an image needs besides its pixels: intrinsics, poses, measured ground."""

    infos: CameraInfos
    poses: PoseSource
    ground: GroundMeasurements

    @classmethod
    def of(
        cls,
        parameters: NodeSettings,
        transforms: Transforms,
        *,
        image_topics: Mapping[str, str] | None,
        health: Health,
    ) -> Sources:
        """Return sources that have seen nothing yet.

        Args:
            parameters: the values.
            transforms: gives poses at a stamp.
            image_topics: full name by camera; None takes those of the parameters.
            health: takes what is wrong with measurements.
        """
        infos = CameraInfos(
            parameters.input.horizontal_fov_rad,
            rectified=rectified_cameras(parameters, image_topics),
        )
        ground = GroundMeasurements(parameters, transforms, health)
        return cls(infos, PoseSource(transforms, parameters), ground)

    def set_parameters(self, parameters: NodeSettings) -> None:
        """Take what may change while running."""
        self.poses.set_parameters(parameters)
        self.ground.set_parameters(parameters)


class FrameStages:
    """Take decoded images through the pipeline, one at a time."""

    def __init__(
        self,
        session: Session,
        sources: Sources,
        outboxes: Outboxes,
        *,
        health: Health,
        on_time_jump: Callable[[], None],
    ) -> None:
        """Prepare for images.

        Args:
            session: model, pipeline and parameters.
            sources: what an image needs besides its pixels.
            outboxes: encode what comes of it.
            health: takes what users should know.
            on_time_jump: called when stamps jump backwards; the caller forgets moving TF.
        """
        self._session = session
        self._sources = sources
        self._outboxes = outboxes
        self._health = health
        self._on_time_jump = on_time_jump
        self._views = ViewCheck(health)
        self._together = True

    def restart(self) -> None:
        """Forget what came before a jump backwards in time; hazards stay until the next pose."""
        self._session.pipeline.reset_grid(keep_hazards=True)
        self._sources.poses.time_jumped()
        self._on_time_jump()

    def segment_together(self, frames: list[Frame]) -> None:
        """Run the network once for several images; where that fails, each is run alone later."""
        if len(frames) < 2 or not self._together:
            return
        try:
            images = [frame.image for frame in frames if frame.image is not None]
            steps = self._session.pipeline.segment_all(images)
        except InferenceError:
            self._together = False
            self._health.note(Note.ONE_BY_ONE)
            return
        except TerrainSegError:
            return
        for frame, step in zip(frames, steps):
            frame.step = step

    def process(self, frame: Frame) -> None:
        """Run all stages after decoding; what was finished before an error is in the frame.

        Raises:
            RefusedError: a stage cannot be done.
        """
        image = frame.image
        if image is None:
            return
        if frame.rewound:
            self._session.pipeline.rewind(frame.stamp_ns)
        step = self._segment(frame, image)
        with refusing(Refusal.GEOMETRY):
            intrinsics = self._sources.infos.intrinsics(frame.camera, image)
        if intrinsics.assumed:
            self._health.note(Note.FIELD_OF_VIEW)
        view = View(image, step, intrinsics.camera)
        pose = self._pose(frame, view)
        measured = self._measured(frame, view, pose)
        fused = self._fuse(frame, view, pose, measured)
        self._encode(frame, view, pose, fused=fused, measured=measured)
        frame.fused = True

    def _segment(self, frame: Frame, image: CameraImage) -> SegmentStep:
        with refusing(Refusal.INFERENCE):
            step = frame.step or self._session.pipeline.segment(image)
        frame.stage_ms.update(step.stage_ms)
        self._check_novelty(frame.camera, step)
        with frame.stage("encode_images", refuse=Refusal.OUTPUT):
            frame.outgoing += self._outboxes.images.images(
                frame.camera,
                image,
                step,
                taxonomy=self._session.taxonomy,
                header=frame.message.header,
            )
        frame.segmented = True
        return step

    def _check_novelty(self, camera: str, step: SegmentStep) -> None:
        if step.novelty is None:
            return
        self._health.set_gauge("novelty", step.novelty)
        settings = self._session.parameters.pipeline.observability
        if settings.is_novel(step.novelty):
            text = f"{camera!r} has the novelty {step.novelty:.2f}, above {settings.max_novelty:g}"
            self._health.note(Note.NOVEL, text)

    def _pose(self, frame: Frame, view: View) -> VehiclePose:
        with frame.stage("transforms", refuse=Refusal.NO_TRANSFORM):
            pose = self._sources.poses.pose(view.image.frame_id, frame.stamp_ns)
        if pose.assumed:
            self._health.note(Note.FIXED_POSE)
        if pose.restart:
            self._session.pipeline.reset_grid()
        if pose.jumped:
            self._health.note(Note.POSE_JUMP)
        return pose

    def _measured(self, frame: Frame, view: View, pose: VehiclePose) -> GroundMeasurement | None:
        with frame.stage("measured_ground", refuse=Refusal.BAD_DEPTH):
            return self._sources.ground.at(
                frame.camera, frame.stamp_ns, optical_frame=view.image.frame_id, pose=pose
            )

    def _fuse(
        self, frame: Frame, view: View, pose: VehiclePose, measured: GroundMeasurement | None
    ) -> FuseStep:
        with refusing(Refusal.GEOMETRY):
            fused = self._session.pipeline.fuse(
                view.step,
                view.camera,
                grid_T_camera=pose.grid_T_camera,
                grid_T_base=pose.grid_T_base,
                stamp_ns=frame.stamp_ns,
                measured=measured,
                own_body=self._session.own_bodies.of(frame.camera),
            )
            self._sources.ground.report(fused)
            frame.sees_ground = self._views.sees_ground(
                frame.camera, view.image.frame_id, fused.patch, pose.grid_T_camera
            )
        frame.stage_ms.update(fused.stage_ms)
        return fused

    def _encode(
        self,
        frame: Frame,
        view: View,
        pose: VehiclePose,
        *,
        fused: FuseStep,
        measured: GroundMeasurement | None,
    ) -> None:
        pipeline, boxes = self._session.pipeline, self._outboxes
        with frame.stage("encode_grids", refuse=Refusal.OUTPUT):
            frame.outgoing += boxes.grids.grids(fused.grid, pipeline)
        with frame.stage("landing_sites", refuse=Refusal.OUTPUT):
            frame.outgoing += boxes.landing.sites(fused.grid, pipeline, fused.patch, pose)
        if boxes.landing.is_selection_lost:
            self._health.note(Note.SITE_LOST)
        with frame.stage("encode_clouds", refuse=Refusal.OUTPUT):
            frame.outgoing += boxes.clouds.clouds(
                pipeline, frame, view, pose=pose, fused=fused, measured=measured
            )
