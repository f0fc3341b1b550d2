"""The destinations of the simulator's messages: the DDS bus or a bag."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Protocol

from terrain_seg_ros.bag.writer import BagWriter
from terrain_seg_ros.messages.topic_spec import TopicSpec


class Outlet(Protocol):
    """A destination for messages, open inside a `with` statement."""

    def wants(self, name: str) -> bool:
        """Return whether a topic is currently needed."""
        ...

    def send(self, name: str, message: Any, stamp_ns: int) -> None:
        """Send a message of a topic; messages of unselected topics are dropped."""
        ...


class BagOutlet:
    """Writes topics into a bag, at the time of their stamps."""

    def __init__(self, writer: BagWriter, specs: Sequence[TopicSpec], namespace: str) -> None:
        """Add the topics to an open bag."""
        self._writer = writer
        self._connections = {
            spec.name: writer.add_connection(full_name(spec.name, namespace), spec)
            for spec in specs
        }

    def wants(self, name: str) -> bool:
        """Return whether the topic is recorded."""
        return name in self._connections

    def send(self, name: str, message: Any, stamp_ns: int) -> None:
        """Write a message.

        Raises:
            MessageError: the value of a field does not fit its type.
        """
        if name in self._connections:
            self._writer.write_message(self._connections[name], stamp_ns, message)


class BusOutlet:
    """Publishes on the DDS bus; use it in a `with` statement."""

    def __init__(
        self, specs: Sequence[TopicSpec], *, domain_id: int, discovery: str, namespace: str
    ) -> None:
        """Join the domain and create the writers.

        Raises:
            ConfigError: Cyclone DDS is missing, or the domain cannot be joined.
        """
        # Imported late because Cyclone DDS is not available everywhere and bags do not need it.
        from terrain_seg_ros.dds.discovery import Discovery  # noqa: PLC0415
        from terrain_seg_ros.dds.endpoints import Writer  # noqa: PLC0415
        from terrain_seg_ros.dds.names import dds_topic_name  # noqa: PLC0415
        from terrain_seg_ros.dds.participant import Participant  # noqa: PLC0415

        self._participant = Participant(domain_id, Discovery(discovery))
        self._writers = {
            spec.name: Writer(
                self._participant, spec, dds_name=dds_topic_name(spec.name, namespace)
            )
            for spec in specs
        }

    def __enter__(self) -> BusOutlet:
        """Return the outlet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the domain."""
        for writer in self._writers.values():
            writer.close()
        self._participant.close()

    def wants(self, name: str) -> bool:
        """Return whether the topic has subscribers."""
        return name in self._writers and self._writers[name].subscriber_count > 0

    def send(self, name: str, message: Any, stamp_ns: int) -> None:  # noqa: ARG002
        """Publish a message.

        Raises:
            MessageError: the value of a field does not fit its type, or DDS rejects the message.
        """
        if name in self._writers:
            self._writers[name].write(message)

    def send_payload(self, name: str, payload: bytes) -> None:
        """Publish the CDR bytes of a message.

        Raises:
            MessageError: DDS rejects the message.
        """
        self._writers[name].write_payload(payload)

    def wait_for_subscribers(self, count: int, *, timeout_s: float) -> None:
        """Wait until /tf has so many subscribers.

        Raises:
            ConfigError: they did not appear in time.
        """
        from terrain_seg_ros.dds.endpoints import wait_for_subscribers  # noqa: PLC0415

        wait_for_subscribers([self._writers["/tf"]], count, timeout_s=timeout_s)


def full_name(name: str, namespace: str) -> str:
    """Return a topic's name with its namespace; a name that begins with a slash is absolute."""
    return name if name.startswith("/") else f"/{namespace.strip('/')}/{name}".replace("//", "/")
