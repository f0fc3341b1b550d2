"""The port to Cyclone DDS: ROS 2 topics on the wire, without ROS."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from terrain_seg_ros.core.image.sample_bits import SampleBits
from terrain_seg_ros.core.types import CameraImage
from terrain_seg_ros.dds.discovery import Discovery
from terrain_seg_ros.dds.dispatcher import Dispatcher
from terrain_seg_ros.dds.endpoints import Reader, Writer
from terrain_seg_ros.dds.graph import GraphEntry
from terrain_seg_ros.dds.names import dds_topic_name
from terrain_seg_ros.dds.participant import Participant
from terrain_seg_ros.dds.publications import Publications
from terrain_seg_ros.messages import cdr
from terrain_seg_ros.messages.image_message import decode_camera_image
from terrain_seg_ros.messages.message_types import Types
from terrain_seg_ros.messages.topic_spec import TopicSpec
from terrain_seg_ros.parameters.file import NAMESPACE, NODE_NAME
from terrain_seg_ros.runtime.health import Health
from terrain_seg_ros.runtime.last_resort import LastResort
from terrain_seg_ros.runtime.live import StandaloneNode
from terrain_seg_ros.runtime.session import Session
from terrain_seg_ros.runtime.worker import check_thread_room

BUS_THREADS = 16
"""What Cyclone DDS and this node start; Cyclone ends the process where it gets none."""


@dataclass(frozen=True)
class NodeOptions:
    """How a node joins the bus; what it does there is said by the parameters.

    `image_topic` and `camera_info_topic` are full names that replace those of the parameters, as
    a remapping does in ROS; None keeps them. `name` is the node's in the ROS graph.
    """

    domain_id: int
    discovery: Discovery
    namespace: str = NAMESPACE
    image_topic: str | None = None
    camera_info_topic: str | None = None
    name: str = NODE_NAME


class SystemClock:
    """The time of the system."""

    def now_ns(self) -> int:
        """Return the time since 1970."""
        return time.time_ns()

    def watch_time(self, on_jump: Callable[[], None]) -> None:
        """Do nothing: jumps of the system's clock are seen by the stamps of images."""


class DdsPort:
    """A membership of a DDS domain; one thread takes messages from the bus and hands them on."""

    def __init__(self, options: NodeOptions) -> None:
        """Join the bus; nothing is read before `start`.

        Raises:
            ConfigError: the bus cannot be joined.
            InferenceError: the system does not give enough threads.
        """
        self.options = options
        self.clock = SystemClock()
        check_thread_room(BUS_THREADS)
        self._participant = Participant(options.domain_id, options.discovery)
        self._own_guid = self._participant.entity.guid
        self._publications: Publications | None = Publications(self._participant)
        self._graph = GraphEntry(
            self._participant, namespace=options.namespace.rstrip("/") or "/", name=options.name
        )
        self._writers: list[Writer] = []
        self._dispatcher: Dispatcher | None = None
        self._waiting: list[tuple[Reader, Callable[[Any], None], Callable[[str], None]]] = []

    @property
    def types(self) -> Types:
        """Return the message classes of the type store."""
        return cdr.message_class

    def decode(self, message: Any, bits: SampleBits) -> CameraImage:
        """Return the pixels of an image message.

        Raises:
            MessageError: it cannot be read.
        """
        return decode_camera_image(message, bits)

    def full_name(self, name: str) -> str:
        """Return the ROS name of a topic, with the namespace.

        Raises:
            ConfigError: it is not a topic name.
        """
        return self._dds_name(name).removeprefix("rt")

    def transforms(self, health: Health, *, cache_s: float) -> None:
        """Return None: transforms come by the subscriptions."""

    def advertise(self, spec: TopicSpec) -> Writer:
        """Return a writer.

        Raises:
            ConfigError: the name cannot be used.
        """
        writer = Writer(self._participant, spec, dds_name=self._dds_name(spec.name))
        self._writers.append(writer)
        return writer

    def subscribe(
        self, spec: TopicSpec, take: Callable[[Any], None], on_malformed: Callable[[str], None]
    ) -> Reader:
        """Return a reader, whose messages are taken from `start` on.

        Raises:
            ConfigError: the name cannot be used.
        """
        reader = Reader(self._participant, spec, dds_name=self._dds_name(spec.name))
        self._waiting.append((reader, take, on_malformed))
        return reader

    def start(self, resort: LastResort) -> None:
        """Publish the node in the ROS graph and start the thread that takes messages."""
        dispatcher = Dispatcher(self._participant, resort)
        for reader, take, on_malformed in self._waiting:
            dispatcher.add(reader, take, on_malformed=on_malformed)
        self._graph.publish([reader for reader, *_ in self._waiting], self._writers)
        self._waiting = []
        self._dispatcher = dispatcher
        dispatcher.start()

    def stop(self) -> None:
        """End the thread and close the readers; calling again does nothing."""
        for reader, *_ in self._waiting:
            reader.close()
        self._waiting = []
        dispatcher, self._dispatcher = self._dispatcher, None
        if dispatcher is not None:
            dispatcher.stop()
            self._graph.publish([], self._writers)

    def check(self) -> None:
        """Check that the thread lives.

        Raises:
            ConfigError: it ended by itself.
        """
        if self._dispatcher is not None:
            self._dispatcher.check()

    def other_publishers(self, name: str) -> int:
        """Return how many writers of a topic belong to other participants."""
        if self._publications is None:
            return 0
        dds_name = self._dds_name(name)
        return sum(
            topic_name == dds_name and participant != self._own_guid
            for topic_name, participant in self._publications.alive()
        )

    def close(self) -> None:
        """Leave the bus; calling again does nothing."""
        if self._publications is None:
            return
        self.stop()
        self._publications = None
        self._graph.close()
        for writer in self._writers:
            writer.close()
        self._participant.close()

    def _dds_name(self, name: str) -> str:
        return dds_topic_name(name, self.options.namespace)


def dds_node(session: Session, options: NodeOptions) -> StandaloneNode:
    """Return a node on a DDS bus; it takes images from `start` on.

    Raises:
        ConfigError: the bus cannot be joined, or a topic's name cannot be used.
        InferenceError: the system does not give enough threads.
    """
    names = {
        "image_topic": options.image_topic,
        "camera_info_topic": options.camera_info_topic,
    }
    with ExitStack() as undo:
        port = DdsPort(options)
        undo.callback(port.close)
        node = StandaloneNode(session, port, names=names)
        undo.pop_all()
    return node
