"""A map of a whole drive, put together from rolling grids; its memory is bounded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.grid.costs import COST_UNKNOWN, I8
from terrain_seg_ros.core.types import F64, U8, Reason
from terrain_seg_ros.messages.grid_message import GridValues

TILE_CELLS = 256
TILE_LIMIT = 512
"""Tiles of a map, 131 kB each: 34 million cells."""
SIDE_LIMIT_CELLS = 1536
"""A larger map is shown with several cells in one, as costly as the worst of them."""
MARGIN_CELLS = 10


class _Tile:
    """A square part of the map."""

    def __init__(self) -> None:
        self.cost: I8 = np.full((TILE_CELLS, TILE_CELLS), COST_UNKNOWN, dtype=np.int8)
        self.reason: U8 = np.full((TILE_CELLS, TILE_CELLS), Reason.OUTSIDE_VIEW, dtype=np.uint8)


@dataclass(frozen=True)
class MapCut:
    """A square part of the map.

    `cost` and `reason` are (side, side), row 0 the lowest y; `origin_m` is x and y of the corner
    of cell (0, 0), `cell_m` the side of a cell.
    """

    cost: I8
    reason: U8
    origin_m: tuple[float, float]
    cell_m: float

    def row_col(self, places_m: F64) -> F64:
        """Return positions x, y (N, 2) in metres as row and column (N, 2)."""
        cells: F64 = (places_m - np.array(self.origin_m)) / self.cell_m
        return cells[:, ::-1]


class MapCanvas:
    """Every cell as it was last observed, over any number of rolling grids of one resolution."""

    def __init__(self) -> None:
        """Start with an empty map."""
        self.cell_m = 0.0
        self.is_full = False
        """Whether ground was left out, as the map has `TILE_LIMIT` tiles."""
        self._tiles: dict[tuple[int, int], _Tile] = {}

    def paste(self, grid: GridValues, reason: GridValues | None) -> None:
        """Put a grid onto the map; cells that it does not know keep what is known of them.

        Args:
            grid: costs as of `hazard_grid`.
            reason: why its cells are not observed; None where that is not known.
        """
        if not self.cell_m:
            self.cell_m = grid.resolution_m
        if abs(grid.resolution_m - self.cell_m) > 1e-6 * self.cell_m:
            return
        row = round(grid.origin_y_m / self.cell_m)
        col = round(grid.origin_x_m / self.cell_m)
        same = reason is not None and reason.values.shape == grid.values.shape
        why = reason.values if reason is not None and same else np.zeros_like(grid.values)
        for key, inside, part in _parts(row, col, grid.values.shape):
            known = grid.values[part] != COST_UNKNOWN
            told = (why[part] != Reason.OUTSIDE_VIEW) & (why[part] != Reason.OBSERVED)
            if not (known.any() or told.any()):
                continue
            tile = self._tile(key)
            if tile is not None:
                np.copyto(tile.cost[inside], grid.values[part], where=known)
                np.copyto(tile.reason[inside], why[part].astype(np.uint8), where=told)

    def cut(self, places_m: F64) -> MapCut | None:
        """Return the square with all observed cells and these places; None of an empty map.

        Args:
            places_m: positions x, y (N, 2) of the vehicle in metres, at least one.
        """
        if not self.cell_m:
            return None
        corners = [np.floor(places_m[:, ::-1] / self.cell_m).astype(np.int64)]
        for (tile_row, tile_col), tile in self._tiles.items():
            rows, cols = np.nonzero(tile.cost != COST_UNKNOWN)
            if rows.size:
                low = np.array([tile_row, tile_col]) * TILE_CELLS
                corners.append(low + np.array([[rows.min(), cols.min()], [rows.max(), cols.max()]]))
        cells = np.concatenate(corners)
        low, high = cells.min(axis=0) - MARGIN_CELLS, cells.max(axis=0) + MARGIN_CELLS + 1
        side = int((high - low).max())
        step = 1
        while side > SIDE_LIMIT_CELLS * step and step < TILE_CELLS:
            step *= 2
        middle = (low + high) // 2
        count = -(-side // step) + 1
        first = ((middle - side // 2) // step) * step
        return self._composed(int(first[0]), int(first[1]), count=count, step=step)

    def _composed(self, row: int, col: int, *, count: int, step: int) -> MapCut:
        cost: I8 = np.full((count, count), COST_UNKNOWN, dtype=np.int8)
        reason: U8 = np.full((count, count), Reason.OUTSIDE_VIEW, dtype=np.uint8)
        for key, inside, part in _parts(row // step, col // step, cost.shape, TILE_CELLS // step):
            tile = self._tiles.get(key)
            if tile is not None:
                cost[part] = _worst(tile.cost, step)[inside]
                reason[part] = tile.reason[::step, ::step][inside]
        origin_m = (col * self.cell_m, row * self.cell_m)
        return MapCut(cost, reason, origin_m, self.cell_m * step)

    def _tile(self, key: tuple[int, int]) -> _Tile | None:
        tile = self._tiles.get(key)
        if tile is None and len(self._tiles) >= TILE_LIMIT:
            self.is_full = True
        elif tile is None:
            tile = self._tiles[key] = _Tile()
        return tile


Slices = tuple[slice, slice]


def _parts(
    row: int, col: int, shape: tuple[int, ...], tile: int = TILE_CELLS
) -> Iterator[tuple[tuple[int, int], Slices, Slices]]:
    """Yield each tile that a rectangle of cells touches: its key, where in it, where in these."""
    rows, cols = shape
    for tile_row in range(row // tile, (row + rows - 1) // tile + 1):
        for tile_col in range(col // tile, (col + cols - 1) // tile + 1):
            top, bottom = max(row, tile_row * tile), min(row + rows, (tile_row + 1) * tile)
            left, right = max(col, tile_col * tile), min(col + cols, (tile_col + 1) * tile)
            inside = _slices(top, bottom, left, right, tile_row * tile, tile_col * tile)
            yield (tile_row, tile_col), inside, _slices(top, bottom, left, right, row, col)


def _slices(top: int, bottom: int, left: int, right: int, row: int, col: int) -> Slices:
    return slice(top - row, bottom - row), slice(left - col, right - col)


def _worst(cost: I8, step: int) -> I8:
    """Return the highest cost of each square of cells; unknown is the lowest."""
    side = cost.shape[0] // step
    squares: NDArray[np.int8] = cost.reshape(side, step, side, step)
    worst: I8 = squares.max(axis=(1, 3))
    return worst
