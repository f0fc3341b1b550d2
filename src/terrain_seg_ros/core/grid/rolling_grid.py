"""The rolling grid: class evidence per cell, fused over time, that follows the vehicle."""

from __future__ import annotations

import math

from terrain_seg_ros.core.errors import ConfigError, GeometryError
from terrain_seg_ros.core.grid.cell_evidence import CellEvidence, CellView
from terrain_seg_ros.core.grid.cell_heights import CellHeights
from terrain_seg_ros.core.grid.cell_ratings import CellRatings
from terrain_seg_ros.core.grid.grid_settings import GridSettings
from terrain_seg_ros.core.grid.scrolling_layers import Cells, ScrollingLayers, Slots
from terrain_seg_ros.core.types import U8, Reason


class RollingGrid:
    """A square grid that moves by whole cells and stays centred on the vehicle.

    Row 0 is the lowest y, column 0 the lowest x. The layers of a cell are grouped: `evidence` sums
    the contributions of views, `heights` are measurements of the ground's shape, and `ratings` are
    computed from both by `grid_to_cost`. All are `layers`.

    *Kept hazards.* With `keep_hazards`, a cell that was rated lethal stays lethal, however much
    its evidence decays, until it leaves the grid or new views contradict it. Against such views
    its evidence counts as at least one sure view (`SURE_VIEW`), so that more than
    1 / threshold - 1 sure views are needed; with the cap, evidence of
    ln(1 / threshold) x (max_evidence + 1) is always enough. Conversely, a view in which a cell is
    hazardous reduces the cell's older evidence to one sure view, so that stale safe evidence cannot
    outvote a new hazard: evidence of one sure view in total makes a cell lethal at a threshold of
    0.5.
    """

    def __init__(self, settings: GridSettings, class_count: int) -> None:
        """Create an empty grid centred on the origin of its frame."""
        if class_count < 1:
            raise ConfigError(f"grid has {class_count} classes, expected 1 or more")
        self.settings = settings
        self.class_count = class_count
        self.side = settings.cells_per_side
        self.layers = ScrollingLayers(self.side)
        self.evidence = CellEvidence(self.layers, class_count)
        self.heights = CellHeights(self.layers)
        self.ratings = CellRatings(self.layers)
        self._origin_row = self._origin_col = -(self.side // 2)
        self._stamp_ns: int | None = None
        self._place_m: tuple[float, float] | None = None
        self._withdrawn_for: Reason | None = None

    @property
    def origin_x_m(self) -> float:
        """Return the x of the corner of cell (0, 0), a multiple of the resolution."""
        return self._origin_col * self.settings.resolution_m

    @property
    def origin_y_m(self) -> float:
        """Return the y of the corner of cell (0, 0), a multiple of the resolution."""
        return self._origin_row * self.settings.resolution_m

    def move_to(self, x_m: float, y_m: float) -> None:
        """Centre the grid on the cell that contains a point; cells that leave it are discarded.

        Evidence decays with the distance from the previous point.

        Raises:
            GeometryError: the point is not finite.
        """
        if not (math.isfinite(x_m) and math.isfinite(y_m)):
            raise GeometryError(f"grid cannot move to ({x_m}, {y_m}); check the vehicle's pose")
        if self._place_m is not None and self.settings.decay_m > 0.0:
            travelled_m = math.hypot(x_m - self._place_m[0], y_m - self._place_m[1])
            self._fade(travelled_m / self.settings.decay_m)
        self._place_m = (x_m, y_m)
        resolution_m, half = self.settings.resolution_m, self.side // 2
        rows = math.floor(y_m / resolution_m) - half - self._origin_row
        cols = math.floor(x_m / resolution_m) - half - self._origin_col
        if rows == 0 and cols == 0:
            return
        self._origin_row += rows
        self._origin_col += cols
        if not self.layers.move(rows, cols):
            self.ratings.mark_moved()

    def decay_to(self, stamp_ns: int) -> None:
        """Let the evidence decay until a stamp; a stamp before the last one changes nothing."""
        if self._stamp_ns is None:
            self._stamp_ns = stamp_ns
        elapsed_s = (stamp_ns - self._stamp_ns) * 1e-9
        if elapsed_s <= 0.0:
            return
        self._stamp_ns = stamp_ns
        if self.settings.decay_s > 0.0:
            self._fade(elapsed_s / self.settings.decay_s)

    def rewind(self, stamp_ns: int) -> None:
        """Continue from an earlier stamp, because the last one was wrong."""
        self._stamp_ns = stamp_ns
        self.evidence.limit_stamps(stamp_ns)

    def add(self, view: CellView) -> None:
        """Add the evidence of one view, at the stamp of the last decay."""
        self._resume()
        slots = self.slots(view.rows, view.cols)
        weight = self.evidence.add(
            slots,
            view,
            max_evidence=self.settings.max_evidence,
            stamp_ns=0 if self._stamp_ns is None else self._stamp_ns,
            kept=self.layers.take("kept", slots) if self.settings.keep_hazards else None,
        )
        if view.height_m is not None:
            self.heights.add(
                slots, view.height_m, weight,
                scale=self.evidence.scale, sigma_m=view.height_sigma_m,
            )  # fmt: skip
        self.ratings.mark_changed(slots)

    def set_reason(self, rows: Cells, cols: Cells, codes: U8) -> None:
        """Record why cells are not observed; it applies where their evidence is too small."""
        self._resume()
        self.layers.put("reason", self.slots(rows, cols), codes)

    def clear(self, reason: Reason) -> None:
        """Discard everything, including hazards, and set the reason of every cell."""
        self.layers.blank()
        self.ratings.clear(reason)
        self._withdrawn_for = reason
        self._stamp_ns = self._place_m = self.heights.level_m = None
        self.evidence.scale = 1.0

    def forget(self, reason: Reason, *, new_time: bool = False) -> None:
        """Discard all but kept hazards; with `new_time`, later stamps use another time base."""
        if not self.settings.keep_hazards:
            self.clear(reason)
            return
        gone = ~self.ratings.kept
        self.evidence.forget(gone)
        self.heights.forget(gone)
        self.ratings.forget(gone, reason)
        self._withdrawn_for = reason
        if new_time:
            self.evidence.forget_stamps()
            self._stamp_ns = None

    def slots(self, rows: Cells, cols: Cells) -> Slots:
        """Return the slots of cells, valid until the grid moves."""
        return self.layers.slots(rows, cols)

    def cells(self, slots: Slots) -> tuple[Slots, Slots]:
        """Return rows and columns of slots."""
        return self.layers.cells(slots)

    def _resume(self) -> None:
        """Say of the cells that were withdrawn only that no view since then has covered them."""
        if self._withdrawn_for is not None:
            self.ratings.replace_reason(self._withdrawn_for, Reason.OUTSIDE_VIEW)
            self._withdrawn_for = None

    def _fade(self, time_constants: float) -> None:
        kept = self.ratings.kept if self.settings.keep_hazards else None
        factor = self.evidence.fade(time_constants, kept=kept)
        if factor != 1.0:
            self.heights.multiply_weights(factor)
