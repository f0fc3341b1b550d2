"""From class evidence to cost, the grid that a navigation stack uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from terrain_seg_ros.core.grid.cell_evidence import Flags
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
from terrain_seg_ros.core.hazard_rule import ROUNDING, HazardRule, score_of_sums
from terrain_seg_ros.core.kernel import kernel
from terrain_seg_ros.core.settings import setting, settings
from terrain_seg_ros.core.types import F32, F64, U8, GridSnapshot, Reason

_OBSERVED, _STALE = np.uint8(Reason.OBSERVED), np.uint8(Reason.STALE)


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
    least = settings.min_evidence / grid.evidence.scale
    slots = grid.ratings.slots_to_rate((settings, hazards.tobytes(), slope))
    heights_m = grid.heights.heights_m
    if slots.size and slope is not None and heights_m is not None:
        slots = _update_steepness(grid, heights_m, slots, slope)
    layers, lethal_from = grid.layers, settings.hazard_threshold
    _rate(
        slots,
        layers.flat("evidence"),
        layers.flat("total"),
        layers.flat("steep") if "steep" in layers else np.empty(0, dtype=np.float32),
        layers.flat("cost"),
        layers.flat("hazard"),
        layers.flat("kept"),
        np.stack([hazards, HazardRule(hazards, lethal_from).hazardous_classes()], dtype=np.float32),
        np.array([lethal_from, settings.graded, least, grid.settings.keep_hazards]),
    )
    cost, hazard, reason = _read_out(
        layers.whole("total"),
        layers.whole("cost"),
        layers.whole("hazard"),
        layers.whole("reason"),
        np.array([*layers.corner, grid.side], dtype=np.int64),
        least,
        grid.settings.keep_hazards,
    )
    elevation_m, level_m = None, grid.heights.level_m
    if heights_m is not None and level_m is not None:
        elevation_m = np.where(cost == COST_UNKNOWN, np.float32(np.nan), heights_m)
        elevation_m += np.float32(level_m)
    return GridSnapshot(
        cost=cost,
        hazard=hazard,
        reason=reason,
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


@kernel(
    "int64[::1], float32[:, ::1], float32[::1], float32[::1], int8[::1], float32[::1], "
    "boolean[::1], float32[:, ::1], float64[::1]",
    writes=("cost", "hazard", "kept"),
)
def _rate(  # noqa: PLR0917
    slots: Slots,
    evidence: F32,
    total: F32,
    steep: F32,
    cost: I8,
    hazard: F32,
    kept: Flags,
    classes: F32,
    rule: F64,
) -> None:
    """Rate slots by their evidence (K, N) and steepness (N,), which is empty if none is known.

    A cell with too little evidence is not observed, but stays lethal if it is remembered as a
    hazard and its evidence still is one. It keeps its memory: only evidence removes a hazard.

    `classes` (2, K) are the hazard by class id, and 1 for classes that are hazards by themselves,
    else 0. `rule` (4,) is the threshold, whether costs are graded, the least evidence, and whether
    hazards are kept.
    """
    lethal_from = np.float32(rule[0] - ROUNDING)
    for slot in slots:
        weight = score = sure = np.float32(0.0)
        for number in range(len(evidence)):
            weight += evidence[number, slot]
            score += evidence[number, slot] * classes[0, number]
            sure += evidence[number, slot] * classes[1, number]
        found = score_of_sums(weight, score, sure, rule[0])
        if steep.size:
            found += (np.float32(1.0) - found) * steep[slot]
        if total[slot] < np.float32(rule[2]):
            is_remembered = rule[3] > 0.0 and kept[slot] and found >= lethal_from
            found = found if is_remembered else np.float32(np.nan)
        hazard[slot], cost[slot] = found, cost_of_hazard(found, rule[0], rule[1] > 0.0)
        if cost[slot] != COST_UNKNOWN:
            kept[slot] = cost[slot] == COST_LETHAL


@kernel("float32, float64, boolean")
def cost_of_hazard(hazard: float, threshold: float, graded: bool) -> int:
    """Return the cost of P(hazard), where NaN means not observed; it is never 99 or below -1."""
    if np.isnan(hazard):
        return COST_UNKNOWN
    if hazard >= np.float32(threshold - ROUNDING):
        return COST_LETHAL
    share = hazard / np.float32(threshold) if graded else np.float32(0.0)
    return int(COST_FREE + np.rint(np.float32(COST_GRADED_MAX) * share))


@kernel(
    "float32[:, ::1], int8[:, ::1], float32[:, ::1], uint8[:, ::1], int64[::1], float64, boolean",
    writes=("cost", "hazard", "reason"),
)
def _read_out(  # noqa: PLR0917
    total: F32, cost: I8, hazard: F32, reason: U8, window: Slots, least: float, keeps: bool
) -> tuple[I8, F32, U8]:
    """Return cost, hazard and reason of a window, after what has faded was rated STALE.

    Args:
        total: the evidence, summed over classes.
        cost: the rating.
        hazard: the rating.
        reason: why cells are not observed.
        window: (3,) first row and column, and the side.
        least: the evidence below which a cell is not observed.
        keeps: whether lethal cells are exempt.
    """
    row0, col0, side = window
    costs, reasons = np.empty((side, side), dtype=np.int8), np.empty((side, side), dtype=np.uint8)
    hazards, low = np.empty((side, side), dtype=np.float32), np.float32(least)
    for row in range(side):
        weight, rating = total[row0 + row][col0 : col0 + side], cost[row0 + row][col0 : col0 + side]
        risk, why = hazard[row0 + row][col0 : col0 + side], reason[row0 + row][col0 : col0 + side]
        fading = 0
        for col in range(side):
            fading += (weight[col] < low) & (rating[col] != COST_UNKNOWN)
        for col in range(side if fading else 0):
            is_exempt = rating[col] == COST_UNKNOWN or (keeps and rating[col] == COST_LETHAL)
            if weight[col] < low and not is_exempt:
                rating[col], risk[col], why[col] = COST_UNKNOWN, np.nan, _STALE
        costs[row], hazards[row] = rating, risk
        for col in range(side):
            reasons[row, col] = why[col] if rating[col] == COST_UNKNOWN else _OBSERVED
    return costs, hazards, reasons
