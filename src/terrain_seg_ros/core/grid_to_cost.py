"""From class evidence to cost: what a navigation stack is told."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.grid import (
    COST_FREE,
    COST_GRADED_MAX,
    COST_LETHAL,
    COST_UNKNOWN,
    I8,
    RollingGrid,
)
from terrain_seg_ros.core.types import F32, GridSnapshot, Reason

ROUNDING = 1e-6
"""Float32 rounding must not turn a hazard of exactly the threshold into a safe cell."""


@dataclass(frozen=True)
class CostSettings:
    """Hold what makes a cell lethal, and what makes it observed.

    A cell whose P(hazard) reaches `hazard_threshold` is lethal. One whose evidence sum is below
    `min_evidence` is not observed. Below the threshold the cost is graded 1 to 98 in proportion,
    or 0 if `graded` is false.
    """

    hazard_threshold: float
    min_evidence: float
    graded: bool

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0.0 < self.hazard_threshold <= 1.0:
            raise ConfigError(
                f"hazard_threshold is {self.hazard_threshold}, expected more than 0, at most 1"
            )
        if not 0.0 < self.min_evidence < float("inf"):
            raise ConfigError(
                f"min_evidence is {self.min_evidence}, expected more than 0: no cell is safe "
                "without evidence"
            )


def grid_to_cost(
    grid: RollingGrid, settings: CostSettings, *, hazards: F32, stamp_ns: int
) -> GridSnapshot:
    """Return the grid's cost, hazard and reason layers as copies.

    P(hazard) = sum of P(class) x hazard(class), P(class) being the class's share of the cell's
    evidence. Only cells that changed since the last call are computed, unless hazards or
    settings changed. Evidence that has decayed below the minimum turns a cell not observed,
    with the reason STALE.

    Args:
        grid: decayed to now.
        settings: the rule.
        hazards: (K,) 0 to 1.
        stamp_ns: given to the snapshot.
    """
    slots = grid.take_changed((settings, hazards.tobytes()))
    if slots.size:
        evidence_km, total = grid.read(slots)
        hazard = _hazard(evidence_km, total, hazards)
        hazard[total * np.float32(grid.scale) < settings.min_evidence] = np.nan
        grid.rate(slots, cost_of_hazard(hazard, settings), hazard)
    total, cost, hazard, excuse = grid.layers
    expired = (total < settings.min_evidence / grid.scale) & (cost != COST_UNKNOWN)
    if expired.any():
        cost[expired] = COST_UNKNOWN
        hazard[expired] = np.nan
        excuse[expired] = Reason.STALE
    return GridSnapshot(
        cost=cost.copy(),
        hazard=hazard.copy(),
        reason=excuse * (cost == COST_UNKNOWN),
        resolution_m=grid.settings.resolution_m,
        origin_x_m=grid.origin_x_m,
        origin_y_m=grid.origin_y_m,
        frame_id=grid.settings.frame_id,
        stamp_ns=stamp_ns,
    )


def cost_of_hazard(hazard: F32, settings: CostSettings) -> I8:
    """Return the cost of P(hazard), NaN meaning not observed: never 99, nothing below -1."""
    unknown = np.isnan(hazard)
    lethal = hazard >= settings.hazard_threshold - ROUNDING
    if settings.graded:
        share = np.where(unknown | lethal, 0.0, hazard) / settings.hazard_threshold
        cost = np.rint(COST_GRADED_MAX * share).astype(np.int8)
    else:
        cost = np.full(hazard.shape, COST_FREE, dtype=np.int8)
    cost[lethal] = COST_LETHAL
    cost[unknown] = COST_UNKNOWN
    return cost


def _hazard(evidence_km: F32, total: F32, hazards: F32) -> F32:
    weighted = np.zeros_like(total)
    for plane, hazard in zip(evidence_km, hazards):
        if hazard > 0.0:
            weighted += plane * hazard
    found: F32 = np.full_like(total, np.nan)
    np.divide(weighted, total, out=found, where=total > 0.0)
    np.minimum(found, np.float32(1.0), out=found)
    return found
