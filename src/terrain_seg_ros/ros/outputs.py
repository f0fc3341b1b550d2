"""Publishers for the rows of the table that go out."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode

from terrain_seg_ros.messages.interfaces import Durability, TopicSpec
from terrain_seg_ros.parameters.node_settings import NodeSettings
from terrain_seg_ros.ros.message_classes import has_message, message_class
from terrain_seg_ros.ros.quality import quality_of
from terrain_seg_ros.runtime.health import Health
from terrain_seg_ros.runtime.last_resort import LastResort
from terrain_seg_ros.runtime.outboxes.image_outbox import Outgoing, outgoing_topics


class Outputs:
    """Hold one publisher per topic whose message type is installed.

    They are plain publishers, because class names and diagnostics go out while the node is
    inactive; what must not go out then does not, because no image is taken.
    """

    def __init__(self, node: LifecycleNode, parameters: NodeSettings, health: Health) -> None:
        """Make the publishers."""
        self._node = node
        self._health = health
        self.resort = LastResort(health)
        self._specs = outgoing_topics(parameters)
        self._publishers: dict[str, Any] = {}
        with ExitStack() as undo:
            undo.callback(self.close)
            for name, spec in self._specs.items():
                if has_message(spec.type):
                    self._publishers[name] = node.create_publisher(
                        message_class(spec.type), name, quality_of(spec)
                    )
            undo.pop_all()

    @property
    def missing(self) -> list[TopicSpec]:
        """Return the rows whose message type is not installed."""
        rows = {spec.name: spec for spec in self._specs.values() if not has_message(spec.type)}
        return list(rows.values())

    def is_wanted(self, name: str) -> bool:
        """Return whether somebody subscribes to a topic."""
        publisher = self._publishers.get(name)
        return publisher is not None and publisher.get_subscription_count() > 0

    def publish(self, outgoing: Iterable[Outgoing], *, stage: str | None = None) -> None:
        """Send messages; volatile ones that nobody hears are left out.

        Args:
            outgoing: topics and messages.
            stage: under which the time is counted.
        """
        started_s = time.perf_counter()
        count = 0
        for name, message in outgoing:
            with self.resort.around("publishing"):
                count += self._send(name, message)
        if stage is not None and count:
            self._health.add_latencies({stage: (time.perf_counter() - started_s) * 1e3})

    def wait_delivered(self, timeout_s: float) -> None:
        """Wait, not for long, until the readers of what is kept for late joiners have it."""
        deadline_s = time.monotonic() + timeout_s
        for name, publisher in self._publishers.items():
            if self._specs[name].durability is Durability.TRANSIENT_LOCAL:
                left_s = max(deadline_s - time.monotonic(), 0.01)
                with self.resort.around("waiting for delivery"):
                    publisher.wait_for_all_acked(Duration(seconds=left_s))

    def other_nodes(self) -> int:
        """Return how many others publish the grid under the same name."""
        if "hazard_grid" not in self._publishers:
            return 0
        full = self._node.resolve_topic_name("hazard_grid")
        return max(0, int(self._node.count_publishers(full)) - 1)

    def close(self) -> None:
        """Destroy the publishers."""
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)
        self._publishers = {}

    def _send(self, name: str, message: Any) -> bool:
        publisher = self._publishers.get(name)
        if publisher is None or not self._node.context.ok():
            return False
        latched = self._specs[name].durability is Durability.TRANSIENT_LOCAL
        if latched or publisher.get_subscription_count() > 0:
            publisher.publish(message)
            return True
        return False
