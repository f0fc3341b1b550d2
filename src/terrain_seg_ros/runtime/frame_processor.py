"""The node's logic without any bus: messages in, messages out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Lock
from time import perf_counter
from typing import Any

from terrain_seg_ros.core.errors import TerrainSegError
from terrain_seg_ros.core.types import Reason
from terrain_seg_ros.messages.image_message import decode_camera_image
from terrain_seg_ros.messages.message_types import Types
from terrain_seg_ros.runtime.frame import Frame
from terrain_seg_ros.runtime.frame_intake import Decode, FrameIntake
from terrain_seg_ros.runtime.frame_run import FrameRun
from terrain_seg_ros.runtime.frame_stages import FrameStages, Sources
from terrain_seg_ros.runtime.grid_keeper import GridKeeper, Watchdog
from terrain_seg_ros.runtime.health import Health, Refusal
from terrain_seg_ros.runtime.health_report import health_status
from terrain_seg_ros.runtime.inbox import Inbox
from terrain_seg_ros.runtime.last_resort import LastResort
from terrain_seg_ros.runtime.outboxes.outboxes import Outboxes
from terrain_seg_ros.runtime.outboxes.outgoing import Bus, Outgoing
from terrain_seg_ros.runtime.session import Session
from terrain_seg_ros.runtime.vehicle_pose import Transforms

RETIRE_S = 2.0
"""After waiting this long for the image at work, the grid is withdrawn without the pipeline."""


class FrameProcessor:
    """Turn camera messages into the messages of the table of topics.

    Bad input is counted with its reason and never raises; outputs that do not need the missing part
    are still given, such as a mask without a pose. A defect is counted too; several in a row turn
    the grid unknown. Any thread may call; images are processed one at a time.
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
            bus: says whether somebody subscribes to a topic, and its full name.
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
        self._outboxes = Outboxes(types, parameters, bus, transforms)
        self._intake = FrameIntake(
            parameters, self.health, clock_ns=clock_ns, clock_s=clock_s, decode=decode
        )
        self._sources = Sources.of(
            parameters, transforms, image_topics=bus.image_topics, health=self.health
        )
        self._inbox = Inbox(
            self._intake,
            self._sources.infos,
            self._sources.ground,
            self._outboxes.landing,
            self.health,
            self.resort,
        )
        self._watchdog = Watchdog(parameters.output.stale_after_s, now_s=clock_s())
        self._keeper = GridKeeper(
            session.pipeline,
            self._outboxes,
            intake=self._intake,
            watchdog=self._watchdog,
            resort=self.resort,
        )
        self._stages = FrameStages(
            session, self._sources, self._outboxes, health=self.health, on_time_jump=on_time_jump
        )
        self._run = FrameRun(self._intake, self._stages, self._keeper, self.health, self.resort)
        self._clock_s = clock_s
        self._lock = Lock()
        self.health.remark("hazards", session.hazard_advice())
        self.health.remark("novelty", session.novelty_advice())
        self.health.remark("kernels", session.kernel_advice)

    def start(self) -> list[Outgoing]:
        """Return what must be there before the first mask: class names, what filters need."""
        now_ns = self._intake.now_ns()
        names = self._outboxes.images.label_info(self._session.taxonomy, now_ns)
        return names + self._outboxes.grids.start(now_ns)

    def take(self, row: str, camera: str, message: Any) -> None:
        """Take a message of an input other than images and transforms; see `Inbox.take`."""
        self._inbox.take(row, camera, message)

    def select_best_site(self, *, keep: bool) -> tuple[str, list[Outgoing]]:
        """Keep the chosen landing site until it is unsafe, or let scores decide again.

        Returns:
            What was done, in a sentence, and what must be published for it.

        Raises:
            ConfigError: landing sites are switched off.
            GeometryError: there is none to select.
        """
        with self._lock:
            return self._outboxes.landing.select_best(self._session.pipeline, keep=keep)

    def image(self, camera: str, message: Any) -> list[Outgoing]:
        """Return what a sensor_msgs/Image or CompressedImage gives; nothing if it is refused."""
        (outgoing,) = self.images([(camera, message)])
        return outgoing

    def images(self, items: Sequence[tuple[str, Any]]) -> Iterator[list[Outgoing]]:
        """Yield what each of several cameras' images gives, in their order.

        The network runs once for all of them. Each is refused on its own: what one lacks does
        not affect the others.

        Args:
            items: camera and message, as `image` takes them.
        """
        frames = [Frame(camera, message, perf_counter()) for camera, message in items]
        with self._lock:
            self._run.begin(frames)
        for frame in frames:
            with self._lock:
                self._run.process(frame)
                if frame.fused:
                    self._watchdog.good(self._clock_s())
                outgoing = frame.outgoing + self._answer_selection()
            yield outgoing

    def tick(self) -> list[Outgoing]:
        """Return what is due without an image.

        That is an unknown grid, once, when no image has reached it for too long, and the answer
        to an operator selection of a landing site.
        """
        now_s = self._clock_s()
        is_stale = self._watchdog.turned_stale(now_s)
        with self._lock:
            return self._keeper.withdraw_stale(now_s) if is_stale else self._answer_selection()

    def change(self, changes: Mapping[str, Any]) -> list[Outgoing]:
        """Change dynamic parameters; return what must be published for it.

        Raises:
            ConfigError: a value is wrong or static; the message is the reason to give.
        """
        with self._lock:
            parameters = self._session.change(changes)
            self._intake.set_limits(parameters)
            self._outboxes.set_parameters(parameters)
            self._sources.set_parameters(parameters)
            self._watchdog.set_limit(parameters.output.stale_after_s)
            self.health.remark("hazards", self._session.hazard_advice())
            if "observability.min_confidence" not in changes:
                return []
            now_ns = self._intake.now_ns()
            return self._outboxes.images.label_info(self._session.taxonomy, now_ns)

    def expect_time_jump(self) -> None:
        """Believe the next image that lies back in time: the clock or TF jumped back already."""
        self._intake.expect_jump()

    def retire(self) -> list[Outgoing]:
        """Return an unknown grid, for a node that stops taking images.

        It is returned even where the image at work does not end, or the pipeline is broken.
        """
        stamp = self._keeper.stamp_ns()
        if not self._lock.acquire(timeout=RETIRE_S):
            return self._keeper.withdraw_without_pipeline(Reason.STALE, stamp)
        try:
            return self._keeper.withdraw(Reason.STALE, stamp)
        finally:
            self._lock.release()

    def forget_map(self) -> list[Outgoing]:
        """Forget all evidence at an operator's request, hazards too; return the empty grid."""
        with self._lock:
            return self._keeper.forget()

    def diagnostics(self, *, idle: str = "") -> list[Outgoing]:
        """Return the node's state as a diagnostic_msgs/DiagnosticArray, and the downlink's packets.

        Args:
            idle: why no images are taken, where that is meant; empty while they should come.
        """
        status = health_status(
            self.health.snapshot(),
            age_s=self._watchdog.age_s(self._clock_s()),
            stale=self._watchdog.stale,
            about={**self._session.describe(), **self._outboxes.landing.values()},
            idle=idle,
        )
        stamp_ns = self._intake.now_ns()
        packets = self._outboxes.downlink.packets(status, stamp_ns, self._clock_s())
        return self._outboxes.images.diagnostics([status], stamp_ns) + packets

    def reset_grid(self) -> None:
        """Forget the evidence, as between scenes that are unrelated to each other."""
        with self._lock:
            self._session.pipeline.reset_grid()

    def _answer_selection(self) -> list[Outgoing]:
        with self.resort.around("selecting a landing site"):
            try:
                return self._outboxes.landing.answer(self._session.pipeline)
            except TerrainSegError as error:
                self.health.count_refused(Refusal.SELECTION, str(error))
        return []
