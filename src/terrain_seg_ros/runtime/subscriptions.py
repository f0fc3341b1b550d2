"""The subscriptions of a live node: who takes each input's messages, and what is known of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from terrain_seg_ros.messages.topic_spec import Group, TopicSpec
from terrain_seg_ros.messages.topics import topic
from terrain_seg_ros.runtime.frame_processor import FrameProcessor
from terrain_seg_ros.runtime.health import Health, Refusal
from terrain_seg_ros.runtime.input_topics import InputTopic
from terrain_seg_ros.runtime.port import Port, Subscription
from terrain_seg_ros.runtime.reception import InputFacts
from terrain_seg_ros.runtime.transform_intake import BufferedTransforms

Offer = Callable[[str, Any], None]
"""Takes an image message of a camera."""


class Subscriptions:
    """Hand images to the worker, transforms to the buffer, everything else to its handler."""

    def __init__(
        self,
        port: Port,
        processor: FrameProcessor,
        *,
        offer: Offer,
        transforms: BufferedTransforms | None,
        health: Health,
    ) -> None:
        """Start without subscriptions.

        Args:
            port: the bus.
            processor: takes what comes beside the images.
            offer: takes images.
            transforms: buffer transforms; None where the port has a source of its own.
            health: counts malformed messages.
        """
        self._port = port
        self._processor = processor
        self._offer = offer
        self._transforms = transforms
        self._health = health
        self._open: list[tuple[InputTopic, Subscription]] = []
        self._missing: list[TopicSpec] = []

    def open(self, inputs: Iterable[InputTopic]) -> None:
        """Subscribe, and let the port deliver.

        Raises:
            ConfigError: a topic's name cannot be used.
        """
        for item in inputs:
            handler = self._handler(item)
            if handler is None:
                continue
            take = partial(self._take, f"taking a message of {item.row}", handler)
            malformed = partial(self._count_malformed, item.row)
            subscription = self._port.subscribe(item.spec, take, malformed)
            if subscription is None:
                self._missing.append(item.spec)
            else:
                self._open.append((item, subscription))
        self._port.start(self._processor.resort)

    def close(self) -> None:
        """Unsubscribe; calling again does nothing."""
        self._port.stop()
        self._open, self._missing = [], []

    @property
    def missing(self) -> Sequence[TopicSpec]:
        """Return the rows that the port cannot carry."""
        return tuple(self._missing)

    def facts(self) -> list[InputFacts]:
        """Return what is known of each input, except those that several nodes may publish."""
        return [
            InputFacts(
                self._port.full_name(item.spec.name),
                subscription.publisher_count,
                subscription.received,
                subscription.lost,
                is_image=item.spec.group is Group.IMAGE,
                incompatible=subscription.incompatible,
            )
            for item, subscription in self._open
            if not item.spec.is_shared
        ]

    def _handler(self, item: InputTopic) -> Callable[[Any], None] | None:
        if item.spec.group is Group.IMAGE:
            return partial(self._offer, item.camera)
        if item.spec.group is not Group.TRANSFORMS:
            return partial(self._processor.take, item.row, item.camera)
        if self._transforms is None:
            return None
        return partial(self._transforms.add, static=item.spec.is_latched)

    def _take(self, place: str, handler: Callable[[Any], None], message: Any) -> None:
        with self._processor.resort.around(place):
            handler(message)

    def _count_malformed(self, row: str, text: str) -> None:
        if topic(row).group is Group.IMAGE:
            self._health.count_in()
        self._health.count_refused(Refusal(topic(row).malformed), text)
