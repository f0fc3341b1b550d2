"""Class evidence per cell: sums over views, decayed by one factor common to all cells."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.grid.scrolling_layers import Cells, ScrollingLayers, Slots
from terrain_seg_ros.core.kernel import kernel
from terrain_seg_ros.core.types import F32

SCALE_MIN = 1e-6
"""Below this the decay factor is folded into the evidence, far from the limits of float32."""
SURE_VIEW = 1.0
"""The evidence of one view from nearby with full confidence, the largest of a single view."""
TINY = 1e-12
NEVER_NS = -(2**62)
"""The stamp of a cell that was never seen."""

Flags = NDArray[np.bool_]


class CellView(NamedTuple):
    """The evidence that one view contributes to M cells, each listed once.

    `evidence_km` (K, M) is the view's class probabilities times its weight, 0 to 1. `hazardous`
    marks the cells that are a hazard according to the view. `sample_m` is the distance between its
    pixels on the ground; `height_m` the height of the ground above `CellHeights.level_m`, None if
    it was not measured; `height_sigma_m` its standard deviation, None if it is not known.
    """

    rows: Cells
    cols: Cells
    evidence_km: F32
    hazardous: Flags | None = None
    sample_m: F32 | None = None
    height_m: F32 | None = None
    height_sigma_m: F32 | None = None


class CellEvidence:
    """The evidence layers of a rolling grid.

    A cell holds the sums of the views' class probabilities, each times the view's weight; P(class)
    is the class's share. The sums are stored before decay: `scale` times a stored value is the
    current value, so that a view changes only the cells it observed. The order of views does not
    matter until the cap is reached, provided that hazards are not kept.
    """

    def __init__(self, layers: ScrollingLayers, class_count: int) -> None:
        """Add the evidence layers, all empty."""
        layers.add_layer("evidence", np.float32, 0.0, planes=class_count)
        layers.add_layer("total", np.float32, 0.0)
        layers.add_layer("seen_ns", np.int64, NEVER_NS)
        layers.add_layer("sample_m", np.float32, np.nan)
        self.class_count = class_count
        self.scale = 1.0
        self._layers = layers

    @property
    def stored(self) -> F32:
        """Return a view (K, rows, cols) of the evidence, before decay."""
        return self._layers.window("evidence")

    @property
    def total(self) -> F32:
        """Return a view (rows, cols) of the evidence summed over classes, before decay."""
        return self._layers.window("total")

    @property
    def sample_m(self) -> F32:
        """Return a copy of the pixel spacing when a cell was last seen, NaN if it never was."""
        found: F32 = self._layers.window("sample_m").copy()
        return found

    def age_s(self, stamp_ns: int) -> F32:
        """Return the time (rows, cols) since a cell was last seen, NaN where it never was."""
        seen_ns = self._layers.window("seen_ns")
        age_s: F32 = np.subtract(stamp_ns, seen_ns, dtype=np.int64).astype(np.float32)
        age_s *= np.float32(1e-9)
        age_s[seen_ns == NEVER_NS] = np.nan
        return age_s

    def add(
        self,
        slots: Slots,
        view: CellView,
        *,
        max_evidence: float,
        stamp_ns: int,
        kept: Flags | None,
    ) -> F32:
        """Add one view and return its weight (M,) before decay.

        Args:
            slots: the slots of the view's cells.
            view: the view's evidence.
            max_evidence: cap of a cell's sum, after decay.
            stamp_ns: the stamp of the view.
            kept: (M,) cells that are remembered as hazards; None if hazards are not kept.
        """
        weight: F32 = np.add.reduce(view.evidence_km, axis=0)
        nothing = np.empty(0, dtype=np.bool_)
        _add_view(
            self._layers.flat("evidence"),
            self._layers.flat("total"),
            slots,
            view.evidence_km,
            nothing if kept is None else kept,
            nothing if view.hazardous is None else view.hazardous,
            min(SURE_VIEW, max_evidence),
            max_evidence,
            self.scale,
        )
        self._layers.put("seen_ns", slots, stamp_ns)
        if view.sample_m is not None:
            self._layers.put("sample_m", slots, view.sample_m)
        weight *= np.float32(1.0 / self.scale)
        return weight

    def fade(self, time_constants: float, *, kept: Flags | None) -> float:
        """Let all evidence decay by exp(-time_constants).

        Returns the factor by which other stored weights must be multiplied: 1 unless the common
        factor became so small that it was multiplied into the layers. `kept` flags cells of the
        whole buffer that are remembered as hazards: a trace of their evidence stays.
        """
        self.scale *= math.exp(-time_constants)
        if self.scale >= SCALE_MIN:
            return 1.0
        return self._fold_scale(kept)

    def forget(self, gone: Flags) -> None:
        """Remove the evidence of cells, given as flags over the whole buffer."""
        self._layers.whole("total")[gone] = 0.0
        self._layers.whole("seen_ns")[gone] = NEVER_NS
        for plane in self._layers.whole("evidence"):
            plane[gone] = 0.0

    def limit_stamps(self, stamp_ns: int) -> None:
        """Set back the stamps of cells that were seen after a stamp."""
        seen_ns = self._layers.whole("seen_ns")
        np.minimum(seen_ns, stamp_ns, out=seen_ns)

    def forget_stamps(self) -> None:
        """Treat every cell as never seen before; the evidence stays."""
        self._layers.whole("seen_ns")[...] = NEVER_NS

    def _fold_scale(self, kept: Flags | None) -> float:
        """Multiply the common factor into the layers and return it."""
        scale, total = self.scale, self._layers.whole("total")
        factor: F32 = np.full(total.shape, np.float32(scale))
        if kept is not None:
            faded = kept & (total > 0.0)
            factor[faded] = np.maximum(
                factor[faded], np.minimum(np.float32(SCALE_MIN) / total[faded], np.float32(1.0))
            )
        self._layers.whole("evidence")[...] *= factor
        total *= factor
        gone = total < TINY
        total[gone] = 0.0
        for plane in self._layers.whole("evidence"):
            plane[gone] = 0.0
        self.scale = 1.0
        return scale


@kernel(
    "float32[:, ::1], float32[::1], int64[::1], float32[:, ::1], boolean[::1], boolean[::1], "
    "float64, float64, float64",
    writes=("stored", "total"),
)
def _add_view(  # noqa: PLR0917
    stored: F32,
    total: F32,
    slots: Slots,
    evidence_km: F32,
    kept: Flags,
    hazardous: Flags,
    sure_view: float,
    max_evidence: float,
    scale: float,
) -> None:
    """Add a view's evidence (K, M) at slots to stored evidence (K, N) and its sum (N,).

    The evidence of remembered hazards is raised to that of a sure view; older evidence is reduced
    to it against a new hazard. `kept` and `hazardous` (M,) are empty where they do not apply.
    """
    gain, sure = np.float32(1.0 / scale), np.float32(sure_view / scale)
    limit = np.float32(max_evidence / scale)
    for place in range(slots.size):
        slot = slots[place]
        older, newer = total[slot], np.float32(0.0)
        share = np.float32(1.0)
        if kept.size:
            is_faded = kept[place] and 0.0 < older < sure
            is_new = hazardous.size > 0 and hazardous[place] and not kept[place] and older > sure
            if is_faded or is_new:
                share, older = sure / older, sure
        for number in range(len(stored)):
            newer += evidence_km[number, place]
        both = older + newer * gain
        cap = limit / both if both > limit else np.float32(1.0)
        for number in range(len(stored)):
            sum_ = stored[number, slot] * share + evidence_km[number, place] * gain
            stored[number, slot] = sum_ * cap
        total[slot] = min(both, limit)
