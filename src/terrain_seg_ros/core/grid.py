"""The rolling grid: class evidence per cell, fused over time, that follows the vehicle."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError, GeometryError
from terrain_seg_ros.core.types import F32, U8, Reason

COST_UNKNOWN = -1
COST_FREE = 0
COST_GRADED_MAX = 98
COST_LETHAL = 100

MAX_CELLS_PER_SIDE = 2000
"""Keeps the evidence of eight classes within 150 MB."""
MARGIN_CELLS = 64
"""How far the grid moves inside its buffers before they are copied."""
SCALE_MIN = 1e-6
"""Below this the decay factor is multiplied into the evidence, far from float32's limits."""

Cells = NDArray[np.int32] | NDArray[np.intp]
I8 = NDArray[np.int8]
Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True)
class GridSettings:
    """Hold the shape of the grid and the rules of fusing.

    The evidence of one view of a cell is at most 1: its confidence, halved at
    `half_weight_range_m` from the camera. Evidence decays with the time constant `decay_s`
    (0: never) and its sum is capped at `max_evidence`. `min_hazard_share` is the share of a
    cell's pixels that must be hazardous for the view to speak of these alone (see
    `ground_to_grid`).
    """

    frame_id: str
    resolution_m: float
    size_m: float
    decay_s: float
    max_evidence: float
    min_hazard_share: float
    half_weight_range_m: float

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not self.frame_id:
            raise ConfigError("grid frame_id is empty, expected a fixed frame such as 'odom'")
        for name, low in (("resolution_m", 1e-3), ("size_m", 1e-3), ("decay_s", 0.0)):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= low):
                raise ConfigError(f"grid {name} is {value}, expected {low} or more")
        for name in ("max_evidence", "half_weight_range_m"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0.0):
                raise ConfigError(f"grid {name} is {value}, expected more than 0")
        if not 0.0 < self.min_hazard_share <= 1.0:
            raise ConfigError(
                f"grid min_hazard_share is {self.min_hazard_share}, expected more than 0, at most 1"
            )
        cells = self.size_m / self.resolution_m
        if abs(cells - round(cells)) > 1e-6 * cells or not 1 <= round(cells) <= MAX_CELLS_PER_SIDE:
            raise ConfigError(
                f"grid size_m {self.size_m} over resolution_m {self.resolution_m} is {cells} "
                f"cells, expected a whole number from 1 to {MAX_CELLS_PER_SIDE}"
            )

    @property
    def cells_per_side(self) -> int:
        """Return the number of rows, which is that of columns."""
        return round(self.size_m / self.resolution_m)


class RollingGrid:
    """Hold the layers of a square grid whose origin is a whole number of cells.

    Row 0 is the lowest y, column 0 the lowest x. The layers are windows of larger buffers: to
    move, the window slides and the cells that enter are blanked, so no value is ever resampled.
    Decay is one common factor, so a frame touches only the cells it saw. Besides the evidence
    the grid carries, for `grid_to_cost`, the cost and hazard last computed, and which cells
    changed since.
    """

    def __init__(self, settings: GridSettings, class_count: int) -> None:
        """Make an empty grid centred on the origin of its frame."""
        if class_count < 1:
            raise ConfigError(f"grid has {class_count} classes, expected 1 or more")
        self.settings = settings
        self.class_count = class_count
        self.side = settings.cells_per_side
        self.scale = 1.0
        self.rated_by: Hashable = None
        self._buffer_side = self.side + 2 * MARGIN_CELLS
        shape = (self._buffer_side, self._buffer_side)
        self._evidence: F32 = np.zeros((class_count, *shape), dtype=np.float32)
        self._total: F32 = np.zeros(shape, dtype=np.float32)
        self._cost: I8 = np.empty(shape, dtype=np.int8)
        self._hazard: F32 = np.empty(shape, dtype=np.float32)
        self._excuse: U8 = np.empty(shape, dtype=np.uint8)
        self._row0 = self._col0 = MARGIN_CELLS
        self._origin_row = self._origin_col = -(self.side // 2)
        self._stamp_ns: int | None = None
        self._changed: list[NDArray[np.intp]] | None = []
        self.clear(Reason.OUTSIDE_VIEW)

    @property
    def origin_x_m(self) -> float:
        """Return the x of the corner of cell (0, 0), a multiple of the resolution."""
        return self._origin_col * self.settings.resolution_m

    @property
    def origin_y_m(self) -> float:
        """Return the y of the corner of cell (0, 0), a multiple of the resolution."""
        return self._origin_row * self.settings.resolution_m

    @property
    def evidence(self) -> F32:
        """Return a copy of the decayed evidence per class (rows, cols, K)."""
        planes = [self._window(plane) for plane in self._evidence]
        stacked: F32 = np.stack(planes, axis=-1)
        stacked *= np.float32(self.scale)
        return stacked

    @property
    def layers(self) -> tuple[F32, I8, F32, U8]:
        """Return views (rows, cols): evidence sum before decay, cost, hazard, excuse.

        The excuse says why a cell would be called not observed, if its evidence is not enough.
        """
        return (
            self._window(self._total),
            self._window(self._cost),
            self._window(self._hazard),
            self._window(self._excuse),
        )

    def move_to(self, x_m: float, y_m: float) -> None:
        """Centre the grid on the cell that holds a point; cells that leave are forgotten.

        Raises:
            GeometryError: the point is not finite.
        """
        if not (math.isfinite(x_m) and math.isfinite(y_m)):
            raise GeometryError(f"grid cannot move to ({x_m}, {y_m}); check the vehicle's pose")
        resolution_m, half = self.settings.resolution_m, self.side // 2
        rows = math.floor(y_m / resolution_m) - half - self._origin_row
        cols = math.floor(x_m / resolution_m) - half - self._origin_col
        if rows == 0 and cols == 0:
            return
        self._origin_row += rows
        self._origin_col += cols
        if max(abs(rows), abs(cols)) >= self.side:
            self._row0 = self._col0 = MARGIN_CELLS
            self._blank(slice(None), slice(None), Reason.OUTSIDE_VIEW)
            self._changed = []
            return
        while rows or cols:
            step_rows = max(-MARGIN_CELLS, min(MARGIN_CELLS, rows))
            step_cols = max(-MARGIN_CELLS, min(MARGIN_CELLS, cols))
            self._step(step_rows, step_cols)
            rows -= step_rows
            cols -= step_cols

    def decay_to(self, stamp_ns: int) -> None:
        """Let the evidence fade until a stamp; an earlier stamp than the last changes nothing."""
        if self._stamp_ns is None:
            self._stamp_ns = stamp_ns
        elapsed_s = (stamp_ns - self._stamp_ns) * 1e-9
        if elapsed_s <= 0.0:
            return
        self._stamp_ns = stamp_ns
        if self.settings.decay_s > 0.0:
            self.scale *= math.exp(-elapsed_s / self.settings.decay_s)
        if self.scale < SCALE_MIN:
            self._evidence *= np.float32(self.scale)
            self._total *= np.float32(self.scale)
            self.scale = 1.0

    def add(self, rows: Cells, cols: Cells, evidence_km: F32) -> None:
        """Add one view's evidence (K, M) to M cells, none of them named twice."""
        slots = self._slots(rows, cols)
        stored, total = self.read(slots)
        added = evidence_km * np.float32(1.0 / self.scale)
        stored += added
        total += np.add.reduce(added, axis=0)
        limit = np.float32(self.settings.max_evidence / self.scale)
        if total.size and total.max() > limit:
            stored *= limit / np.maximum(total, limit)
            np.minimum(total, limit, out=total)
        for buffer, plane in zip(self._evidence, stored):
            buffer.reshape(-1)[slots] = plane
        self._total.reshape(-1)[slots] = total
        if self._changed is not None:
            self._changed.append(slots)

    def excuse(self, rows: Cells, cols: Cells, reason: Reason) -> None:
        """Say why cells are not observed, wherever their evidence is not enough."""
        self._excuse.reshape(-1)[self._slots(rows, cols)] = reason

    def clear(self, reason: Reason) -> None:
        """Forget everything and give every cell the reason."""
        self._blank(slice(None), slice(None), reason)
        self._changed = []
        self._stamp_ns = None
        self.scale = 1.0

    def take_changed(self, rated_by: Hashable) -> NDArray[np.intp]:
        """Return the slots to rate again: all where the rule is new, else those added to."""
        changed = self._changed
        if changed is None or rated_by != self.rated_by:
            index = np.arange(self.side, dtype=np.intp)
            changed = [self._slots(index[:, np.newaxis], index).ravel()]
        self.rated_by, self._changed = rated_by, []
        if len(changed) == 1:
            return changed[0]
        return np.unique(np.concatenate(changed)) if changed else np.empty(0, dtype=np.intp)

    def read(self, slots: NDArray[np.intp]) -> tuple[F32, F32]:
        """Return copies of the evidence (K, M) and its sum (M,), both before decay, of slots."""
        evidence: F32 = np.empty((self.class_count, slots.size), dtype=np.float32)
        for plane, found in zip(self._evidence, evidence):
            np.take(plane.reshape(-1), slots, out=found, mode="clip")
        return evidence, self._total.reshape(-1).take(slots)

    def rate(self, slots: NDArray[np.intp], cost: I8, hazard: F32) -> None:
        """Store what the evidence of slots means."""
        self._cost.reshape(-1)[slots] = cost
        self._hazard.reshape(-1)[slots] = hazard

    def _slots(self, rows: Cells, cols: Cells) -> NDArray[np.intp]:
        first = self._row0 * self._buffer_side + self._col0
        return np.asarray(rows, dtype=np.intp) * self._buffer_side + (cols + first)

    def _window(self, buffer: NDArray[Scalar]) -> NDArray[Scalar]:
        rows = slice(self._row0, self._row0 + self.side)
        return buffer[rows, self._col0 : self._col0 + self.side]

    def _blank(self, rows: slice, cols: slice, reason: Reason) -> None:
        self._evidence[:, rows, cols] = 0.0
        self._total[rows, cols] = 0.0
        self._cost[rows, cols] = COST_UNKNOWN
        self._hazard[rows, cols] = np.nan
        self._excuse[rows, cols] = reason

    def _step(self, rows: int, cols: int) -> None:
        """Move by at most the margin, which a centred window always has room for."""
        row0, col0 = self._row0 + rows, self._col0 + cols
        last = self._buffer_side - self.side
        if not (0 <= row0 <= last and 0 <= col0 <= last):
            self._recentre()
            row0, col0 = self._row0 + rows, self._col0 + cols
        self._slide(row0, col0, rows, cols)

    def _slide(self, row0: int, col0: int, rows: int, cols: int) -> None:
        self._row0, self._col0 = row0, col0
        window_rows = slice(row0, row0 + self.side)
        window_cols = slice(col0, col0 + self.side)
        if rows:
            start = row0 + self.side - rows if rows > 0 else row0
            entering = slice(start, start + abs(rows))
            self._blank(entering, window_cols, Reason.OUTSIDE_VIEW)
        if cols:
            start = col0 + self.side - cols if cols > 0 else col0
            entering = slice(start, start + abs(cols))
            self._blank(window_rows, entering, Reason.OUTSIDE_VIEW)

    def _recentre(self) -> None:
        for plane in self._evidence:
            self._centre(plane)
        self._centre(self._total)
        self._centre(self._cost)
        self._centre(self._hazard)
        self._centre(self._excuse)
        self._row0 = self._col0 = MARGIN_CELLS
        if self._changed:
            self._changed = None

    def _centre(self, buffer: NDArray[Scalar]) -> None:
        inner = slice(MARGIN_CELLS, MARGIN_CELLS + self.side)
        buffer[inner, inner] = self._window(buffer).copy()
