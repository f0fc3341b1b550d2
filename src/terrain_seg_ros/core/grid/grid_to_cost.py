"""From class evidence to cost, the grid that a navigation stack uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from terrain_seg_ros.core.grid.costs import (
    COST_FREE,
    COST_GRADED_MAX,
    COST_LETHAL,
    COST_UNKNOWN,
    I8,
)
from terrain_seg_ros.core.grid.elevation_to_slope import SlopeSettings, elevation_to_slope
from terrain_seg_ros.core.grid.rolling_grid import RollingGrid
from terrain_seg_ros.core.grid.scrolling_layers import Slots
from terrain_seg_ros.core.hazard_rule import ROUNDING, HazardRule
from terrain_seg_ros.core.settings import setting, settings
from terrain_seg_ros.core.types import F32, GridSnapshot


@settings
@dataclass(frozen=True)
class CostSettings:
    """Which cells are lethal, and which are observed."""

    hazard_threshold: Annotated[
        float,
        setting(
            "Cells whose P(hazard) is at least this are lethal.", low=0.001, high=1.0, dynamic=True
        ),
    ]
    min_evidence: Annotated[
        float,
        setting("Cells with less evidence are not observed.", low=0.001, high=1e6, dynamic=True),
    ]
    graded: Annotated[
        bool,
        setting(
            "Below the threshold give costs 1 to 98 in proportion to P(hazard) instead of 0.",
            dynamic=True,
        ),
    ]


def grid_to_cost(
    grid: RollingGrid,
    settings: CostSettings,
    *,
    hazards: F32,
    stamp_ns: int,
    slope: SlopeSettings | None = None,
) -> GridSnapshot:
    """Return the grid's cost, hazard, reason and elevation layers as copies.

    P(hazard) of the class is `HazardRule.score` of the cell's evidence: the sum over the classes of
    P(class) x hazard(class), where P(class) is the class's share of the evidence. It is at least
    the threshold, so that the cost is 100, if classes that are hazards by themselves have half of
    the evidence. Where heights were measured, ground is also a hazard if it is too steep or too
    rough, or stands out: P(hazard) = 1 - (1 - P(hazard) of the class) x P(safe) of slope, roughness
    and step. If too
    little was measured around a cell, only its class counts.

    Only cells that changed since the last call are computed, unless hazards or settings changed.
    A cell whose evidence has decayed below the minimum becomes not observed, with the reason STALE,
    unless it is a hazard and hazards are kept: then it stays lethal as long as its evidence is
    lethal by the current rule.

    Args:
        grid: decayed to the current stamp.
        settings: threshold, minimum evidence and grading.
        hazards: (K,) hazard by class id, 0 to 1.
        stamp_ns: stamp of the snapshot, nanoseconds.
        slope: limits of slope and roughness; None ignores heights.
    """
    slots = grid.ratings.slots_to_rate((settings, hazards.tobytes(), slope))
    heights_m = grid.heights.heights_m
    if slots.size and slope is not None and heights_m is not None:
        slots = _update_steepness(grid, heights_m, slots, slope)
    if slots.size:
        evidence_km, total = grid.evidence.read(slots)
        hazard = HazardRule(hazards, settings.hazard_threshold).score(evidence_km)
        steepness = grid.heights.steepness_of(slots)
        if steepness is not None:
            hazard += (np.float32(1.0) - hazard) * steepness
        vague = total * np.float32(grid.evidence.scale) < settings.min_evidence
        remembered = grid.is_kept(slots) & (hazard >= settings.hazard_threshold - ROUNDING)
        hazard[vague & ~remembered] = np.nan
        grid.ratings.rate(slots, cost_of_hazard(hazard, settings), hazard)
    ratings, level_m = grid.ratings, grid.heights.level_m
    faded = grid.evidence.total < settings.min_evidence / grid.evidence.scale
    ratings.expire(faded, keep_hazards=grid.settings.keep_hazards)
    elevation_m = None
    if heights_m is not None and level_m is not None:
        elevation_m = heights_m + np.float32(level_m)
        elevation_m[ratings.cost == COST_UNKNOWN] = np.nan
    return GridSnapshot(
        cost=ratings.cost.copy(),
        hazard=ratings.hazard.copy(),
        reason=ratings.reason * (ratings.cost == COST_UNKNOWN),
        resolution_m=grid.settings.resolution_m,
        origin_x_m=grid.origin_x_m,
        origin_y_m=grid.origin_y_m,
        frame_id=grid.settings.frame_id,
        stamp_ns=stamp_ns,
        elevation_m=elevation_m,
    )


def _update_steepness(
    grid: RollingGrid, heights_m: F32, slots: Slots, slope: SlopeSettings
) -> Slots:
    """Update P(hazard) by slope and roughness around changed slots; return all affected slots.

    A height contributes to the patches of its neighbours, and through them to which cells are
    fitted, so its effect extends over a whole baseline.
    """
    resolution_m, side = grid.settings.resolution_m, grid.side
    baseline_m = max(slope.baseline_m, slope.step_baseline_m if slope.max_step_m > 0.0 else 0.0)
    reach = 2 * max(1, round(baseline_m / (2.0 * resolution_m)))
    cells = grid.cells(slots)
    inner = [(max(0, at.min() - reach), min(side, at.max() + 1 + reach)) for at in cells]
    if any(high <= low for low, high in inner):
        return slots
    outer = [(max(0, low - reach), min(side, high + reach)) for low, high in inner]
    rows, cols = (slice(*ends) for ends in outer)
    sigma_m = grid.heights.sigma_m
    found = elevation_to_slope(
        np.ascontiguousarray(heights_m[rows, cols]),
        slope,
        resolution_m=resolution_m,
        sigma_m=None if sigma_m is None else np.ascontiguousarray(sigma_m[rows, cols]),
    )
    steepness = np.float32(1.0) - np.where(np.isnan(found.p_safe), np.float32(1.0), found.p_safe)
    (row0, row1), (col0, col1) = inner
    at_row, at_col = row0 - outer[0][0], col0 - outer[1][0]
    grid.heights.steepness[row0:row1, col0:col1] = steepness[
        at_row : at_row + row1 - row0, at_col : at_col + col1 - col0
    ]
    return grid.slots(np.arange(row0, row1)[:, np.newaxis], np.arange(col0, col1)).ravel()


def cost_of_hazard(hazard: F32, settings: CostSettings) -> I8:
    """Return the cost of P(hazard), where NaN means not observed; it is never 99 or below -1."""
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
