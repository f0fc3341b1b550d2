"""The node's logic, without any bus: messages in, messages out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Lock
from time import perf_counter
from typing import Any

from terrain_seg_ros.core.errors import InferenceError, TerrainSegError
from terrain_seg_ros.core.image.images_to_masks import SegmentStep
from terrain_seg_ros.core.types import CameraImage, Reason
from terrain_seg_ros.messages.image_message import decode_camera_image
from terrain_seg_ros.messages.message_types import Types
from terrain_seg_ros.runtime.camera_infos import CameraInfos
from terrain_seg_ros.runtime.frame import Frame, View
from terrain_seg_ros.runtime.frame_intake import Decode, FrameIntake
from terrain_seg_ros.runtime.ground_measurements import GroundMeasurements
from terrain_seg_ros.runtime.health import Health, Note, Refusal
from terrain_seg_ros.runtime.health_report import health_status
from terrain_seg_ros.runtime.input_topics import rectified_cameras
from terrain_seg_ros.runtime.last_resort import LastResort
from terrain_seg_ros.runtime.lost_grid import LostGrid
from terrain_seg_ros.runtime.outboxes.clouds import cloud_messages
from terrain_seg_ros.runtime.outboxes.grid_outbox import GridOutbox
from terrain_seg_ros.runtime.outboxes.image_outbox import Bus, Outbox, Outgoing
from terrain_seg_ros.runtime.outboxes.landing_outbox import LandingOutbox
from terrain_seg_ros.runtime.refused import RefusedError
from terrain_seg_ros.runtime.session import Session
from terrain_seg_ros.runtime.vehicle_pose import PoseSource, Transforms
from terrain_seg_ros.runtime.view_check import ViewCheck
from terrain_seg_ros.runtime.watchdog import Watchdog

RETIRE_S = 2.0
"""So long an image at work is waited for before the grid is taken back without the pipeline."""


class FrameProcessor:
    """Turn camera messages into the messages of the contract table.

    Bad input is counted with its reason and never raises; the next good image works. What does
    not need the missing part is still given: without a pose there is a mask but no grid. A defect
    is counted too; after several in a row the grid turns unknown.
    Every method may be called from any thread; images are processed one at a time.
    """

    def __init__(
        self,
        session: Session,
        types: Types,
        transforms: Transforms,
        *,
        health: Health | None = None,
        bus: Bus = Bus(),  # noqa: B008 (frozen)
        clock_ns: Callable[[], int] | None = None,
        clock_s: Callable[[], float] = time.monotonic,
        on_time_jump: Callable[[], None] = lambda: None,
        decode: Decode = decode_camera_image,
    ) -> None:
        """Prepare for images.

        Args:
            session: model, pipeline and parameters.
            types: message classes; topics whose type it has not are left out.
            transforms: gives poses at a stamp.
            health: counters, where the caller adds to them too.
            bus: says whether somebody listens to a topic; lazy ones are computed only then.
            clock_ns: the clock that images are stamped with; None where there is none, or 0 as
                long as it does not run, and the checks for age are off then.
            clock_s: seconds that never jump, for the staleness watchdog.
            on_time_jump: called when stamps jump backwards; the caller forgets moving TF.
            decode: reads an image message.
        """
        parameters = session.parameters
        self.health = health or Health()
        self.resort = LastResort(self.health)
        self._session = session
        self._outbox = Outbox(types, parameters, bus)
        self._grids = GridOutbox(types, parameters, bus)
        self._landing = LandingOutbox(types, parameters, bus, transforms)
        self._lost_grid = LostGrid(session.pipeline, self._grids, self._landing, self.resort)
        self._infos = CameraInfos(
            parameters.input.horizontal_fov_rad,
            rectified=rectified_cameras(parameters, bus.image_topics),
        )
        self._poses = PoseSource(transforms, parameters)
        self._ground = GroundMeasurements(parameters, transforms, self.health)
        self._intake = FrameIntake(
            parameters, self.health, clock_ns=clock_ns, clock_s=clock_s, decode=decode
        )
        self._clock_s = clock_s
        self._on_time_jump = on_time_jump
        self._watchdog = Watchdog(parameters.output.stale_after_s, now_s=clock_s())
        self._no_pose = False
        self._views = ViewCheck(self.health)
        self._together = True
        self._lock = Lock()
        self.health.remark("hazards", session.hazard_advice())

    def start(self) -> list[Outgoing]:
        """Return what must be there before the first mask: class names, what filters need."""
        now_ns = self._intake.now_ns()
        return self._outbox.label_info(self._session.taxonomy, now_ns) + self._grids.start(now_ns)

    def camera_info(self, camera: str, message: Any) -> None:
        """Keep the newest intrinsics of a camera; unusable ones are counted and forgotten."""
        with self.resort.around("reading a camera_info") as attempt:
            try:
                self._intake.check_camera(camera)
                self.health.remark(f"camera_info of {camera}", self._infos.read(camera, message))
            except TerrainSegError as error:
                self._refuse(error, Refusal.BAD_CAMERA_INFO)
        if attempt.failed:
            self._infos.refuse(camera, "it could not be read because of a defect")

    def depth(self, camera: str, message: Any) -> None:
        """Keep what measures the ground, for images of about its stamp.

        That is a depth image or a cloud of a camera, or a range (camera "").
        """
        self._ground.put(camera, message)

    def select_site(self, message: Any) -> None:
        """Keep a point that selects a landing site; the next image or tick answers it."""
        self._landing.request(message)

    def select_best_site(self, *, keep: bool) -> tuple[str, list[Outgoing]]:
        """Keep the chosen landing site until it is unsafe, or let scores decide again.

        Returns:
            What was done, in a sentence, and what must be published for it.

        Raises:
            ConfigError: landing sites are switched off.
            GeometryError: there is none to select.
        """
        with self._lock:
            return self._landing.select_best(self._session.pipeline, keep=keep)

    def image(self, camera: str, message: Any) -> list[Outgoing]:
        """Return what a sensor_msgs/Image or CompressedImage gives; nothing if it is refused."""
        (outgoing,) = self.images([(camera, message)])
        return outgoing

    def images(self, items: Sequence[tuple[str, Any]]) -> Iterator[list[Outgoing]]:
        """Yield what each of several cameras' images gives, in their order.

        The network runs once for all of them. Each is refused for itself: what one lacks does
        not touch the others.

        Args:
            items: camera and message, as `image` takes them.
        """
        frames = [Frame(camera, message, perf_counter()) for camera, message in items]
        with self._lock:
            for frame in frames:
                self.health.count_in()
                self._guarded(frame, self._intake.accept, "taking an image")
            with self.resort.around("segmenting several images"):
                self._segment_together([frame for frame in frames if frame.image is not None])
        for frame in frames:
            with self._lock:
                if frame.jumped:
                    self._restart()
                if frame.image is not None:
                    self._guarded(frame, self._process, "processing an image")
                outgoing = self._finish(frame) + self._answer()
            yield outgoing

    def tick(self) -> list[Outgoing]:
        """Return what is due without an image.

        That is an unknown grid, once, when no image has reached it for too long, and the answer
        to who selects a landing site.
        """
        now_s = self._clock_s()
        if not self._watchdog.turned_stale(now_s):
            with self._lock:
                return self._answer()
        with self._lock:
            reason = Reason.NO_TRANSFORM if self._no_pose else Reason.STALE
            stamp = self._intake.now_ns()
            if not self._intake.has_clock:
                stamp = self._intake.last_stamp_ns + round(self._watchdog.age_s(now_s) * 1e9)
            return self._lost_grid.messages(reason, stamp)

    def change(self, changes: Mapping[str, Any]) -> list[Outgoing]:
        """Change dynamic parameters; return what must be published for it.

        Raises:
            ConfigError: a value is wrong or static; the message is the reason to give.
        """
        with self._lock:
            parameters = self._session.change(changes)
            self._intake.set_limits(parameters)
            self._outbox.set_parameters(parameters)
            self._grids.set_parameters(parameters)
            self._ground.set_parameters(parameters)
            self._poses.set_parameters(parameters)
            self._landing.set_parameters(parameters)
            self._watchdog.set_limit(parameters.output.stale_after_s)
            self.health.remark("hazards", self._session.hazard_advice())
            if "observability.min_confidence" not in changes:
                return []
            return self._outbox.label_info(self._session.taxonomy, self._intake.now_ns())

    def expect_time_jump(self) -> None:
        """Believe the next image that lies back in time: the clock or TF jumped back already."""
        self._intake.expect_jump()

    def retire(self) -> list[Outgoing]:
        """Return an unknown grid, for a node that will not look any more.

        It comes also where an image at work does not end, or the pipeline is broken.
        """
        stamp = self._intake.now_ns() or self._intake.last_stamp_ns
        if not self._lock.acquire(timeout=RETIRE_S):
            return self._lost_grid.blind(Reason.STALE, stamp)
        try:
            return self._lost_grid.messages(Reason.STALE, stamp)
        finally:
            self._lock.release()

    def forget_map(self) -> list[Outgoing]:
        """Forget all evidence on a person's word, hazards too; return the empty grid."""
        with self._lock:
            pipeline = self._session.pipeline
            stamp = self._intake.now_ns() or self._intake.last_stamp_ns
            self._grids.expect_whole()
            snapshot = pipeline.mark_unobserved(Reason.OUTSIDE_VIEW, stamp)
            return self._grids.grids(snapshot, pipeline) + self._landing.lost(stamp)

    def diagnostics(self, *, idle: str = "") -> list[Outgoing]:
        """Return the node's state as a diagnostic_msgs/DiagnosticArray.

        Args:
            idle: why no images are taken, where that is meant; empty while they should come.
        """
        status = health_status(
            self.health.snapshot(),
            age_s=self._watchdog.age_s(self._clock_s()),
            stale=self._watchdog.stale,
            about={**self._session.about(), **self._landing.values()},
            idle=idle,
        )
        return self._outbox.diagnostics([status], self._intake.now_ns())

    def reset_grid(self) -> None:
        """Forget the evidence, as between scenes that have nothing to do with each other."""
        with self._lock:
            self._session.pipeline.reset_grid()

    def _guarded(self, frame: Frame, work: Callable[[Frame], None], place: str) -> None:
        with self.resort.around(place) as attempt:
            try:
                work(frame)
            except TerrainSegError as error:
                frame.image = None
                self._refuse(error, frame.refusal)
        if not attempt.failed:
            return
        frame.image = None
        if attempt.turned_persistent:
            stamp = frame.stamp_ns or self._intake.last_stamp_ns
            frame.outgoing += self._lost_grid.messages(Reason.STALE, stamp)

    def _restart(self) -> None:
        """Forget what came before a jump backwards in time; hazards stay until the next pose."""
        self.health.note(Note.TIME_JUMP)
        with self.resort.around("forgetting the grid"):
            self._session.pipeline.reset_grid(keep_hazards=True)
            self._poses.time_jumped()
            self._on_time_jump()

    def _segment_together(self, frames: list[Frame]) -> None:
        """Run the network once for several images; where that fails, each is run alone later."""
        if len(frames) < 2 or not self._together:
            return
        try:
            images = [frame.image for frame in frames if frame.image is not None]
            steps = self._session.pipeline.segment_all(images)
        except InferenceError:
            self._together = False
            self.health.note(Note.ONE_BY_ONE)
            return
        except TerrainSegError:
            return
        for frame, step in zip(frames, steps):
            frame.step = step

    def _process(self, frame: Frame) -> None:
        """Run all stages after decoding; what was finished before an error is in the frame."""
        image = frame.image
        if image is None:
            return
        if frame.rewound:
            self._session.pipeline.rewind(frame.stamp_ns)
        step = self._segment(frame, image)
        intrinsics = self._infos.intrinsics(frame.camera, image)
        if intrinsics.assumed:
            self.health.note(Note.FIELD_OF_VIEW)
        self._fuse(frame, View(image, step, intrinsics.camera))

    def _segment(self, frame: Frame, image: CameraImage) -> SegmentStep:
        frame.refusal = Refusal.INFERENCE
        step = frame.step or self._session.pipeline.segment(image)
        frame.stage_ms.update(step.stage_ms)
        frame.refusal = Refusal.OUTPUT
        frame.outgoing += frame.timed(
            "encode_images",
            lambda item: self._outbox.images(
                item.camera,
                image,
                step,
                taxonomy=self._session.taxonomy,
                header=item.message.header,
            ),
        )
        frame.segmented = True
        return step

    def _fuse(self, frame: Frame, view: View) -> None:
        frame.refusal = Refusal.NO_TRANSFORM
        pose = frame.timed(
            "transforms", lambda item: self._poses.pose(view.image.frame_id, item.stamp_ns)
        )
        if pose.assumed:
            self.health.note(Note.FIXED_POSE)
        pipeline = self._session.pipeline
        if pose.restart:
            pipeline.reset_grid()
        if pose.jumped:
            self.health.note(Note.POSE_JUMP)
        measured = frame.timed(
            "measured_ground",
            lambda item: self._ground.at(
                item.camera, item.stamp_ns, optical_frame=view.image.frame_id, pose=pose
            ),
        )
        frame.refusal = Refusal.GEOMETRY
        fused = pipeline.fuse(
            view.step,
            view.camera,
            grid_T_camera=pose.grid_T_camera,
            grid_T_base=pose.grid_T_base,
            stamp_ns=frame.stamp_ns,
            measured=measured,
            own_body=self._session.own_bodies.of(frame.camera),
        )
        self._ground.judge(fused)
        frame.sees_ground = self._views.sees_ground(
            frame.camera, view.image.frame_id, fused.patch, pose.grid_T_camera
        )
        frame.stage_ms.update(fused.stage_ms)
        frame.refusal = Refusal.OUTPUT
        frame.outgoing += frame.timed(
            "encode_grids", lambda _: self._grids.grids(fused.grid, pipeline)
        )
        frame.outgoing += frame.timed(
            "landing_sites",
            lambda _: self._landing.sites(fused.grid, pipeline, fused.patch, pose),
        )
        if self._landing.is_selection_lost:
            self.health.note(Note.SITE_LOST)
        frame.outgoing += frame.timed(
            "encode_clouds",
            lambda item: cloud_messages(
                self._outbox,
                pipeline,
                item,
                view=view,
                pose=pose,
                fused=fused,
                measured=measured,
            ),
        )
        frame.fused = True

    def _answer(self) -> list[Outgoing]:
        with self.resort.around("selecting a landing site"):
            try:
                return self._landing.answer(self._session.pipeline)
            except TerrainSegError as error:
                self.health.count_refused(Refusal.SELECTION, str(error))
        return []

    def _finish(self, frame: Frame) -> list[Outgoing]:
        if frame.segmented:
            self.health.count_out(with_grid=frame.fused and frame.sees_ground)
            frame.stage_ms["total"] = (perf_counter() - frame.started_s) * 1e3
            self.health.add_latencies(frame.stage_ms)
        if frame.fused:
            self._watchdog.good(self._clock_s())
            self._no_pose = False
        return frame.outgoing

    def _refuse(self, error: TerrainSegError, refusal: Refusal) -> None:
        reason = error.reason if isinstance(error, RefusedError) else refusal
        self._no_pose = reason is Refusal.NO_TRANSFORM
        self.health.count_refused(reason, str(error))
