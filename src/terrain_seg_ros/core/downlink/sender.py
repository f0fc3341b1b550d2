"""The sending side of the downlink: what goes next within the budget."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from terrain_seg_ros.core.downlink.byte_budget import ByteBudget
from terrain_seg_ros.core.downlink.grid_changes import GridChanges, Urgency
from terrain_seg_ros.core.downlink.packet import (
    EMPTY_PACKET_BYTES,
    PACKET_LIMIT_BYTES,
    SECTION_BYTES,
    Packet,
    Section,
    pack,
)
from terrain_seg_ros.core.downlink.parts import (
    Site,
    Thumbnail,
    pack_health,
    pack_sites,
    pack_thumbnail,
)
from terrain_seg_ros.core.types import GridSnapshot

HEALTH_PERIOD_S = 10.0
SITES_PERIOD_S = 5.0
THUMBNAIL_PERIOD_S = 60.0
ROUND_PERIOD_S = 60.0
"""A round that repeats every tile, the key frame of the grid, begins this often or later."""
OVERDUE_PERIODS = 6
"""Sites and health that have waited so many periods go before the grid."""
PACKETS_AT_ONCE = 16
_ROUND_END_BYTES = 4


class _Part:
    """A section that is sent when it changed, but not more often than its period."""

    def __init__(self, period_s: float) -> None:
        self.content: bytes | None = None
        self.is_urgent = False
        """Whether it is sent before its period has passed."""
        self._sent: bytes | None = None
        self._sent_s = -math.inf
        self._period_s = period_s

    def is_due(self, now_s: float) -> bool:
        """Return whether it is to be sent."""
        has_waited = now_s - self._sent_s >= self._period_s
        has_changed = self.content is not None and self.content != self._sent
        return has_changed and (has_waited or self.is_urgent)

    def is_pressing(self, now_s: float) -> bool:
        """Return whether it goes before everything else: it is urgent, or has waited long."""
        return self.is_due(now_s) and (
            self.is_urgent or now_s - self._sent_s >= OVERDUE_PERIODS * self._period_s
        )

    def mark_sent(self, now_s: float) -> None:
        """Note that it was sent."""
        self._sent, self._sent_s, self.is_urgent = self.content, now_s, False

    def repeat(self) -> None:
        """Send it again, changed or not."""
        self._sent = None


class DownlinkSender:
    """Makes packets of the newest grid, landing sites, health and thumbnail; not thread-safe.

    Hazards and ground that is no longer safe go first, after sites that were withdrawn and another
    level of health; then sites, health and newly observed ground, then the round that repeats every
    tile, a thumbnail, and last the grades of safe ground.
    A tile is sent whole, as it is then, so that no packet needs an earlier one.
    """

    def __init__(self, bytes_per_min: int) -> None:
        """Start with nothing to send and an empty bucket."""
        self._budget = ByteBudget(bytes_per_min)
        self._room = min(PACKET_LIMIT_BYTES, int(self._budget.burst_bytes))
        self._grid: GridChanges | None = None
        self._parts = {
            Section.SITES: _Part(SITES_PERIOD_S),
            Section.HEALTH: _Part(HEALTH_PERIOD_S),
            Section.THUMBNAIL: _Part(THUMBNAIL_PERIOD_S),
        }
        self._level: Any = None
        self._stream: int | None = None
        self._sequence = 0
        self._round_from: int | None = None
        self._round_s = -math.inf

    def show_grid(self, snapshot: GridSnapshot) -> None:
        """Take the newest grid; one of another frame or resolution begins a new stream."""
        if self._grid is not None and self._grid.is_like(snapshot):
            self._grid.show(snapshot)
            return
        if self._grid is not None:
            self._stream = None
        self._grid = GridChanges(snapshot)

    def show_sites(self, sites: Sequence[Site]) -> None:
        """Take the landing sites, the chosen one first; that there are none is sent at once."""
        part = self._parts[Section.SITES]
        part.content, part.is_urgent = pack_sites(sites), not sites

    def show_health(self, health: Mapping[str, Any]) -> None:
        """Take the state of the node; another `level` is sent at once."""
        part = self._parts[Section.HEALTH]
        part.content = pack_health(health)
        part.is_urgent |= health.get("level") != self._level
        self._level = health.get("level")

    def show_thumbnail(self, picture: Thumbnail) -> None:
        """Take the newest mask."""
        self._parts[Section.THUMBNAIL].content = pack_thumbnail(picture)

    def packets(self, stamp_ns: int, now_s: float) -> list[bytes]:
        """Return the packets that go now.

        Args:
            stamp_ns: of the vehicle's clock, written into them.
            now_s: a clock that never jumps, by which the budget is kept.

        Nothing goes before the vehicle's clock runs.
        """
        if stamp_ns <= 0:
            return []
        result: list[bytes] = []
        while len(result) < PACKETS_AT_ONCE:
            available = min(self._budget.available(now_s), PACKET_LIMIT_BYTES)
            if available < self._room // 2:
                break
            data = self._next(available, stamp_ns, now_s)
            if data is None:
                break
            self._budget.spend(len(data))
            result.append(data)
        return result

    def _next(self, limit_bytes: int, stamp_ns: int, now_s: float) -> bytes | None:
        """Return the next packet, or None where nothing is due."""
        if self._stream is None:
            self._start_stream(stamp_ns)
        draft = _Draft(limit_bytes)
        if self._grid is not None:
            self._begin_round(now_s)
            draft.add(Section.GRID, self._grid.follow())
        for kind in (Section.SITES, Section.HEALTH):
            if self._parts[kind].is_pressing(now_s):
                self._add_part(draft, kind, now_s)
        if self._grid is not None:
            draft.add_tiles(self._grid, Urgency.DANGER)
        self._add_part(draft, Section.SITES, now_s)
        self._add_part(draft, Section.HEALTH, now_s)
        if self._grid is not None:
            draft.add_tiles(self._grid, Urgency.REPEATED, reserve=SECTION_BYTES + _ROUND_END_BYTES)
            self._end_round(draft)
        self._add_part(draft, Section.THUMBNAIL, now_s)
        if self._grid is not None:
            draft.add_tiles(self._grid, Urgency.GRADED)
        has_moved = self._grid is not None and self._grid.has_moved
        if not (draft.has_news or has_moved):
            return None
        if self._grid is not None:
            self._grid.has_moved = False
        packet = Packet(self._stream or 0, self._sequence, stamp_ns, tuple(draft.sections))
        self._sequence += 1
        return pack(packet)

    def _start_stream(self, stamp_ns: int) -> None:
        self._stream = zlib.crc32(stamp_ns.to_bytes(8, "little", signed=True))
        self._sequence, self._round_from, self._round_s = 0, None, -math.inf
        for part in self._parts.values():
            part.repeat()

    def _begin_round(self, now_s: float) -> None:
        if self._grid is None or self._round_from is not None:
            return
        if now_s - self._round_s >= ROUND_PERIOD_S:
            self._grid.begin_round()
            self._round_from, self._round_s = self._sequence, now_s
            self._parts[Section.SITES].repeat()
            self._parts[Section.HEALTH].repeat()

    def _end_round(self, draft: _Draft) -> None:
        if self._grid is None or self._round_from is None or not self._grid.is_round_over:
            return
        if draft.add(Section.ROUND_END, self._round_from.to_bytes(_ROUND_END_BYTES, "little")):
            self._round_from = None

    def _add_part(self, draft: _Draft, kind: Section, now_s: float) -> None:
        part = self._parts[kind]
        if part.content is not None and part.is_due(now_s) and draft.add(kind, part.content):
            part.mark_sent(now_s)


class _Draft:
    """A packet in the making."""

    def __init__(self, limit_bytes: int) -> None:
        self.sections: list[tuple[int, bytes]] = []
        self._left_bytes = limit_bytes - EMPTY_PACKET_BYTES

    @property
    def has_news(self) -> bool:
        """Return whether there is more than where the grid lies."""
        return any(kind != Section.GRID for kind, _ in self.sections)

    def add(self, kind: Section, content: bytes) -> bool:
        """Add a section; return whether it fits."""
        cost = SECTION_BYTES + len(content)
        if cost > self._left_bytes:
            return False
        self._left_bytes -= cost
        self.sections.append((int(kind), content))
        return True

    def add_tiles(self, grid: GridChanges, most: Urgency, *, reserve: int = 0) -> None:
        """Add the tiles that are due and fit, leaving some bytes free."""
        content = grid.take(most, self._left_bytes - SECTION_BYTES - reserve)
        if content:
            self.add(Section.TILES, content)
