"""Square layers of cells that scroll over the ground without resampling."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

MARGIN_CELLS = 64
"""Distance that the layers can move inside their buffers before they are copied."""

Cells = NDArray[np.int32] | NDArray[np.intp]
Slots = NDArray[np.intp]


class ScrollingLayers:
    """Named layers (side, side), each the same window of a larger buffer.

    To move, the window slides and the cells that enter are blanked, so that no value is ever
    resampled; at the edge of the buffer the window is copied back to the centre. A slot is the
    index of a cell in the flat buffers; it is valid until the next move.
    """

    def __init__(self, side: int) -> None:
        """Start without layers."""
        self.side = side
        self._buffer_side = side + 2 * MARGIN_CELLS
        self._buffers: dict[str, NDArray[Any]] = {}
        self._blanks: dict[str, float] = {}
        self._row0 = self._col0 = MARGIN_CELLS

    def add_layer(self, name: str, dtype: DTypeLike, blank: float, *, planes: int = 0) -> None:
        """Add a layer that is blank everywhere; `planes` of them under one name if not 0."""
        shape: tuple[int, ...] = (self._buffer_side, self._buffer_side)
        shape = (planes, *shape) if planes else shape
        self._buffers[name] = np.full(shape, blank, dtype=dtype)
        self._blanks[name] = blank

    def __contains__(self, name: str) -> bool:
        """Return whether there is a layer of this name."""
        return name in self._buffers

    @property
    def corner(self) -> tuple[int, int]:
        """Return row and column of the window's first cell in the buffers."""
        return self._row0, self._col0

    def flat(self, name: str) -> NDArray[Any]:
        """Return a layer's whole buffer (N,), or (planes, N), to be indexed by slots."""
        buffer = self._buffers[name]
        return buffer.reshape(*buffer.shape[:-2], -1)

    def whole(self, name: str) -> NDArray[Any]:
        """Return a layer's whole buffer, including cells outside the window."""
        return self._buffers[name]

    def window(self, name: str) -> NDArray[Any]:
        """Return a view of a layer (side, side), or (planes, side, side)."""
        rows = slice(self._row0, self._row0 + self.side)
        return self._buffers[name][..., rows, self._col0 : self._col0 + self.side]

    def slots(self, rows: Cells, cols: Cells) -> Slots:
        """Return the slots of cells."""
        first = self._row0 * self._buffer_side + self._col0
        return np.asarray(rows, dtype=np.intp) * self._buffer_side + (cols + first)

    def cells(self, slots: Slots) -> tuple[Slots, Slots]:
        """Return rows and columns of slots."""
        rows, cols = np.divmod(slots, self._buffer_side)
        return rows - self._row0, cols - self._col0

    def every_slot(self) -> Slots:
        """Return the slots (side * side,) of all cells, row by row."""
        index = np.arange(self.side, dtype=np.intp)
        return self.slots(index[:, np.newaxis], index).ravel()

    def take(self, name: str, slots: Slots) -> NDArray[Any]:
        """Return copies of a layer's values at slots."""
        return self.flat(name).take(slots)

    def put(self, name: str, slots: Slots, values: object) -> None:
        """Store values of a layer at slots."""
        self.flat(name)[slots] = values

    def move(self, rows: int, cols: int) -> bool:
        """Move the window by cells; return whether earlier slots are still valid."""
        if max(abs(rows), abs(cols)) >= self.side:
            self.blank()
            self._row0 = self._col0 = MARGIN_CELLS
            return False
        holds = True
        while rows or cols:
            step_rows = max(-MARGIN_CELLS, min(MARGIN_CELLS, rows))
            step_cols = max(-MARGIN_CELLS, min(MARGIN_CELLS, cols))
            holds &= self._step(step_rows, step_cols)
            rows -= step_rows
            cols -= step_cols
        return holds

    def blank(self) -> None:
        """Blank every cell of every layer."""
        for name, buffer in self._buffers.items():
            buffer[...] = self._blanks[name]

    def _step(self, rows: int, cols: int) -> bool:
        """Move by at most the margin, which a centred window always permits."""
        row0, col0 = self._row0 + rows, self._col0 + cols
        last = self._buffer_side - self.side
        holds = 0 <= row0 <= last and 0 <= col0 <= last
        if not holds:
            self._recentre()
            row0, col0 = self._row0 + rows, self._col0 + cols
        self._row0, self._col0 = row0, col0
        if rows:
            start = row0 + self.side - rows if rows > 0 else row0
            self._blank(slice(start, start + abs(rows)), slice(col0, col0 + self.side))
        if cols:
            start = col0 + self.side - cols if cols > 0 else col0
            self._blank(slice(row0, row0 + self.side), slice(start, start + abs(cols)))
        return holds

    def _blank(self, rows: slice, cols: slice) -> None:
        for name, buffer in self._buffers.items():
            buffer[..., rows, cols] = self._blanks[name]

    def _recentre(self) -> None:
        inner = slice(MARGIN_CELLS, MARGIN_CELLS + self.side)
        for name, buffer in self._buffers.items():
            for plane, window in zip(
                buffer.reshape(-1, *buffer.shape[-2:]),
                self.window(name).reshape(-1, self.side, self.side),
            ):
                plane[inner, inner] = window.copy()
        self._row0 = self._col0 = MARGIN_CELLS
