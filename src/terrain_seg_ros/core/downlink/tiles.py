"""The grid of the downlink: symbols of four bits in tiles of 16 x 16 cells that stay in place.

Cells are numbered in the grid's frame, cell 0 being that whose corner is the origin, so that tiles
keep their place while the grid rolls along. A symbol is 0 not observed, 1 hazard, or 2 to 15 for
costs of 0 to 98, rounded up.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.downlink.packet import inflate
from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.core.grid.costs import COST_GRADED_MAX, COST_LETHAL, COST_UNKNOWN, I8
from terrain_seg_ros.core.grid.grid_settings import MAX_CELLS_PER_SIDE
from terrain_seg_ros.core.types import FARTHEST_M, U8, GridSnapshot

TILE = 16
"""Cells along a side of a tile."""
NOT_OBSERVED, HAZARD, FREE = 0, 1, 2
_LEVELS = 13
TILES_LIMIT = 512
"""Most tiles in one section."""
FRAME_LIMIT_BYTES = 64
_EXTENT = struct.Struct("<dqqHHB")
_PLACE = struct.Struct("<HH")
_TILE_BYTES = _PLACE.size + TILE * TILE // 2

Flags = NDArray[np.bool_]


def _symbol_of_cost() -> U8:
    """Return the symbol of each int8 cost, by its bits as uint8."""
    cost = np.arange(256, dtype=np.uint8).view(np.int8).astype(np.int64)
    graded = FREE + -(-cost * _LEVELS // COST_GRADED_MAX)
    symbols = np.where(cost < 0, NOT_OBSERVED, np.where(cost > COST_GRADED_MAX, HAZARD, graded))
    return symbols.astype(np.uint8)


_SYMBOL_OF_COST = _symbol_of_cost()
_COST_OF_SYMBOL: I8 = np.array(
    [COST_UNKNOWN, COST_LETHAL, *(n * COST_GRADED_MAX // _LEVELS for n in range(_LEVELS + 1))],
    dtype=np.int8,
)


@dataclass(frozen=True)
class Extent:
    """Where a grid lies: its first cell and its size in cells; `frame_id` names its frame."""

    resolution_m: float
    first_row: int
    first_col: int
    rows: int
    cols: int
    frame_id: str

    def __post_init__(self) -> None:
        """Check that it can be a grid of this node."""
        if not all(1 <= side <= MAX_CELLS_PER_SIDE for side in (self.rows, self.cols)):
            raise MessageError(
                f"downlink grid has {self.cols}x{self.rows} cells, expected 1 to "
                f"{MAX_CELLS_PER_SIDE} a side"
            )
        if not 1e-4 <= self.resolution_m <= 1e4:
            raise MessageError(f"downlink grid has cells of {self.resolution_m} m")
        farthest = 2 * FARTHEST_M / self.resolution_m
        if max(abs(self.first_row), abs(self.first_col)) > farthest:
            raise MessageError(
                f"downlink grid begins at cell ({self.first_row}, {self.first_col}), which lies "
                f"farther than {2 * FARTHEST_M:g} m from the origin"
            )

    @classmethod
    def of(cls, snapshot: GridSnapshot) -> Extent:
        """Return where a grid lies; its origin is a multiple of the resolution."""
        cell_m = snapshot.resolution_m
        rows, cols = snapshot.cost.shape
        first_row, first_col = (
            round(snapshot.origin_y_m / cell_m),
            round(snapshot.origin_x_m / cell_m),
        )
        return cls(cell_m, first_row, first_col, rows, cols, snapshot.frame_id)

    def is_like(self, other: Extent) -> bool:
        """Return whether cells of both are the same ground."""
        return (self.resolution_m, self.frame_id) == (other.resolution_m, other.frame_id)

    @property
    def first_tile(self) -> tuple[int, int]:
        """Return row and column of the first tile."""
        return self.first_row // TILE, self.first_col // TILE

    @property
    def tile_shape(self) -> tuple[int, int]:
        """Return how many tiles hold the cells, along rows and columns."""
        row, col = self.first_tile
        last_row = (self.first_row + self.rows - 1) // TILE
        last_col = (self.first_col + self.cols - 1) // TILE
        return last_row - row + 1, last_col - col + 1

    @cached_property
    def cells(self) -> tuple[slice, slice]:
        """Return where the grid's cells lie in an array of whole tiles."""
        row, col = self.first_row % TILE, self.first_col % TILE
        return slice(row, row + self.rows), slice(col, col + self.cols)

    def to_bytes(self) -> bytes:
        """Return the content of a section of type GRID."""
        name = self.frame_id.encode("utf-8")
        if len(name) > FRAME_LIMIT_BYTES:
            raise MessageError(
                f"grid_frame {self.frame_id!r} has {len(name)} bytes, the downlink takes at most "
                f"{FRAME_LIMIT_BYTES}; use a shorter name"
            )
        places = (self.first_row, self.first_col, self.rows, self.cols)
        return _EXTENT.pack(self.resolution_m, *places, len(name)) + name

    @classmethod
    def from_bytes(cls, data: bytes) -> Extent:
        """Return the extent in a section of type GRID.

        Raises:
            MessageError: it cannot be one.
        """
        if len(data) < _EXTENT.size:
            raise MessageError(f"downlink grid of {len(data)} bytes is cut")
        resolution_m, first_row, first_col, rows, cols, length = _EXTENT.unpack_from(data)
        name = data[_EXTENT.size :]
        if not 1 <= length == len(name) <= FRAME_LIMIT_BYTES:
            raise MessageError(f"downlink grid names a frame of {len(name)} bytes")
        try:
            return cls(resolution_m, first_row, first_col, rows, cols, name.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise MessageError(f"downlink grid names its frame in no UTF-8: {error}") from error


@dataclass
class TileGrid:
    """Symbols of a grid in an array of whole tiles; cells beside the grid are not observed."""

    extent: Extent
    symbols: U8 = field(default_factory=lambda: np.zeros((0, 0), dtype=np.uint8))

    def __post_init__(self) -> None:
        """Start with nothing observed where no symbols are given."""
        if not self.symbols.size:
            rows, cols = self.extent.tile_shape
            self.symbols = np.zeros((rows * TILE, cols * TILE), dtype=np.uint8)

    @classmethod
    def of(cls, snapshot: GridSnapshot) -> TileGrid:
        """Return the symbols of a grid."""
        grid = cls(Extent.of(snapshot))
        grid.symbols[grid.extent.cells] = _SYMBOL_OF_COST[snapshot.cost.view(np.uint8)]
        return grid

    def moved(self, extent: Extent) -> TileGrid:
        """Return what is known within another extent of the same ground."""
        if extent == self.extent:
            return self
        result = TileGrid(extent)
        if self.extent.is_like(extent):
            inside = np.zeros_like(self.symbols)
            inside[self.extent.cells] = self.symbols[self.extent.cells]
            everywhere = moved_tiles(inside, self.extent, extent, side=TILE)
            result.symbols[extent.cells] = everywhere[extent.cells]
        return result

    def cost(self) -> I8:
        """Return the cost (rows, cols) of the grid's cells."""
        cost: I8 = _COST_OF_SYMBOL[self.symbols[self.extent.cells]]
        return cost

    def blocks(self) -> U8:
        """Return the symbols as (tile rows, tile columns, TILE, TILE), a view."""
        rows, cols = self.extent.tile_shape
        blocks: U8 = self.symbols.reshape(rows, TILE, cols, TILE).swapaxes(1, 2)
        return blocks


def moved_tiles(values: NDArray[Any], old: Extent, new: Extent, *, side: int = 1) -> NDArray[Any]:
    """Return values per tile of one extent in the places of another, 0 where there are none.

    Args:
        values: `side` x `side` values per tile of the old extent.
        old: where they lie.
        new: where they shall lie.
        side: values along the side of a tile.
    """
    rows, cols = new.tile_shape
    result = np.zeros((rows * side, cols * side), dtype=values.dtype)
    down, right = (
        (first_old - first_new) * side
        for first_old, first_new in zip(old.first_tile, new.first_tile)
    )
    top, left = max(0, down), max(0, right)
    bottom = min(result.shape[0], values.shape[0] + down)
    last = min(result.shape[1], values.shape[1] + right)
    if top < bottom and left < last:
        part = values[top - down : bottom - down, left - right : last - right]
        result[top:bottom, left:last] = part
    return result


def pack_tiles(grid: TileGrid, places: NDArray[np.int64]) -> bytes:
    """Return the content of a section of type TILES.

    Args:
        grid: the symbols.
        places: (n, 2) rows and columns of tiles, counted from the grid's first tile.
    """
    blocks = grid.blocks()[places[:, 0], places[:, 1]].reshape(len(places), -1)
    content = np.empty((len(places), _TILE_BYTES), dtype=np.uint8)
    content[:, : _PLACE.size] = places.astype("<u2").view(np.uint8).reshape(len(places), -1)
    content[:, _PLACE.size :] = blocks[:, 0::2] << 4 | blocks[:, 1::2]
    return zlib.compress(content.tobytes(), 9)


def unpack_tiles(data: bytes, extent: Extent) -> tuple[NDArray[np.int64], U8]:
    """Return places (n, 2) and symbols (n, TILE, TILE) of a section of type TILES.

    Raises:
        MessageError: it is damaged, too long, or a tile lies outside of the grid.
    """
    content = inflate(data, TILES_LIMIT * _TILE_BYTES)
    if not content or len(content) % _TILE_BYTES:
        raise MessageError(f"downlink tiles have {len(content)} bytes, no multiple of one tile's")
    rows = np.frombuffer(content, dtype=np.uint8).reshape(-1, _TILE_BYTES)
    places = np.ascontiguousarray(rows[:, : _PLACE.size]).view("<u2").astype(np.int64)
    if (places >= np.array(extent.tile_shape)).any():
        raise MessageError(f"a downlink tile lies outside of its grid of {extent.tile_shape} tiles")
    packed = rows[:, _PLACE.size :]
    symbols = np.stack([packed >> 4, packed & 15], axis=-1).reshape(-1, TILE, TILE)
    return places, symbols
