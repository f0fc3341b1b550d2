"""Subscriptions of the cameras, there only while the node is active."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

from rclpy.lifecycle import LifecycleNode

from terrain_seg_ros.messages.interfaces import resolve
from terrain_seg_ros.parameters.node_settings import NodeSettings
from terrain_seg_ros.ros.lost_messages import subscribe
from terrain_seg_ros.ros.message_classes import message_class
from terrain_seg_ros.ros.quality import quality_of
from terrain_seg_ros.runtime.input_topics import DEPTH_ROWS, SHARED_ROWS, SensorTopic, sensor_topics
from terrain_seg_ros.runtime.last_resort import LastResort
from terrain_seg_ros.runtime.reception import InputFacts

Take = Callable[[str, Any], None]
"""What to do with a camera's message."""


class Inputs:
    """Hold the subscriptions: what the cameras give, what measures the ground, what selects a site.

    An inactive node has none, so that it costs nothing.
    """

    def __init__(
        self,
        node: LifecycleNode,
        parameters: NodeSettings,
        *,
        image: Take,
        camera_info: Take,
        depth: Take,
        select_site: Take,
        resort: LastResort,
    ) -> None:
        """Subscribe; `resort` takes what the others raise."""
        self._node = node
        self._resort = resort
        self._received: Counter[str] = Counter()
        self._lost: Counter[str] = Counter()
        takes = {
            "camera_info": camera_info,
            **dict.fromkeys(DEPTH_ROWS.values(), depth),
            "select_site": select_site,
        }
        self._topics: list[tuple[str, SensorTopic]] = []
        self._subscriptions: list[Any] = []
        with ExitStack() as undo:
            undo.callback(self.close)
            for item in sensor_topics(parameters):
                name = resolve(item.spec, item.camera, len(parameters.input.cameras))
                full = node.resolve_topic_name(name)
                self._topics.append((full, item))
                take = partial(self._take, full, partial(takes.get(item.row, image), item.camera))
                self._subscriptions.append(self._subscribe(name, item, take))
            undo.pop_all()

    def facts(self) -> list[InputFacts]:
        """Return what is known of each input."""
        return [
            InputFacts(
                full,
                int(self._node.count_publishers(full)),
                self._received[full],
                self._lost[full],
                is_image=item.row.startswith("image"),
            )
            for full, item in self._topics
            if item.row not in SHARED_ROWS
        ]

    def _take(self, full: str, take: Callable[[Any], None], message: Any) -> None:
        self._received[full] += 1
        with self._resort.around("taking a message"):
            take(message)

    def _subscribe(self, name: str, item: SensorTopic, take: Callable[[Any], None]) -> Any:
        full = self._node.resolve_topic_name(name)
        return subscribe(
            self._node,
            name,
            take,
            kind=message_class(item.spec.type),
            quality=quality_of(item.spec),
            on_lost=lambda count: self._lost.update({full: count}),
        )

    def close(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
