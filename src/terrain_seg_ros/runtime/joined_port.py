"""A port put together from two, each of which carries what it can."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from terrain_seg_ros.core.image.sample_bits import SampleBits
from terrain_seg_ros.core.types import CameraImage
from terrain_seg_ros.messages.message_types import Types, has_type
from terrain_seg_ros.messages.topic_spec import TopicSpec
from terrain_seg_ros.runtime.health import Health
from terrain_seg_ros.runtime.last_resort import LastResort
from terrain_seg_ros.runtime.port import Clock, Port, Publication, Subscription, TransformSource


class JoinedTypes:
    """The message classes of two ports: those of the first, or of the second where it lacks one."""

    def __init__(self, port: JoinedPort) -> None:
        """Look up in the ports of a joined port."""
        self._port = port

    def __call__(self, name: str) -> Any:
        """Return the message class of a type name."""
        return self.of(name)(name)

    def has(self, name: str) -> bool:
        """Return whether one of the two has the class."""
        if has_type(self._port.first.types, name):
            return True
        other = self._port.other
        return other is not None and has_type(other.types, name)

    def of(self, name: str) -> Types:
        """Return the classes that a message of a type, and everything in it, is made of."""
        first = self._port.first.types
        if has_type(first, name) or self._port.other is None:
            return first
        return self._port.other.types


class JoinedPort:
    """A port whose topics go by `first`, or by a second port where `first` lacks their type.

    The second is made when it is first needed; the clock and the images' decoder are the first's.
    """

    def __init__(self, first: Port, make_other: Callable[[], Port | None]) -> None:
        """Join two ports, which are closed with this one.

        Args:
            first: carries all it can.
            make_other: makes the second port, or returns None where it cannot be had; it is
                called once at most. Names of its topics are given in full.
        """
        self.first = first
        self._make_other = make_other
        self._other: Port | None = None
        self._asked = False
        self._by_other: dict[str, TopicSpec] = {}
        self.types: Types = JoinedTypes(self)
        self.clock: Clock = first.clock

    @property
    def other(self) -> Port | None:
        """Return the second port, made now if it was not yet; None where it cannot be had."""
        if not self._asked:
            self._asked = True
            self._other = self._make_other()
        return self._other

    @property
    def by_other(self) -> tuple[TopicSpec, ...]:
        """Return the rows of the topics that go by the second port, under their full names."""
        return tuple(self._by_other.values())

    def decode(self, message: Any, bits: SampleBits) -> CameraImage:
        """Return the pixels of an image message.

        Raises:
            MessageError: it cannot be read.
        """
        return self.first.decode(message, bits)

    def full_name(self, name: str) -> str:
        """Return a topic's name on the bus, with its namespace.

        Raises:
            ConfigError: it is not a topic name.
        """
        return self.first.full_name(name)

    def transforms(self, health: Health, *, cache_s: float) -> TransformSource | None:
        """Return the first port's source of transforms; None to use the subscriptions."""
        return self.first.transforms(health, cache_s=cache_s)

    def advertise(self, spec: TopicSpec) -> Publication | None:
        """Return a publication; None where neither port has the type.

        Raises:
            ConfigError: the name cannot be used.
        """
        publication = self.first.advertise(spec)
        if publication is not None or self.other is None:
            return publication
        other = self.other.advertise(self._in_full(spec))
        if other is not None:
            self._note(spec)
        return other

    def subscribe(
        self, spec: TopicSpec, take: Callable[[Any], None], on_malformed: Callable[[str], None]
    ) -> Subscription | None:
        """Return a subscription; None where neither port has the type.

        Raises:
            ConfigError: the name cannot be used.
        """
        subscription = self.first.subscribe(spec, take, on_malformed)
        if subscription is not None or self.other is None:
            return subscription
        other = self.other.subscribe(self._in_full(spec), take, on_malformed)
        if other is not None:
            self._note(spec)
        return other

    def start(self, resort: LastResort) -> None:
        """Deliver the messages of both ports."""
        self.first.start(resort)
        if self._other is not None:
            self._other.start(resort)

    def stop(self) -> None:
        """End all subscriptions; calling again does nothing."""
        try:
            self.first.stop()
        finally:
            if self._other is not None:
                self._other.stop()

    def check(self) -> None:
        """Check that messages are still delivered.

        Raises:
            ConfigError: a thread of a port ended by itself.
        """
        self.first.check()
        if self._other is not None:
            self._other.check()

    def other_publishers(self, name: str) -> int:
        """Return how many publishers of a topic belong to other nodes."""
        full_name = self.full_name(name)
        if self._other is not None and full_name in self._by_other:
            return self._other.other_publishers(full_name)
        return self.first.other_publishers(name)

    def close(self) -> None:
        """Leave both buses; calling again does nothing."""
        try:
            self.first.close()
        finally:
            if self._other is not None:
                self._other.close()

    def _in_full(self, spec: TopicSpec) -> TopicSpec:
        return spec.renamed(self.full_name(spec.name))

    def _note(self, spec: TopicSpec) -> None:
        self._by_other[self.full_name(spec.name)] = self._in_full(spec)
