"""Ratings per cell: cost, P(hazard), the reason why a cell is not observed, and kept hazards."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from terrain_seg_ros.core.grid.cell_evidence import Flags
from terrain_seg_ros.core.grid.costs import COST_UNKNOWN, I8
from terrain_seg_ros.core.grid.scrolling_layers import ScrollingLayers, Slots
from terrain_seg_ros.core.types import F32, U8, Reason


class CellRatings:
    """The rating layers of a rolling grid, and the list of cells that must be rated again."""

    def __init__(self, layers: ScrollingLayers) -> None:
        """Add the rating layers: every cell is not observed, with the reason OUTSIDE_VIEW."""
        layers.add_layer("cost", np.int8, COST_UNKNOWN)
        layers.add_layer("hazard", np.float32, np.nan)
        layers.add_layer("reason", np.uint8, Reason.OUTSIDE_VIEW)
        layers.add_layer("kept", np.bool_, False)
        self._layers = layers
        self._rule: Hashable = None
        self._changed: list[Slots] | None = []

    @property
    def cost(self) -> I8:
        """Return a view (rows, cols) of the cost last rated."""
        return self._layers.window("cost")

    @property
    def hazard(self) -> F32:
        """Return a view (rows, cols) of P(hazard) last rated, NaN where not observed."""
        return self._layers.window("hazard")

    @property
    def reason(self) -> U8:
        """Return a view (rows, cols) of codes of `Reason`.

        A code applies to a cell only if its evidence is too small for it to be observed.
        """
        return self._layers.window("reason")

    @property
    def kept(self) -> Flags:
        """Return the flags of remembered hazards over the whole buffer."""
        return self._layers.whole("kept")

    def mark_changed(self, slots: Slots) -> None:
        """Add slots to those that must be rated again."""
        if self._changed is not None:
            self._changed.append(slots)

    def mark_moved(self) -> None:
        """Discard the list of changed slots, which are no longer valid: rate all cells again."""
        if self._changed:
            self._changed = None

    def slots_to_rate(self, rule: Hashable) -> Slots:
        """Return the slots to rate again: all if the rule is new, else the changed ones.

        The list of changed slots is empty afterwards.
        """
        changed = self._changed
        if changed is None or rule != self._rule:
            changed = [self._layers.every_slot()]
        self._rule, self._changed = rule, []
        if len(changed) == 1:
            return changed[0]
        return np.unique(np.concatenate(changed)) if changed else np.empty(0, dtype=np.intp)

    def forget(self, gone: Flags, reason: Reason) -> None:
        """Rate cells, given as flags over the whole buffer, as not observed for a reason."""
        self._layers.whole("cost")[gone] = COST_UNKNOWN
        self._layers.whole("hazard")[gone] = np.nan
        self._layers.whole("reason")[gone] = reason

    def replace_reason(self, old: Reason, new: Reason) -> None:
        """Give the cells of one reason another one."""
        reasons = self._layers.whole("reason")
        reasons[reasons == old] = new

    def clear(self, reason: Reason) -> None:
        """Set the reason of every cell, after all layers were blanked."""
        self._layers.whole("reason")[...] = reason
        self._changed = []
