"""Which tiles of the grid the listener lacks, the most urgent first."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.downlink.tiles import (
    FREE,
    HAZARD,
    TILES_LIMIT,
    Flags,
    TileGrid,
    moved_tiles,
    pack_tiles,
)
from terrain_seg_ros.core.types import GridSnapshot


class Urgency(IntEnum):
    """Why a tile is to be sent, the most urgent first."""

    DANGER = 0
    """A cell became a hazard, or ground that was sent as safe no longer is."""
    OBSERVED = 1
    """A cell became observed, or a hazard ended."""
    REPEATED = 2
    """The tile is to be sent again in this round, for listeners that joined late or lost it."""
    GRADED = 3
    """Only the cost of safe ground changed."""


_NOTHING = 255


class GridChanges:
    """The newest grid beside what was sent of it."""

    def __init__(self, snapshot: GridSnapshot) -> None:
        """Start with nothing sent."""
        self._now = TileGrid.of(snapshot)
        self._sent = TileGrid(self._now.extent)
        self.has_moved = False
        """Whether what was sent was moved, which the listener must learn; the caller resets it."""
        self._round: Flags = np.zeros(self._now.extent.tile_shape, dtype=np.bool_)

    def is_like(self, snapshot: GridSnapshot) -> bool:
        """Return whether a grid continues this one: same frame, cells of the same size."""
        known = self._now.extent
        return (known.resolution_m, known.frame_id) == (snapshot.resolution_m, snapshot.frame_id)

    def show(self, snapshot: GridSnapshot) -> None:
        """Take a newer grid."""
        self._now = TileGrid.of(snapshot)

    def follow(self) -> bytes:
        """Move what was sent to where the grid is now; return that as a section of type GRID."""
        extent = self._now.extent
        if extent != self._sent.extent:
            self._round = moved_tiles(self._round, self._sent.extent, extent)
            self._sent = self._sent.moved(extent)
            self.has_moved = True
        return extent.to_bytes()

    def begin_round(self) -> None:
        """Mark every tile that holds something, or was sent as holding something."""
        self.follow()
        held = np.maximum(self._now.blocks(), self._sent.blocks())
        self._round = np.asarray(held.any(axis=(2, 3)))

    @property
    def is_round_over(self) -> bool:
        """Return whether all tiles of the round were sent."""
        return not self._round.any()

    def due(self, most: Urgency) -> NDArray[np.int64]:
        """Return the tiles (n, 2) that are due, as urgent as `most` or more, the most urgent first.

        Among equals those near the middle of the grid, where the vehicle is, come first.
        """
        urgency = self._urgency()
        places = np.argwhere(urgency <= int(most))
        away = np.abs(places - (np.array(urgency.shape) - 1) / 2.0).max(axis=1)
        order = np.lexsort((away, urgency[places[:, 0], places[:, 1]]))
        return places[order].astype(np.int64)

    def take(self, most: Urgency, limit_bytes: int) -> bytes:
        """Return due tiles as a section of type TILES, as many as fit; they count as sent.

        It is empty where none is due or fits.
        """
        places = self.due(most)[:TILES_LIMIT]
        low, high, best = 0, len(places), b""
        while low < high:
            count = (low + high + 1) // 2
            packed = pack_tiles(self._now, places[:count])
            if len(packed) <= limit_bytes:
                low, best = count, packed
            else:
                high = count - 1
        self._mark_sent(places[:low])
        return best

    def _mark_sent(self, places: NDArray[np.int64]) -> None:
        rows, cols = places[:, 0], places[:, 1]
        self._sent.blocks()[rows, cols] = self._now.blocks()[rows, cols]
        self._round[rows, cols] = False

    def _urgency(self) -> NDArray[np.uint8]:
        """Return the urgency of each tile, `_NOTHING` where nothing is due."""
        now, sent = self._now.blocks(), self._sent.moved(self._now.extent).blocks()
        is_danger = ((now == HAZARD) & (sent != HAZARD)) | ((sent >= FREE) & (now < FREE))
        changed = np.minimum(now, FREE) != np.minimum(sent, FREE)
        repeated = moved_tiles(self._round, self._sent.extent, self._now.extent)
        result = np.full(repeated.shape, _NOTHING, dtype=np.uint8)
        result[(now != sent).any(axis=(2, 3))] = Urgency.GRADED
        result[repeated] = Urgency.REPEATED
        result[changed.any(axis=(2, 3))] = Urgency.OBSERVED
        result[is_danger.any(axis=(2, 3))] = Urgency.DANGER
        return result
