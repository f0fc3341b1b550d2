"""A live bus: take messages in a thread of its own, however slow the page is."""

from __future__ import annotations

import time
from threading import Event, Thread

from terrain_seg_ros.core.errors import TerrainSegError
from terrain_seg_ros.dds.discovery import Discovery
from terrain_seg_ros.dds.endpoints import Reader
from terrain_seg_ros.dds.names import dds_topic_name
from terrain_seg_ros.dds.participant import Participant
from terrain_seg_ros.dds.publications import Publications
from terrain_seg_ros.view.keeper import MomentKeeper
from terrain_seg_ros.view.topics import NEEDED, READ, ViewTopics, view_spec

POLL_S = 0.01
"""Pause between two looks for messages."""


class BusWatcher:
    """A membership of a domain that only reads; `error` says what ended the thread by itself."""

    def __init__(
        self, topics: ViewTopics, *, domain_id: int, discovery: Discovery, base_frame: str
    ) -> None:
        """Join the domain and subscribe.

        Raises:
            ConfigError: the domain cannot be joined, or a topic's name cannot be used.
        """
        self.topics = topics
        self.keeper = MomentKeeper(topics, base_frame=base_frame)
        self.error = ""
        self._participant = Participant(domain_id, discovery)
        try:
            self._readers = {
                name: Reader(
                    self._participant,
                    view_spec(name),
                    dds_name=dds_topic_name(topics.full_name(name), topics.namespace),
                )
                for name in READ
            }
            self._publications: Publications | None = Publications(self._participant)
        except TerrainSegError:
            self._participant.close()
            raise
        self._stop = Event()
        self._thread = Thread(target=self._run, name="terrain_seg_view", daemon=True)

    @property
    def has_node(self) -> bool:
        """Return whether anything publishes the masks or the grid."""
        return any(self._readers[name].publisher_count for name in NEEDED)

    def start(self) -> None:
        """Take messages from now on."""
        self._thread.start()

    def other_nodes(self) -> list[str]:
        """Return the grids and masks that others publish on this domain, by full name."""
        if self._publications is None:
            return []
        names = {
            topic_name.removeprefix("rt")
            for topic_name, _ in self._publications.alive()
            if topic_name.rpartition("/")[2] in NEEDED
        }
        return sorted(names - {self.topics.full_name(name) for name in NEEDED})

    def close(self) -> None:
        """End the thread and leave the domain."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        for reader in self._readers.values():
            reader.close()
        self._publications = None
        self._participant.close()

    def _run(self) -> None:
        try:
            while not self._stop.wait(POLL_S):
                for name, reader in self._readers.items():
                    for payload in reader.take_payloads():
                        self.keeper.take(name, payload, time.time_ns())
        except TerrainSegError as error:
            self.error = str(error)
