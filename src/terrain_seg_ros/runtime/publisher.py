"""Publish through a port what the frame processor returns."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.messages.topic_spec import TopicSpec
from terrain_seg_ros.runtime.health import Health, Refusal
from terrain_seg_ros.runtime.last_resort import LastResort
from terrain_seg_ros.runtime.outboxes.outgoing import Outgoing
from terrain_seg_ros.runtime.port import Port, Publication

SHORTEST_WAIT_S = 0.01


class Publisher:
    """The publications of a node; what cannot be sent is counted and never raised."""

    def __init__(
        self, port: Port, specs: Mapping[str, TopicSpec], *, health: Health, resort: LastResort
    ) -> None:
        """Advertise topics, given by their names relative to the namespace.

        Raises:
            ConfigError: a name cannot be used.
        """
        self._port = port
        self._specs = specs
        self._health = health
        self._resort = resort
        self._publications: dict[str, Publication] = {}
        missing: dict[str, TopicSpec] = {}
        for name, spec in specs.items():
            publication = port.advertise(spec.renamed(name))
            if publication is None:
                missing[spec.name] = spec
            else:
                self._publications[name] = publication
        self.missing = tuple(missing.values())
        """Rows whose type the port cannot carry."""

    def is_wanted(self, name: str) -> bool:
        """Return whether somebody subscribes to a topic."""
        publication = self._publications.get(name)
        return publication is not None and publication.subscriber_count > 0

    def publish(self, outgoing: Iterable[Outgoing], *, stage: str | None = None) -> None:
        """Send messages; volatile ones without a subscriber are left out.

        Args:
            outgoing: topics and messages.
            stage: name under which the time is counted.
        """
        started_s = time.perf_counter()
        count = 0
        for name, message in outgoing:
            with self._resort.around("publishing"):
                count += self._send(name, message)
        if stage is not None and count:
            self._health.add_latencies({stage: (time.perf_counter() - started_s) * 1e3})

    def wait_delivered(self, names: Iterable[str], timeout_s: float) -> None:
        """Wait, up to a timeout, until the subscribers of some topics have what was sent."""
        deadline_s = time.monotonic() + timeout_s
        for name in names:
            publication = self._publications.get(name)
            if publication is not None:
                left_s = max(deadline_s - time.monotonic(), SHORTEST_WAIT_S)
                with self._resort.around("waiting for delivery"):
                    publication.wait_delivered(round(left_s * 1e9))

    def _send(self, name: str, message: Any) -> bool:
        """Return whether a message was handed to the bus."""
        publication = self._publications.get(name)
        if publication is None:
            return False
        if not self._specs[name].is_latched and publication.subscriber_count == 0:
            return False
        try:
            if publication.write(message):
                return True
        except MessageError as error:
            self._health.count_refused(Refusal.OUTPUT, str(error))
            return False
        self._health.count_refused(
            Refusal.OUTPUT,
            f"{self._port.full_name(name)!r} has a reliable subscriber that does not keep up; "
            "stop it or make it best effort",
        )
        return False
