"""The rating of cells in numpy, which the compiled loop must equal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.grid.costs import COST_FREE, COST_GRADED_MAX, COST_LETHAL, COST_UNKNOWN
from terrain_seg_ros.core.grid.grid_to_cost import CostSettings
from terrain_seg_ros.core.hazard_rule import ROUNDING, HazardRule
from terrain_seg_ros.core.types import F32


def numpy_rating(
    rule: CostSettings, *, hazards: F32, evidence: F32, steep: F32, kept: NDArray[np.bool_]
) -> tuple[NDArray[np.int8], F32]:
    """Return cost and hazard of cells as `core.grid.grid_to_cost` does.

    Args:
        rule: the settings.
        hazards: (K,) by class id.
        evidence: (K, rows, cols).
        steep: (rows, cols) P(hazard) by slope and roughness.
        kept: (rows, cols), which cells are remembered as hazards.
    """
    hazard = HazardRule(hazards, rule.hazard_threshold).score(evidence)
    hazard += (np.float32(1.0) - hazard) * steep
    lethal = hazard >= rule.hazard_threshold - ROUNDING
    hazard[(evidence.sum(axis=0) < rule.min_evidence) & ~(kept & lethal)] = np.nan
    unknown = np.isnan(hazard)
    cost = np.full(hazard.shape, COST_FREE, dtype=np.int8)
    if rule.graded:
        share = np.where(unknown | lethal, np.float32(0.0), hazard) / rule.hazard_threshold
        cost = np.rint(COST_GRADED_MAX * share).astype(np.int8)
    cost[lethal] = COST_LETHAL
    cost[unknown] = COST_UNKNOWN
    return cost, hazard
