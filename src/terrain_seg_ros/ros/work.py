"""What a configured node holds: session, publishers and logic; and what an active one adds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rclpy.lifecycle import LifecycleNode

from terrain_seg_ros.parameters.node_settings import NodeSettings
from terrain_seg_ros.ros.clock_jumps import watch_clock
from terrain_seg_ros.ros.decoding import decode
from terrain_seg_ros.ros.inputs import Inputs
from terrain_seg_ros.ros.message_classes import ROS_TYPES
from terrain_seg_ros.ros.outputs import Outputs
from terrain_seg_ros.ros.transforms import make_transforms
from terrain_seg_ros.runtime.frame_processor import FrameProcessor
from terrain_seg_ros.runtime.health import Drop, Health
from terrain_seg_ros.runtime.input_topics import image_topics
from terrain_seg_ros.runtime.outboxes.image_outbox import Bus
from terrain_seg_ros.runtime.reception import Reception
from terrain_seg_ros.runtime.session import Session
from terrain_seg_ros.runtime.vehicle_pose import WaitingTransforms
from terrain_seg_ros.runtime.worker import Worker, images_at_once

WORKER_STOP_S = 5.0
"""So long the image at work is waited for."""
DELIVERY_S = 2.0
"""So long readers are waited for that shall have the last grid."""


class Work:
    """Hold a session and its publishers; images are taken between `open` and `close_inputs`."""

    def __init__(self, node: LifecycleNode, parameters: NodeSettings) -> None:
        """Load the model and send the class names.

        Raises:
            ModelError: the model cannot be used.
            InferenceError: the backend cannot be used.
            ConfigError: a parameter does not fit the model.
        """
        self._node = node
        self.enabled = True
        self.once = self._retired = False
        self.health = Health()
        self.session = Session(parameters, live=True)
        self.outputs = Outputs(node, parameters, self.health)
        cache_s = parameters.transforms.tf_cache_s
        self._transforms = make_transforms(
            node, self.health, cache_s=cache_s, on_jump=self._expect_time_jump
        )
        self.processor = FrameProcessor(
            self.session,
            ROS_TYPES,
            WaitingTransforms(self._transforms, parameters.transforms.tf_wait_s),
            health=self.health,
            bus=Bus(
                self.outputs.is_wanted,
                node.resolve_topic_name,
                image_topics={
                    camera: node.resolve_topic_name(name)
                    for camera, name in image_topics(parameters).items()
                },
            ),
            clock_ns=lambda: int(node.get_clock().now().nanoseconds),
            on_time_jump=self._transforms.forget_moving,
            decode=decode,
        )
        self.resort = self.processor.resort
        self.resort.tell_by(node.get_logger().error)
        self.outputs.resort = self.resort
        self._reception = Reception(self.health)
        # Kept, as a clock calls it only as long as somebody holds it.
        self._clock_jumps = watch_clock(node, self._expect_time_jump)
        self._inputs: Inputs | None = None
        self._worker: Worker[Any] | None = None
        self.outputs.publish(self.processor.start())

    @property
    def is_open(self) -> bool:
        """Return whether images are taken."""
        return self._worker is not None

    def open(self) -> None:
        """Test the engine, then take images.

        Raises:
            ModelError: the golden image fails.
            InferenceError: the backend fails.
        """
        self.session.self_test()
        self.enabled, self.once, self._retired = True, False, False
        self._worker = Worker(
            self._images,
            self.health,
            idle=self._tick,
            batch=images_at_once(self.session.parameters),
        )
        self._worker.start()
        self._worker.gate.open()
        self._transforms.open()
        self._inputs = Inputs(
            self._node,
            self.session.parameters,
            image=self._offer,
            camera_info=self.processor.camera_info,
            depth=self.processor.depth,
            select_site=lambda _, message: self.processor.select_site(message),
            resort=self.resort,
        )

    def close_inputs(self) -> None:
        """Take no more images, finish the one at work and turn the grid unknown.

        Raises:
            InferenceError: the image at work does not end.
        """
        if self._inputs is not None:
            self._inputs.close()
            self._inputs = None
        self._transforms.close()
        worker, self._worker = self._worker, None
        if worker is None:
            return
        try:
            worker.stop(WORKER_STOP_S)
        finally:
            self._retired = True
            self.outputs.publish(self.processor.retire())
            self.outputs.wait_delivered(DELIVERY_S)

    def close(self) -> None:
        """Free everything; again does nothing."""
        self._clock_jumps.unregister()
        try:
            self.close_inputs()
        finally:
            self.outputs.close()
            self.session.close()

    def change(self, changes: Mapping[str, Any]) -> None:
        """Change parameters between two images.

        Raises:
            ConfigError: a value is wrong, or may not change now.
        """
        self.outputs.publish(self.processor.change(changes))

    def reset_map(self) -> None:
        """Forget the grid and say so."""
        self.outputs.publish(self.processor.forget_map())

    def select_best_site(self, *, keep: bool) -> str:
        """Keep the chosen landing site, or let scores decide again; return what was done.

        Raises:
            ConfigError: landing sites are switched off.
            GeometryError: there is none to select.
        """
        text, outgoing = self.processor.select_best_site(keep=keep)
        self.outputs.publish(outgoing)
        return text

    def diagnose(self) -> None:
        """Send the state; raises where the worker ended by a defect.

        Raises:
            InferenceError: it did.
        """
        idle = "" if self.is_open else "inactive"
        if self.is_open and not self.enabled:
            idle = "disabled by the service enable"
        with self.resort.around("looking at the bus"):
            self._look()
        self.outputs.publish(self.processor.diagnostics(idle=idle))
        if self._worker is not None:
            self._worker.check()

    def _offer(self, camera: str, message: Any) -> None:
        worker = self._worker
        if worker is None:
            return
        if self.enabled or self.once:
            self.once = False
            worker.offer(camera, message)
            return
        self.health.count_in()
        self.health.count_dropped(Drop.INACTIVE)

    def _images(self, items: Sequence[tuple[str, Any]]) -> None:
        with self.resort.around("working on images") as attempt:
            for outgoing in self.processor.images(items):
                if self._retired:
                    return
                self.outputs.publish(outgoing, stage="publish")
        if attempt.turned_persistent:
            self.outputs.publish(self.processor.retire())

    def _tick(self) -> None:
        with self.resort.around("the watchdog"):
            outgoing = self.processor.tick()
            if not self._retired:
                self.outputs.publish(outgoing)

    def _expect_time_jump(self) -> None:
        self.processor.expect_time_jump()

    def _look(self) -> None:
        """Warn of what goes wrong on the bus."""
        facts = [] if self._inputs is None else self._inputs.facts()
        self._reception.look(facts, other_nodes=self.outputs.other_nodes())
