"""The live node on any bus: what every live caller shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Event, Thread
from typing import Any

from terrain_seg_ros.messages.topic_spec import Group, TopicSpec
from terrain_seg_ros.runtime.frame_processor import FrameProcessor
from terrain_seg_ros.runtime.health import Health, HealthSnapshot
from terrain_seg_ros.runtime.input_topics import check_names, input_topics
from terrain_seg_ros.runtime.live_worker import LiveWorker
from terrain_seg_ros.runtime.outboxes.outgoing import Bus
from terrain_seg_ros.runtime.outboxes.outputs import outgoing_topics
from terrain_seg_ros.runtime.port import Port, TransformSource
from terrain_seg_ros.runtime.publisher import Publisher
from terrain_seg_ros.runtime.reception import Reception
from terrain_seg_ros.runtime.session import Session
from terrain_seg_ros.runtime.subscriptions import Subscriptions
from terrain_seg_ros.runtime.transform_intake import BufferedTransforms
from terrain_seg_ros.runtime.vehicle_pose import WaitingTransforms
from terrain_seg_ros.runtime.worker import start_thread

DIAGNOSTICS_PERIOD_S = 1.0


class LiveNode:
    """Run a session on a bus.

    The port's callbacks put the newest image of each camera into a slot; one worker thread runs
    the pipeline and publishes. Images are taken between `activate` and `deactivate`, which may
    alternate. The node owns the port and closes it; the session stays the caller's.
    """

    def __init__(
        self, session: Session, port: Port, *, names: Mapping[str, str | None] | None = None
    ) -> None:
        """Advertise the outputs and publish the class names.

        Args:
            session: model, pipeline and parameters.
            port: the bus.
            names: replace the names of inputs that the parameters give; see `input_topics`.

        Raises:
            ConfigError: a topic's name cannot be used.
        """
        parameters = session.parameters
        self.session, self.port = session, port
        self.health = Health()
        self.inputs = input_topics(parameters, names)
        outputs = outgoing_topics(parameters)
        check_names(self.inputs, outputs, port.full_name)
        cache_s = parameters.transforms.tf_cache_s
        own = BufferedTransforms(self.health, cache_s=cache_s, on_jump=self._expect_time_jump)
        self._tf: TransformSource = port.transforms(self.health, cache_s=cache_s) or own
        self.processor = FrameProcessor(
            session,
            port.types,
            WaitingTransforms(self._tf, parameters.transforms.tf_wait_s),
            health=self.health,
            bus=Bus(
                wanted=self._is_wanted,
                full_name=port.full_name,
                image_topics={
                    item.camera: port.full_name(item.spec.name)
                    for item in self.inputs
                    if item.spec.group is Group.IMAGE
                },
            ),
            clock_ns=port.clock.now_ns,
            on_time_jump=self._tf.forget_moving,
            decode=port.decode,
        )
        self.resort = self.processor.resort
        self._publisher = Publisher(port, outputs, health=self.health, resort=self.resort)
        self.worker = LiveWorker(self.processor, self._publisher)
        self._reception = Reception(self.health)
        self._subscriptions = Subscriptions(
            port,
            self.processor,
            offer=self.worker.offer,
            transforms=own if self._tf is own else None,
            health=self.health,
        )
        port.clock.watch_time(self._expect_time_jump)
        self._publisher.publish(self.processor.start())

    @property
    def missing(self) -> Sequence[TopicSpec]:
        """Return the rows whose message type is not installed; those of inputs while active."""
        return (*self._publisher.missing, *self._subscriptions.missing)

    @property
    def is_active(self) -> bool:
        """Return whether images are taken."""
        return self.worker.is_running

    @property
    def waiting(self) -> int:
        """Return how many images wait, at most one per camera."""
        return self.worker.waiting

    def activate(self) -> None:
        """Subscribe and take images.

        Raises:
            ConfigError: a topic's name cannot be used.
            InferenceError: the system gives no thread.
        """
        self.worker.start(self.session.parameters)
        self._tf.open()
        self._subscriptions.open(self.inputs)

    def deactivate(self) -> None:
        """Unsubscribe, finish the image at work and publish the grid as unknown.

        Calling again does nothing.

        Raises:
            InferenceError: the image at work does not end.
        """
        try:
            self._subscriptions.close()
            self._tf.close()
        finally:
            self.worker.stop()

    def close(self) -> None:
        """Deactivate and leave the bus; calling again does nothing.

        Raises:
            InferenceError: the image at work does not end.
        """
        try:
            self.deactivate()
        finally:
            self.port.close()

    def check(self) -> None:
        """Check that the threads live.

        Raises:
            InferenceError: the worker ended by a defect.
            ConfigError: a thread of the port did.
        """
        self.worker.check()
        self.port.check()

    def snapshot(self) -> HealthSnapshot:
        """Return the counters."""
        return self.health.snapshot()

    def diagnose(self) -> None:
        """Look for trouble on the bus and publish the diagnostics."""
        idle = "" if self.is_active else "inactive"
        if self.is_active and not self.worker.takes_images:
            idle = "disabled by the service enable"
        with self.resort.around("looking at the bus"):
            others = self.port.other_publishers("hazard_grid")
            self._reception.look(self._subscriptions.facts(), other_nodes=others)
        with self.resort.around("diagnostics"):
            self._publisher.publish(self.processor.diagnostics(idle=idle))

    def change(self, changes: Mapping[str, Any]) -> None:
        """Change parameters between two images.

        Raises:
            ConfigError: a value is wrong, or may not change while running.
        """
        self._publisher.publish(self.processor.change(changes))

    def reset_map(self) -> None:
        """Forget the grid and publish the empty one."""
        self._publisher.publish(self.processor.forget_map())

    def select_best_site(self, *, keep: bool) -> str:
        """Keep the chosen landing site, or let scores decide again; return what was done.

        Raises:
            ConfigError: landing sites are switched off.
            GeometryError: there is none to select.
        """
        text, outgoing = self.processor.select_best_site(keep=keep)
        self._publisher.publish(outgoing)
        return text

    def _is_wanted(self, name: str) -> bool:
        return self._publisher.is_wanted(name)

    def _expect_time_jump(self) -> None:
        self.processor.expect_time_jump()


class StandaloneNode(LiveNode):
    """A live node without a lifecycle: active from `start` to `stop`.

    A thread of its own publishes diagnostics once a second. Use it in a `with` statement, or call
    `start` and `stop`.
    """

    def __init__(
        self, session: Session, port: Port, *, names: Mapping[str, str | None] | None = None
    ) -> None:
        """Advertise the outputs; see `LiveNode`.

        Raises:
            ConfigError: a topic's name cannot be used.
        """
        super().__init__(session, port, names=names)
        self._ending = Event()
        self._pulse = Thread(target=self._beat, name="terrain_seg_diagnostics", daemon=True)

    def __enter__(self) -> StandaloneNode:
        """Start and return the node."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the node."""
        self.stop()

    def start(self) -> None:
        """Take images and publish diagnostics.

        Raises:
            ConfigError: a topic's name cannot be used.
            InferenceError: the system gives no thread.
        """
        self.activate()
        start_thread(self._pulse)

    def stop(self) -> None:
        """Finish the image at work, publish the unknown grid, end the threads and leave the bus.

        Calling again does nothing.

        Raises:
            InferenceError: the image at work does not end.
        """
        if self._ending.is_set():
            return
        self._ending.set()
        if self._pulse.ident is not None:
            self._pulse.join()
        self.close()

    def _beat(self) -> None:
        while not self._ending.wait(DIAGNOSTICS_PERIOD_S):
            self.diagnose()
