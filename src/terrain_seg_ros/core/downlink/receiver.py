"""The listening side of the downlink: packets to the grid, landing sites, health, a thumbnail."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.downlink.packet import Packet, Section
from terrain_seg_ros.core.downlink.parts import (
    Site,
    Thumbnail,
    unpack_health,
    unpack_sites,
    unpack_thumbnail,
)
from terrain_seg_ros.core.downlink.tiles import (
    HAZARD,
    NOT_OBSERVED,
    TILE,
    Extent,
    TileGrid,
    moved_tiles,
    unpack_tiles,
)
from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.core.grid.costs import I8

GAPS_LIMIT = 100
"""Gaps that are kept to be named; later ones are counted."""
_NEVER = -1


@dataclass(frozen=True)
class Gap:
    """Packets that did not arrive, by the first and last sequence number."""

    stream: int
    first: int
    last: int


@dataclass(frozen=True)
class ReceivedGrid:
    """The grid as far as it is known.

    `cost` (rows, cols) int8: 0 free, 1 to 98 graded, 100 hazard, -1 not observed, or not known
    since packets were lost. `stamp_ns` (rows, cols) int64 says when the vehicle sent a cell's tile,
    -1 where it did not.
    """

    extent: Extent
    cost: I8
    stamp_ns: NDArray[np.int64]


@dataclass
class _Tiles:
    """What was received of the grid; `sequence` and `stamp_ns` are per tile, `_NEVER` at first.

    A tile from before `whole_from` is not confirmed: of it only hazards are believed.
    """

    grid: TileGrid
    sequence: NDArray[np.int64] = field(init=False)
    stamp_ns: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        shape = self.grid.extent.tile_shape
        self.sequence = np.full(shape, _NEVER, dtype=np.int64)
        self.stamp_ns = np.full(shape, _NEVER, dtype=np.int64)

    def move(self, extent: Extent) -> None:
        old = self.grid.extent
        self.grid = self.grid.moved(extent)
        # 0 is what stands where nothing was: shifted by one, _NEVER is.
        self.sequence = moved_tiles(self.sequence + 1, old, extent) - 1
        self.stamp_ns = moved_tiles(self.stamp_ns + 1, old, extent) - 1


class DownlinkReceiver:
    """Takes the packets of one vehicle in the order of their arrival.

    After lost packets only hazards are still believed, and tiles that arrive later. A packet that
    is older than the last one is left out, as it counts as lost already.
    """

    def __init__(self) -> None:
        """Know nothing."""
        self.packets = self.lost = self.late = self.streams = 0
        self.gaps: list[Gap] = []
        """Packets that were lost, the first `GAPS_LIMIT` times."""
        self.damaged: list[str] = []
        """Why packets could not be used, the last ones; `damaged_count` counts all."""
        self.damaged_count = 0
        self.sites: tuple[Site, ...] | None = None
        """The landing sites; None where they are not known."""
        self.health: dict[str, Any] | None = None
        self.thumbnail: Thumbnail | None = None
        self.last: Packet | None = None
        self._whole_from = 0
        self._tiles: _Tiles | None = None

    def take(self, packet: Packet | MessageError) -> None:
        """Take the next packet, or what is wrong with it; one that is malformed is counted."""
        if isinstance(packet, MessageError):
            self._count_damaged(packet)
            return
        last = self.last
        if last is None or packet.stream != last.stream:
            self._start(packet)
        elif packet.sequence <= last.sequence:
            self.late += 1
            return
        elif packet.sequence > last.sequence + 1:
            self._lose(Gap(packet.stream, last.sequence + 1, packet.sequence - 1))
        self.last = packet
        self.packets += 1
        try:
            self._read(packet)
        except MessageError as error:
            self._count_damaged(error)
            self._lose(Gap(packet.stream, packet.sequence, packet.sequence))

    def grid(self) -> ReceivedGrid | None:
        """Return the grid; None before its first packet."""
        tiles = self._tiles
        if tiles is None:
            return None
        everywhere = np.ones((TILE, TILE), dtype=np.int64)
        extent = tiles.grid.extent
        confirmed = np.kron(tiles.sequence >= self._whole_from, everywhere).astype(np.bool_)
        symbols = tiles.grid.symbols
        believed = confirmed | (symbols == HAZARD)
        shown = TileGrid(extent, np.where(believed, symbols, np.uint8(NOT_OBSERVED)))
        return ReceivedGrid(extent, shown.cost(), np.kron(tiles.stamp_ns, everywhere)[extent.cells])

    def _start(self, packet: Packet) -> None:
        """Begin with a stream; what is known of another one is forgotten."""
        self.streams += 1
        self._tiles, self.sites, self.health, self.thumbnail = None, None, None, None
        self._whole_from = packet.sequence
        if packet.sequence > 0:
            self._name(Gap(packet.stream, 0, packet.sequence - 1))

    def _lose(self, gap: Gap) -> None:
        self._name(gap)
        self._whole_from = gap.last + 1
        self.sites = None

    def _name(self, gap: Gap) -> None:
        self.lost += gap.last - gap.first + 1
        if len(self.gaps) < GAPS_LIMIT:
            self.gaps.append(gap)

    def _count_damaged(self, error: MessageError) -> None:
        self.damaged_count += 1
        self.damaged = [*self.damaged, str(error)][-GAPS_LIMIT:]

    def _read(self, packet: Packet) -> None:
        """Take the sections.

        Raises:
            MessageError: one is malformed.
        """
        for kind, content in packet.sections:
            if kind == Section.GRID:
                self._move(Extent.from_bytes(content))
            elif kind == Section.TILES:
                self._take_tiles(content, packet)
            elif kind == Section.ROUND_END:
                self._end_round(int.from_bytes(content[:8], "little"))
            elif kind == Section.SITES:
                self.sites = unpack_sites(content)
            elif kind == Section.HEALTH:
                self.health = unpack_health(content)
            elif kind == Section.THUMBNAIL:
                self.thumbnail = unpack_thumbnail(content)

    def _move(self, extent: Extent) -> None:
        if self._tiles is None or not self._tiles.grid.extent.is_like(extent):
            self._tiles = _Tiles(TileGrid(extent))
        elif extent != self._tiles.grid.extent:
            self._tiles.move(extent)

    def _take_tiles(self, content: bytes, packet: Packet) -> None:
        if self._tiles is None:
            raise MessageError("a downlink packet has tiles, but does not say where the grid lies")
        tiles = self._tiles
        places, symbols = unpack_tiles(content, tiles.grid.extent)
        rows, cols = places[:, 0], places[:, 1]
        tiles.grid.blocks()[rows, cols] = symbols
        tiles.sequence[rows, cols] = packet.sequence
        tiles.stamp_ns[rows, cols] = packet.stamp_ns

    def _end_round(self, first: int) -> None:
        """Forget the tiles that a complete round did not repeat: the vehicle knows them no more."""
        if self._tiles is None or first < self._whole_from:
            return
        gone = self._tiles.sequence < first
        self._tiles.grid.blocks()[gone] = NOT_OBSERVED
        self._tiles.stamp_ns[gone] = _NEVER
