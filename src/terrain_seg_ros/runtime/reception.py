"""Warn of silent trouble on the bus: lost images, two publishers, two nodes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

from terrain_seg_ros.runtime.health import Health
from terrain_seg_ros.runtime.packet_drops import dropped_packets

SILENT_AFTER_S = 5.0
"""A publisher of images that sends none for this long causes a warning."""
HELD_S = 10.0
"""A loss causes a warning for this long."""
PACKETS_LOST = "UDP packets lost"
PACKETS_EFFECT = ", so large best-effort images are lost and reliable ones arrive late"
REMEDY = (
    "raise net.core.rmem_max (sysctl -w net.core.rmem_max=33554432), publish reliably and set "
    "input_reliability, or send smaller or compressed images"
)


class InputFacts(NamedTuple):
    """One input on the bus: its name, and counts since the start.

    `publishers` are those that are there now, `received` and `lost` messages, `incompatible`
    publishers that offer a lower quality of service than requested, so nothing arrives from them.
    """

    topic: str
    publishers: int
    received: int
    lost: int
    is_image: bool
    incompatible: int = 0


class Reception:
    """Compare the counts with those of the previous look; call `look` about once a second."""

    def __init__(
        self,
        health: Health,
        *,
        clock_s: Callable[[], float] = time.monotonic,
        dropped: Callable[[], int] = dropped_packets,
    ) -> None:
        """Start; packets that were lost earlier count too."""
        self._health = health
        self._clock_s = clock_s
        self._dropped = dropped
        self._received: dict[str, tuple[int, float]] = {}
        self._lost: dict[str, tuple[int, float]] = {}

    def look(self, inputs: Iterable[InputFacts], *, other_nodes: int) -> None:
        """Set the warnings that hold now and withdraw the others.

        Args:
            inputs: of images, intrinsics and measurements; not transforms, which may have several
                publishers.
            other_nodes: how many others publish this node's outputs under the same names.
        """
        now_s = self._clock_s()
        for item in inputs:
            self._publishers(item)
            self._quality(item)
            if item.is_image:
                self._silence(item, now_s)
            self._loss(f"messages of {item.topic} lost", item.lost, now_s)
        self._loss(PACKETS_LOST, self._dropped(), now_s)
        self._health.set_standing(
            "nodes",
            f"{other_nodes} more instances of this node publish the same topics in its namespace, "
            "so subscribers receive a mix of grids: stop one, or give it another namespace"
            if other_nodes
            else "",
        )

    def _publishers(self, item: InputFacts) -> None:
        self._health.set_standing(
            f"publishers of {item.topic}",
            f"{item.topic} has {item.publishers} publishers, expected one; images and stamps "
            "of several cameras are mixed: stop one, or give each camera a topic of its own"
            if item.publishers > 1
            else "",
        )

    def _quality(self, item: InputFacts) -> None:
        self._health.set_standing(
            f"quality of {item.topic}",
            f"a publisher of {item.topic} offers a lower quality of service than this input "
            "requests, so its messages do not arrive; set input_reliability to best_effort"
            if item.incompatible and not item.publishers
            else "",
        )

    def _silence(self, item: InputFacts, now_s: float) -> None:
        received, since_s = self._received.get(item.topic, (-1, now_s))
        if received != item.received or item.publishers == 0:
            since_s = now_s
        self._received[item.topic] = item.received, since_s
        silent_s = now_s - since_s
        self._health.set_standing(
            f"silence of {item.topic}",
            f"{item.topic} has a publisher but no image arrived for {silent_s:.0f} s: it sends "
            f"none, or images are lost on the way; for the latter {REMEDY}"
            if silent_s >= SILENT_AFTER_S
            else "",
        )

    def _loss(self, what: str, total: int, now_s: float) -> None:
        before, at_s = self._lost.get(what, (0, -HELD_S))
        if total > before:
            at_s = now_s
        self._lost[what] = total, at_s
        if total:
            self._health.set_gauge(what, float(total))
        recent = total > 0 and now_s - at_s < HELD_S
        effect = PACKETS_EFFECT if what == PACKETS_LOST else ""
        self._health.set_standing(what, f"{total} {what}{effect}: {REMEDY}" if recent else "")
