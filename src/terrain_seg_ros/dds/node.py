"""The live node without ROS: camera topics in, masks, grids and diagnostics out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from threading import Event, Thread
from typing import Any

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.core.geometry.transform_buffer import TransformBuffer
from terrain_seg_ros.dds.dispatcher import Dispatcher
from terrain_seg_ros.dds.endpoints import Reader, Writer
from terrain_seg_ros.dds.graph import GraphEntry
from terrain_seg_ros.dds.node_topics import (
    NODE_NAME,
    Input,
    NodeOptions,
    input_topics,
    output_name,
)
from terrain_seg_ros.dds.others import OtherPublishers
from terrain_seg_ros.dds.participant import Participant
from terrain_seg_ros.messages import cdr
from terrain_seg_ros.messages.interfaces import Durability
from terrain_seg_ros.runtime.frame_processor import FrameProcessor
from terrain_seg_ros.runtime.health import Health, HealthSnapshot, Refusal
from terrain_seg_ros.runtime.input_topics import DEPTH_ROWS, SHARED_ROWS
from terrain_seg_ros.runtime.outboxes.image_outbox import Bus, Outgoing, outgoing_topics
from terrain_seg_ros.runtime.reception import InputFacts, Reception
from terrain_seg_ros.runtime.session import Session
from terrain_seg_ros.runtime.transform_intake import TransformIntake
from terrain_seg_ros.runtime.vehicle_pose import WaitingTransforms
from terrain_seg_ros.runtime.worker import Worker, check_thread_room, images_at_once, start_thread

DIAGNOSTICS_PERIOD_S = 1.0
BUS_THREADS = 16
"""What Cyclone DDS and this node start; Cyclone ends the process where it gets none."""
WORKER_STOP_S = 5.0
"""So long the image at work is waited for; supervisors kill after 10 s."""
DELIVERY_S = 2.0
"""So long readers are waited for that shall have the last grid."""

_MALFORMED = {
    "image": Refusal.BAD_IMAGE,
    "image/compressed": Refusal.BAD_IMAGE,
    "camera_info": Refusal.BAD_CAMERA_INFO,
    "depth": Refusal.BAD_DEPTH,
    "cloud": Refusal.BAD_DEPTH,
    "range": Refusal.BAD_DEPTH,
    "select_site": Refusal.SELECTION,
    "/tf": Refusal.BAD_TRANSFORM,
    "/tf_static": Refusal.BAD_TRANSFORM,
}


class LiveNode:
    """Run a session on a DDS bus until it is stopped.

    Three threads: one takes messages from the bus and at once hands them on, one runs the
    pipeline and publishes, one sends diagnostics. Use it in a `with` statement, or call `start`
    and `stop`; the session stays the caller's.
    """

    def __init__(self, session: Session, options: NodeOptions) -> None:
        """Join the bus; nothing is read or sent before `start`.

        Raises:
            ConfigError: the bus cannot be joined, or a topic's name cannot be used.
            InferenceError: the system does not give enough threads.
        """
        parameters = session.parameters
        self.options = options
        self.health = Health()
        self.inputs = input_topics(parameters, options)
        check_thread_room(BUS_THREADS)
        self._participant = Participant(options.domain_id, options.discovery)
        self._writers = {
            name: Writer(self._participant, spec, dds_name=output_name(name, options))
            for name, spec in outgoing_topics(parameters).items()
        }
        cache_s = parameters.transforms.tf_cache_s
        buffer = TransformBuffer(cache_s)
        self._intake = TransformIntake(
            buffer, self.health, cache_s=cache_s, on_jump=self._expect_time_jump
        )
        self._processor = FrameProcessor(
            session,
            cdr.message_class,
            WaitingTransforms(buffer, parameters.transforms.tf_wait_s),
            health=self.health,
            bus=Bus(
                wanted=lambda name: self._writers[name].subscriber_count > 0,
                full_name=lambda name: output_name(name, options).removeprefix("rt"),
                image_topics={
                    item.camera: item.dds_name
                    for item in self.inputs
                    if item.row.startswith("image")
                },
            ),
            clock_ns=time.time_ns,
            on_time_jump=self._intake.forget_moving,
        )
        self._worker: Worker[Any] = Worker(
            self._images,
            self.health,
            idle=self._tick,
            batch=images_at_once(parameters),
        )
        self._resort = self._processor.resort
        self._dispatcher = Dispatcher(self._participant, self._resort)
        self._reception = Reception(self.health)
        self._readers: list[tuple[Input, Reader]] = []
        self._others = OtherPublishers(self._participant, output_name("hazard_grid", options))
        self._graph = GraphEntry(
            self._participant, namespace=options.namespace.rstrip("/") or "/", name=NODE_NAME
        )
        self._ending = Event()
        self._retired = False
        self._pulse = Thread(target=self._beat, name="terrain_seg_diagnostics", daemon=True)

    def __enter__(self) -> LiveNode:
        """Start and return the node."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the node."""
        self.stop()

    def start(self) -> None:
        """Send the class names, then read images and work on them.

        Raises:
            ConfigError: a reader cannot be made.
        """
        for item in self.inputs:
            reader = Reader(self._participant, item.spec, dds_name=item.dds_name)
            malformed = partial(self._malformed, item.row)
            self._dispatcher.add(reader, self._callback(item), on_malformed=malformed)
            self._readers.append((item, reader))
        self._graph.show([reader for _, reader in self._readers], self._writers.values())
        self._publish(self._processor.start())
        self._worker.start()
        self._worker.gate.open()
        self._dispatcher.start()
        start_thread(self._pulse)

    def stop(self) -> None:
        """Finish the image at work, take the grid back, end the threads and leave the bus.

        Consumers keep the last grid of a node that is gone, so it goes out as unknown, and is
        waited for until they have it. Calling again does nothing.

        Raises:
            InferenceError: the image at work does not end.
        """
        if self._ending.is_set():
            return
        self._ending.set()
        try:
            self._dispatcher.stop()
            if self._pulse.ident is not None:
                self._pulse.join()
            self._worker.stop(WORKER_STOP_S)
        finally:
            self._retire()
            self._others.close()
            self._graph.close()
            for writer in self._writers.values():
                writer.close()
            self._participant.close()

    def check(self) -> None:
        """Check that the threads live.

        Raises:
            InferenceError: the worker ended by a defect.
            ConfigError: the bus's thread did.
        """
        self._worker.check()
        self._dispatcher.check()

    def snapshot(self) -> HealthSnapshot:
        """Return the counters."""
        return self.health.snapshot()

    @property
    def waiting(self) -> int:
        """Return how many images wait, at most one per camera."""
        return self._worker.waiting

    def _retire(self) -> None:
        """Publish the unknown grid and wait, not for long, until its readers have it."""
        self._retired = True
        with self._resort.around("taking the grid back"):
            outgoing = self._processor.retire()
            self._publish(outgoing)
            deadline_s = time.monotonic() + DELIVERY_S
            for name in {name for name, _ in outgoing}:
                left_s = max(deadline_s - time.monotonic(), 0.01)
                self._writers[name].wait_delivered(round(left_s * 1e9))

    def _expect_time_jump(self) -> None:
        self._processor.expect_time_jump()

    def _callback(self, item: Input) -> Callable[[Any], None]:
        if item.row == "camera_info":
            return partial(self._processor.camera_info, item.camera)
        if item.row in DEPTH_ROWS.values():
            return partial(self._processor.depth, item.camera)
        if item.row == "select_site":
            return self._processor.select_site
        if item.row in {"/tf", "/tf_static"}:
            return partial(self._intake.add, static=item.row == "/tf_static")
        return partial(self._worker.offer, item.camera)

    def _malformed(self, row: str, text: str) -> None:
        reason = _MALFORMED[row]
        if reason is Refusal.BAD_IMAGE:
            self.health.count_in()
        self.health.count_refused(reason, text)

    def _images(self, items: Sequence[tuple[str, Any]]) -> None:
        with self._resort.around("working on images") as attempt:
            for outgoing in self._processor.images(items):
                if self._retired:
                    return
                self._publish(outgoing, stage="publish")
        if attempt.turned_persistent:
            self._publish(self._processor.retire())

    def _tick(self) -> None:
        with self._resort.around("the watchdog"):
            outgoing = self._processor.tick()
            if not self._retired:
                self._publish(outgoing)

    def _beat(self) -> None:
        while not self._ending.wait(DIAGNOSTICS_PERIOD_S):
            with self._resort.around("looking at the bus"):
                self._reception.look(self._facts(), other_nodes=self._others.count())
            with self._resort.around("diagnostics"):
                self._publish(self._processor.diagnostics())

    def _facts(self) -> list[InputFacts]:
        return [
            InputFacts(
                reader.dds_name.removeprefix("rt"),
                reader.publisher_count,
                reader.received,
                reader.lost,
                is_image=item.row.startswith("image"),
                incompatible=reader.incompatible,
            )
            for item, reader in self._readers
            if item.row not in SHARED_ROWS
        ]

    def _publish(self, outgoing: Iterable[Outgoing], *, stage: str | None = None) -> None:
        started_s = time.perf_counter()
        count = 0
        for name, message in outgoing:
            count += 1
            with self._resort.around("publishing"):
                self._send(self._writers[name], message)
        if stage is not None and count:
            self.health.add_latencies({stage: (time.perf_counter() - started_s) * 1e3})

    def _send(self, writer: Writer, message: Any) -> None:
        latched = writer.spec.durability is Durability.TRANSIENT_LOCAL
        if not latched and writer.subscriber_count == 0:
            return
        try:
            went_out = writer.write(message)
        except MessageError as error:
            self.health.count_refused(Refusal.OUTPUT, str(error))
            return
        if not went_out:
            self.health.count_refused(
                Refusal.OUTPUT,
                f"{writer.dds_name!r} has a reliable subscriber that does not keep up; "
                "stop it or make it best effort",
            )
