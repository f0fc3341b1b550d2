"""The rolling grid: class evidence per cell, fused over time, that follows the vehicle."""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError, GeometryError
from terrain_seg_ros.core.grid.grid_settings import GridSettings
from terrain_seg_ros.core.grid.scrolling_layers import Cells, ScrollingLayers, Slots
from terrain_seg_ros.core.types import F32, U8, Reason

COST_UNKNOWN = -1
COST_FREE = 0
COST_GRADED_MAX = 98
COST_LETHAL = 100

SCALE_MIN = 1e-6
"""Below this the decay factor is multiplied into the evidence, far from float32's limits."""
SURE_VIEW = 1.0
"""The evidence of one view from nearby with full confidence: the most that one view gives."""
HEIGHT_EVIDENCE_MAX = 3.0
"""Heights are the mean of the latest few views, so that what has changed shows."""
TINY = 1e-12
NEVER_NS = -(2**62)
"""Stands for the stamp of a cell that was never seen."""

I8 = NDArray[np.int8]
Flags = NDArray[np.bool_]


class CellView(NamedTuple):
    """What one view contributes to M cells, each of them listed once.

    `evidence_km` (K, M): the view's class probabilities times its weight, 0 to 1. `hazardous`: the
    cells in which the view shows a hazard. `sample_m`: the distance between neighbouring pixels on
    the ground. `height_m`: of the ground above the grid's `level_m`, None where not measured.
    """

    rows: Cells
    cols: Cells
    evidence_km: F32
    hazardous: Flags | None = None
    sample_m: F32 | None = None
    height_m: F32 | None = None


class RollingGrid:
    """The layers of a square grid whose origin is a whole number of cells.

    Row 0 has the lowest y, column 0 the lowest x. Decay is one common factor, so that an image
    changes only the cells it shows. Besides the evidence the grid holds, for `grid_to_cost`, the
    cost and hazard last computed and which cells have changed since.

    *Fusion.* A cell holds the sums of the views' class probabilities, each times the view's weight;
    P(class) is the class's share. The result does not depend on the order of the views until the
    cap is reached, as long as hazards are not kept.

    *Hazards that are kept.* A lethal cell stays lethal, however little evidence is left, until it
    leaves the grid or new views show it to be safe. Against such views its evidence counts as at
    least one sure view (`SURE_VIEW`), so that more than 1 / threshold - 1 sure views of safe ground
    are needed; with the cap, evidence of ln(1 / threshold) x (max_evidence + 1) is always enough.
    Conversely, a view that shows a hazard reduces the earlier evidence of the cell to one sure
    view, so that old evidence of safe ground cannot outvote a new hazard: at a threshold of 0.5,
    evidence of one sure view in total makes the cell lethal.
    """

    def __init__(self, settings: GridSettings, class_count: int) -> None:
        """Make an empty grid centred on the origin of its frame."""
        if class_count < 1:
            raise ConfigError(f"grid has {class_count} classes, expected 1 or more")
        self.settings = settings
        self.class_count = class_count
        self.side = settings.cells_per_side
        self.scale = 1.0
        self.level_m: float | None = None
        self.rated_by: Hashable = None
        layers = ScrollingLayers(self.side)
        layers.add_layer("evidence", np.float32, 0.0, planes=class_count)
        layers.add_layer("total", np.float32, 0.0)
        layers.add_layer("cost", np.int8, COST_UNKNOWN)
        layers.add_layer("hazard", np.float32, np.nan)
        layers.add_layer("reason", np.uint8, Reason.OUTSIDE_VIEW)
        layers.add_layer("kept", np.bool_, False)
        layers.add_layer("seen_ns", np.int64, NEVER_NS)
        layers.add_layer("sample_m", np.float32, np.nan)
        self._layers = layers
        self._origin_row = self._origin_col = -(self.side // 2)
        self._stamp_ns: int | None = None
        self._place_m: tuple[float, float] | None = None
        self._changed: list[Slots] | None = []

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
        """Return the decayed evidence (rows, cols, K): its sum, shared out by P(class)."""
        evidence_km, _ = self.read(self._every_slot())
        stacked: F32 = np.ascontiguousarray(evidence_km.T).reshape(self.side, self.side, -1)
        stacked *= np.float32(self.scale)
        return stacked

    @property
    def layers(self) -> tuple[F32, I8, F32, U8]:
        """Return views (rows, cols): evidence sum before decay, cost, hazard, reason.

        The reason applies to a cell if its evidence is not enough.
        """
        window = self._layers.window
        return window("total"), window("cost"), window("hazard"), window("reason")

    @property
    def sample_m(self) -> F32:
        """Return a copy of how far pixels lay apart when a cell was last seen, NaN if never."""
        found: F32 = self._layers.window("sample_m").copy()
        return found

    def age_s(self, stamp_ns: int) -> F32:
        """Return the time (rows, cols) since a cell was last seen, NaN where it never was."""
        seen_ns = self._layers.window("seen_ns")
        age_s: F32 = np.subtract(stamp_ns, seen_ns, dtype=np.int64).astype(np.float32)
        age_s *= np.float32(1e-9)
        age_s[seen_ns == NEVER_NS] = np.nan
        return age_s

    @property
    def heights_m(self) -> F32 | None:
        """Return heights (rows, cols) above `level_m`, NaN where none were measured.

        A view of them, None where no view has measured any.
        """
        return self._layers.window("height_m") if "height_m" in self._layers else None

    @property
    def steepness(self) -> F32:
        """Return a view (rows, cols) of P(hazard) by slope and roughness, 0 where unknown."""
        if "steep" not in self._layers:
            self._layers.add_layer("steep", np.float32, 0.0)
        return self._layers.window("steep")

    def move_to(self, x_m: float, y_m: float) -> None:
        """Centre the grid on the cell that holds a point; cells that leave are forgotten.

        Evidence fades with the distance from the point before.

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
        if not self._layers.move(rows, cols) and self._changed:
            self._changed = None

    def decay_to(self, stamp_ns: int) -> None:
        """Let the evidence fade until a stamp; an earlier stamp than the last changes nothing."""
        if self._stamp_ns is None:
            self._stamp_ns = stamp_ns
        elapsed_s = (stamp_ns - self._stamp_ns) * 1e-9
        if elapsed_s <= 0.0:
            return
        self._stamp_ns = stamp_ns
        if self.settings.decay_s > 0.0:
            self._fade(elapsed_s / self.settings.decay_s)

    def rewind(self, stamp_ns: int) -> None:
        """Count time from an earlier stamp again, as the last one was wrong."""
        self._stamp_ns = stamp_ns
        seen_ns = self._layers.whole("seen_ns")
        np.minimum(seen_ns, stamp_ns, out=seen_ns)

    def add(self, view: CellView) -> None:
        """Add what one view says of some cells, at the stamp of the last decay."""
        slots = self._layers.slots(view.rows, view.cols)
        stored, total = self.read(slots)
        if self.settings.keep_hazards:
            self._weigh_older(slots, stored, total, view.hazardous)
        gain = np.float32(1.0 / self.scale)
        weight: F32 = np.add.reduce(view.evidence_km, axis=0)
        stored += view.evidence_km * gain
        weight *= gain
        total += weight
        limit = np.float32(self.settings.max_evidence / self.scale)
        if total.size and total.max() > limit:
            stored *= limit / np.maximum(total, limit)
            np.minimum(total, limit, out=total)
        for buffer, plane in zip(self._layers.flat("evidence"), stored):
            buffer[slots] = plane
        self._put("total", slots, total)
        self._put("seen_ns", slots, 0 if self._stamp_ns is None else self._stamp_ns)
        if view.sample_m is not None:
            self._put("sample_m", slots, view.sample_m)
        if view.height_m is not None:
            self._add_heights(slots, view.height_m, weight)
        if self._changed is not None:
            self._changed.append(slots)

    def set_reason(self, rows: Cells, cols: Cells, reason: Reason) -> None:
        """Set the reason that applies to cells wherever their evidence is not enough."""
        self._put("reason", self._layers.slots(rows, cols), reason)

    def clear(self, reason: Reason) -> None:
        """Forget everything, hazards too, and give every cell the reason."""
        self._layers.blank()
        self._layers.whole("reason")[...] = reason
        self._changed = []
        self._stamp_ns = self._place_m = self.level_m = None
        self.scale = 1.0

    def forget(self, reason: Reason, *, new_time: bool = False) -> None:
        """Forget all but kept hazards; with `new_time` the stamps to come are of another time."""
        if not self.settings.keep_hazards:
            self.clear(reason)
            return
        gone = ~self._layers.whole("kept")
        for name, blank in (("total", 0.0), ("cost", COST_UNKNOWN), ("hazard", np.nan)):
            self._layers.whole(name)[gone] = blank
        for plane in self._layers.whole("evidence"):
            plane[gone] = 0.0
        if "height_weight" in self._layers:
            self._layers.whole("height_weight")[gone] = 0.0
        self._layers.whole("seen_ns")[gone] = NEVER_NS
        self._layers.whole("reason")[gone] = reason
        if new_time:
            self._layers.whole("seen_ns")[...] = NEVER_NS
            self._stamp_ns = None

    def take_changed(self, rated_by: Hashable) -> Slots:
        """Return the slots to rate again: all where the rule is new, else those added to."""
        changed = self._changed
        if changed is None or rated_by != self.rated_by:
            changed = [self._every_slot()]
        self.rated_by, self._changed = rated_by, []
        if len(changed) == 1:
            return changed[0]
        return np.unique(np.concatenate(changed)) if changed else np.empty(0, dtype=np.intp)

    def slots(self, rows: Cells, cols: Cells) -> Slots:
        """Return the slots of cells, good until the grid moves."""
        return self._layers.slots(rows, cols)

    def cells(self, slots: Slots) -> tuple[Slots, Slots]:
        """Return rows and columns of slots."""
        return self._layers.cells(slots)

    def read(self, slots: Slots) -> tuple[F32, F32]:
        """Return copies of the evidence (K, M) and its sum (M,), both before decay, of slots."""
        stored: F32 = np.empty((self.class_count, slots.size), dtype=np.float32)
        for plane, found in zip(self._layers.flat("evidence"), stored):
            np.take(plane, slots, out=found, mode="clip")
        return stored, self._take("total", slots)

    def steepness_of(self, slots: Slots) -> F32 | None:
        """Return P(hazard) by slope and roughness of slots, None where none was ever judged."""
        return self._take("steep", slots) if "steep" in self._layers else None

    def is_kept(self, slots: Slots) -> Flags:
        """Return which slots are remembered as hazards."""
        if not self.settings.keep_hazards:
            return np.zeros(slots.shape, dtype=np.bool_)
        return self._layers.flat("kept").take(slots)

    def rate(self, slots: Slots, cost: I8, hazard: F32) -> None:
        """Store what the evidence of slots means, and remember which are hazards.

        What is not observed stays remembered: only evidence takes a hazard back.
        """
        self._put("cost", slots, cost)
        self._put("hazard", slots, hazard)
        kept = self._layers.flat("kept").take(slots)
        self._put("kept", slots, np.where(cost == COST_UNKNOWN, kept, cost == COST_LETHAL))

    def expire(self, min_evidence: float) -> None:
        """Call cells stale whose evidence has decayed below a minimum; kept hazards stay."""
        total, cost, hazard, reason = self.layers
        expired = (total < min_evidence / self.scale) & (cost != COST_UNKNOWN)
        if self.settings.keep_hazards:
            expired &= cost != COST_LETHAL
        if expired.any():
            cost[expired] = COST_UNKNOWN
            hazard[expired] = np.nan
            reason[expired] = Reason.STALE

    def _every_slot(self) -> Slots:
        index = np.arange(self.side, dtype=np.intp)
        return self._layers.slots(index[:, np.newaxis], index).ravel()

    def _take(self, name: str, slots: Slots) -> F32:
        found: F32 = self._layers.flat(name).take(slots)
        return found

    def _put(self, name: str, slots: Slots, values: object) -> None:
        self._layers.flat(name)[slots] = values

    def _weigh_older(self, slots: Slots, stored: F32, total: F32, hazardous: Flags | None) -> None:
        """Raise what remembered hazards hold, and cut what speaks against fresh ones."""
        sure = np.float32(min(SURE_VIEW, self.settings.max_evidence) / self.scale)
        kept = self.is_kept(slots)
        change = kept & (total < sure) & (total > 0.0)
        if hazardous is not None:
            change |= hazardous & ~kept & (total > sure)
        some = np.flatnonzero(change)
        if some.size:
            stored[:, some] *= sure / total[some]
            total[some] = sure

    def _add_heights(self, slots: Slots, height_m: F32, weight: F32) -> None:
        """Take new heights into the running mean of each slot; weights are before decay."""
        if "height_m" not in self._layers:
            self._layers.add_layer("height_m", np.float32, np.nan)
            self._layers.add_layer("height_weight", np.float32, 0.0)
        known = np.isfinite(height_m)
        slots, height_m, weight = slots[known], height_m[known], weight[known]
        older_m, older = self._take("height_m", slots), self._take("height_weight", slots)
        older_m = np.where(older > 0.0, older_m, height_m)
        together = older + np.maximum(weight, np.float32(TINY))
        older_m += (height_m - older_m) * (1.0 - older / together)
        self._put("height_m", slots, older_m)
        limit = np.float32(HEIGHT_EVIDENCE_MAX / self.scale)
        self._put("height_weight", slots, np.minimum(together, limit))

    def _fade(self, time_constants: float) -> None:
        self.scale *= math.exp(-time_constants)
        if self.scale < SCALE_MIN:
            self._fold_scale()

    def _fold_scale(self) -> None:
        """Multiply the common factor into the evidence; of remembered hazards a trace stays."""
        whole = self._layers.whole
        total, kept = whole("total"), whole("kept")
        factor: F32 = np.full(total.shape, np.float32(self.scale))
        if self.settings.keep_hazards:
            faded = kept & (total > 0.0)
            factor[faded] = np.maximum(
                factor[faded], np.minimum(np.float32(SCALE_MIN) / total[faded], np.float32(1.0))
            )
        whole("evidence")[...] *= factor
        total *= factor
        if "height_weight" in self._layers:
            whole("height_weight")[...] *= np.float32(self.scale)
        gone = total < TINY
        total[gone] = 0.0
        for plane in whole("evidence"):
            plane[gone] = 0.0
        self.scale = 1.0
