"""Subscriptions of the cameras, there only while the node is active."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

from rclpy.lifecycle import LifecycleNode

from terrain_seg_ros.messages.interfaces import resolve
from terrain_seg_ros.parameters import Parameters
from terrain_seg_ros.ros.message_classes import message_class
from terrain_seg_ros.ros.quality import quality_of
from terrain_seg_ros.runtime.input_topics import DEPTH_ROWS, sensor_topics

Take = Callable[[str, Any], None]
"""What to do with a camera's message."""


class Inputs:
    """Hold the subscriptions: what the cameras give, what measures the ground, what selects a site.

    An inactive node has none, so that it costs nothing.
    """

    def __init__(
        self,
        node: LifecycleNode,
        parameters: Parameters,
        *,
        image: Take,
        camera_info: Take,
        depth: Take,
        select_site: Take,
    ) -> None:
        """Subscribe."""
        self._node = node
        takes = {
            "camera_info": camera_info,
            **dict.fromkeys(DEPTH_ROWS.values(), depth),
            "select_site": select_site,
        }
        self._subscriptions: list[Any] = []
        with ExitStack() as undo:
            undo.callback(self.close)
            for item in sensor_topics(parameters):
                subscription = node.create_subscription(
                    message_class(item.spec.type),
                    resolve(item.spec, item.camera, len(parameters.texts("cameras"))),
                    partial(takes.get(item.row, image), item.camera),
                    quality_of(item.spec),
                )
                self._subscriptions.append(subscription)
            undo.pop_all()

    def close(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
