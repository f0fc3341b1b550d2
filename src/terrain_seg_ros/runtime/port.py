"""What a live node needs of a bus; one implementation is one more transport."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from terrain_seg_ros.core.image.sample_bits import SampleBits
from terrain_seg_ros.core.types import CameraImage
from terrain_seg_ros.messages.message_types import Types
from terrain_seg_ros.messages.topic_spec import TopicSpec
from terrain_seg_ros.runtime.health import Health
from terrain_seg_ros.runtime.last_resort import LastResort
from terrain_seg_ros.runtime.vehicle_pose import Transforms


class Publication(Protocol):
    """One output on the bus; every method may be called from any thread."""

    @property
    def subscriber_count(self) -> int:
        """Return how many subscribers are matched now."""
        ...

    def write(self, message: Any) -> bool:
        """Send a message; return False where a subscriber that does not keep up prevents it.

        Raises:
            MessageError: a field holds what its type cannot, or the bus refuses the message.
        """
        ...

    def wait_delivered(self, timeout_ns: int) -> bool:
        """Wait until all reliable subscribers have what was sent; return whether they have."""
        ...


class Subscription(Protocol):
    """One input on the bus; the counts are those since the start."""

    @property
    def received(self) -> int:
        """Return how many messages came, well-formed or not."""
        ...

    @property
    def lost(self) -> int:
        """Return how many messages the middleware knows to be lost."""
        ...

    @property
    def publisher_count(self) -> int:
        """Return how many publishers are matched now."""
        ...

    @property
    def incompatible(self) -> int:
        """Return how many publishers offered less than the quality of service asks for."""
        ...


class TransformSource(Transforms, Protocol):
    """Transforms that are received outside the port's subscriptions, such as by tf2."""

    def open(self) -> None:
        """Subscribe."""
        ...

    def close(self) -> None:
        """Unsubscribe; fixed transforms are kept."""
        ...

    def forget_moving(self) -> None:
        """Forget moving transforms, after a jump in time."""
        ...


class Clock(Protocol):
    """The clock that images are stamped with."""

    def now_ns(self) -> int:
        """Return the time of the clock; 0 until it runs."""
        ...

    def watch_time(self, on_jump: Callable[[], None]) -> None:
        """Call `on_jump` when the clock jumps backwards, until `close` of the port."""
        ...


class Port(Protocol):
    """A bus: how to subscribe, publish, count subscribers and tell the time.

    Names are relative to the namespace or start with a slash. `advertise` and `subscribe` return
    None for a type that the port cannot carry, so that a port may be put together from two others,
    each of which carries what it can.
    """

    @property
    def types(self) -> Types:
        """Return the message classes."""
        ...

    @property
    def clock(self) -> Clock:
        """Return the clock that images are stamped with."""
        ...

    def decode(self, message: Any, bits: SampleBits) -> CameraImage:
        """Return the pixels of an image message; `bits` says what samples of 16 bits hold.

        Raises:
            MessageError: it cannot be read.
        """
        ...

    def full_name(self, name: str) -> str:
        """Return a topic's name on the bus, with its namespace.

        Raises:
            ConfigError: it is not a topic name.
        """
        ...

    def transforms(self, health: Health, *, cache_s: float) -> TransformSource | None:
        """Return a source of transforms of the port's own; None to use its subscriptions."""
        ...

    def advertise(self, spec: TopicSpec) -> Publication | None:
        """Return a publication; it ends with `close`.

        Raises:
            ConfigError: the name cannot be used.
        """
        ...

    def subscribe(
        self, spec: TopicSpec, take: Callable[[Any], None], on_malformed: Callable[[str], None]
    ) -> Subscription | None:
        """Return a subscription; it ends with `stop`.

        Args:
            spec: row of the table, with the name on the bus.
            take: called with each message, from any thread; it returns at once and raises nothing.
            on_malformed: called with what is wrong with a message that cannot be read.

        Raises:
            ConfigError: the name cannot be used.
        """
        ...

    def start(self, resort: LastResort) -> None:
        """Deliver the messages of the subscriptions; `resort` takes unexpected errors."""
        ...

    def stop(self) -> None:
        """End all subscriptions; calling again does nothing."""
        ...

    def check(self) -> None:
        """Check that messages are still delivered.

        Raises:
            ConfigError: a thread of the port ended by itself.
        """
        ...

    def other_publishers(self, name: str) -> int:
        """Return how many publishers of a topic belong to other nodes."""
        ...

    def close(self) -> None:
        """Leave the bus; calling again does nothing."""
        ...
