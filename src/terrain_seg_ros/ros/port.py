"""The port to ROS: publishers, subscriptions and the clock of an rclpy node."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode

from terrain_seg_ros.core.image.sample_bits import SampleBits
from terrain_seg_ros.core.types import CameraImage
from terrain_seg_ros.messages.message_types import Types
from terrain_seg_ros.messages.topic_spec import TopicSpec
from terrain_seg_ros.ros.decoding import decode
from terrain_seg_ros.ros.message_classes import ROS_TYPES, has_message, message_class
from terrain_seg_ros.ros.quality import quality_of
from terrain_seg_ros.ros.transforms import Tf2Transforms
from terrain_seg_ros.runtime.health import Health
from terrain_seg_ros.runtime.last_resort import LastResort

SHORTEST_JUMP_S = 0.1
"""Smaller jumps of the clock backwards are ignored."""
_EVENT_MODULES = ("rclpy.event_handler", "rclpy.qos_event")
"""Where rclpy keeps the events of subscriptions, by its newer and its older name (Humble)."""


class RosPublication:
    """A plain publisher, as class names and diagnostics go out while the node is inactive.

    What must not go out then does not, because no image is taken.
    """

    def __init__(self, node: LifecycleNode, spec: TopicSpec) -> None:
        """Make the publisher."""
        self._context = node.context
        self.publisher: Any = node.create_publisher(
            message_class(spec.type), spec.name, quality_of(spec)
        )

    @property
    def subscriber_count(self) -> int:
        """Return how many subscribers are matched now."""
        return int(self.publisher.get_subscription_count())

    def write(self, message: Any) -> bool:
        """Publish a message, unless ROS was shut down."""
        if self._context.ok():
            self.publisher.publish(message)
        return True

    def wait_delivered(self, timeout_ns: int) -> bool:
        """Wait until all reliable subscribers have what was sent; return whether they have."""
        return bool(self.publisher.wait_for_all_acked(Duration(nanoseconds=timeout_ns)))


class RosSubscription:
    """A subscription that counts what comes, and what the middleware knows to be lost."""

    incompatible = 0

    def __init__(self, node: LifecycleNode, spec: TopicSpec, take: Callable[[Any], None]) -> None:
        """Subscribe; not every middleware reports losses."""
        self.received = self.lost = 0
        self._node, self._take = node, take
        self._full_name = node.resolve_topic_name(spec.name)
        found = next(name for name in _EVENT_MODULES if importlib.util.find_spec(name) is not None)
        events = importlib.import_module(found)
        arguments = (message_class(spec.type), spec.name, self._count, quality_of(spec))
        callbacks = events.SubscriptionEventCallbacks(message_lost=self._count_lost)
        try:
            self.handle = node.create_subscription(*arguments, event_callbacks=callbacks)
        except events.UnsupportedEventTypeError:
            self.handle = node.create_subscription(*arguments)

    @property
    def publisher_count(self) -> int:
        """Return how many publishers the topic has now."""
        return int(self._node.count_publishers(self._full_name))

    def _count(self, message: Any) -> None:
        self.received += 1
        self._take(message)

    def _count_lost(self, event: Any) -> None:
        self.lost += int(event.total_count_change)


class RosClock:
    """The node's clock, which may be simulated."""

    def __init__(self, node: LifecycleNode) -> None:
        """Use the clock of a node."""
        self._node = node
        self._watch: Any = None

    def now_ns(self) -> int:
        """Return the node's time, which may be simulated; 0 until it runs."""
        return int(self._node.get_clock().now().nanoseconds)

    def watch_time(self, on_jump: Callable[[], None]) -> None:
        """Call `on_jump` when the node's clock jumps backwards, as where a bag loops."""
        threshold = JumpThreshold(
            min_forward=None,
            min_backward=Duration(seconds=-SHORTEST_JUMP_S),
            on_clock_change=False,
        )
        # Kept, as a clock calls it only as long as somebody holds it.
        self._watch = self._node.get_clock().create_jump_callback(
            threshold, post_callback=lambda _: on_jump()
        )

    def close(self) -> None:
        """Stop watching; calling again does nothing."""
        if self._watch is not None:
            self._watch.unregister()
            self._watch = None


class RosPort:
    """The topics and the clock of a node; types whose package is missing are left out."""

    types: Types = ROS_TYPES

    def __init__(self, node: LifecycleNode) -> None:
        """Use a node, which stays the caller's."""
        self.clock = RosClock(node)
        self._node = node
        self._publications: list[RosPublication] = []
        self._subscriptions: list[RosSubscription] = []

    def decode(self, message: Any, bits: SampleBits) -> CameraImage:
        """Return the pixels of an image message, with the help of cv_bridge where it works.

        Raises:
            MessageError: it cannot be read.
        """
        return decode(message, bits)

    def full_name(self, name: str) -> str:
        """Return a topic's name after namespace and remapping."""
        return str(self._node.resolve_topic_name(name))

    def transforms(self, health: Health, *, cache_s: float) -> Tf2Transforms | None:
        """Return tf2's buffer where tf2 is installed, else None: our own buffer is used."""
        try:
            return Tf2Transforms(self._node, health, cache_s=cache_s)
        except ImportError as error:
            self._node.get_logger().warning(
                f"tf2_ros cannot be used ({error}): transforms come from this package's own buffer"
            )
            return None

    def advertise(self, spec: TopicSpec) -> RosPublication | None:
        """Return a publisher; None where the message package is not installed."""
        if not has_message(spec.type):
            return None
        self._publications.append(RosPublication(self._node, spec))
        return self._publications[-1]

    def subscribe(
        self,
        spec: TopicSpec,
        take: Callable[[Any], None],
        on_malformed: Callable[[str], None],  # noqa: ARG002  (rclpy reads the messages)
    ) -> RosSubscription | None:
        """Return a subscription; None where the message package is not installed."""
        if not has_message(spec.type):
            return None
        self._subscriptions.append(RosSubscription(self._node, spec, take))
        return self._subscriptions[-1]

    def start(self, resort: LastResort) -> None:
        """Do nothing: the node's executor delivers."""

    def stop(self) -> None:
        """Unsubscribe; an inactive node costs nothing."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription.handle)
        self._subscriptions = []

    def check(self) -> None:
        """Do nothing: the port has no thread."""

    def other_publishers(self, name: str) -> int:
        """Return how many publishers of a topic of ours belong to other nodes."""
        return max(0, int(self._node.count_publishers(self.full_name(name))) - 1)

    def close(self) -> None:
        """Unsubscribe and destroy the publishers; calling again does nothing."""
        self.stop()
        self.clock.close()
        for publication in self._publications:
            self._node.destroy_publisher(publication.publisher)
        self._publications = []
