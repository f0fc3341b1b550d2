"""Subscriptions of the cameras, there only while the node is active."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from rclpy.lifecycle import LifecycleNode

from terrain_seg_ros.messages.interfaces import Reliability, TopicSpec, resolve, topic
from terrain_seg_ros.parameters import Parameters
from terrain_seg_ros.ros.message_classes import message_class
from terrain_seg_ros.ros.quality import quality_of

Take = Callable[[str, Any], None]
"""What to do with a camera's message."""


class Inputs:
    """Hold the subscriptions: image and camera_info of each camera.

    An inactive node has none, so that it costs nothing.
    """

    def __init__(
        self, node: LifecycleNode, parameters: Parameters, *, image: Take, camera_info: Take
    ) -> None:
        """Subscribe."""
        self._node = node
        cameras = parameters.texts("cameras")
        compressed = parameters.text("image_transport") == "compressed"
        row = "image/compressed" if compressed else "image"
        suffix = row.removeprefix("image")
        self._subscriptions = []
        for camera in cameras:
            for name, topic_name, take in (
                (row, parameters.text("image_topic") + suffix, image),
                ("camera_info", parameters.text("camera_info_topic"), camera_info),
            ):
                spec = _as_set(topic(name), topic_name, parameters)
                subscription = node.create_subscription(
                    message_class(spec.type),
                    resolve(spec, camera, len(cameras)),
                    partial(take, camera),
                    quality_of(spec),
                )
                self._subscriptions.append(subscription)

    def close(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []


def _as_set(spec: TopicSpec, name: str, parameters: Parameters) -> TopicSpec:
    reliable = parameters.text("input_reliability") == "reliable"
    return replace(
        spec,
        name=name,
        reliability=Reliability.RELIABLE if reliable else Reliability.BEST_EFFORT,
        depth=parameters.integer("input_depth"),
    )
