"""What is known about one cell, in words."""

from __future__ import annotations

import math

import numpy as np

from terrain_seg_ros.core.grid.costs import COST_FREE, COST_LETHAL, COST_UNKNOWN
from terrain_seg_ros.core.types import Reason
from terrain_seg_ros.messages.grid_message import GridValues
from terrain_seg_ros.report.reasons import REASONS
from terrain_seg_ros.view.ground import layer_on
from terrain_seg_ros.view.moment import Moment

Rows = list[tuple[str, str]]
"""What is told, and what it is."""
_SAFE = {0: "the vehicle's centre may be here", 100: "the vehicle's centre must not be here"}


def cell_at(grid: GridValues, x_m: float, y_m: float) -> tuple[int, int] | None:
    """Return row and column of the cell at a place, None outside the grid."""
    row = math.floor((y_m - grid.origin_y_m) / grid.resolution_m)
    col = math.floor((x_m - grid.origin_x_m) / grid.resolution_m)
    rows, cols = grid.values.shape
    return (row, col) if 0 <= row < rows and 0 <= col < cols else None


def cell_report(moment: Moment, x_m: float, y_m: float) -> Rows:
    """Return what is known about the cell at a place in the grid's frame."""
    grid = moment.grid
    cell = None if grid is None else cell_at(grid, x_m, y_m)
    if grid is None or cell is None:
        return [("cell", "outside the grid")]
    cost = int(grid.values[cell])
    rows: Rows = [
        ("place", f"x {x_m:.2f} m, y {y_m:.2f} m in {grid.frame_id}"),
        ("cost", _cost_text(cost)),
    ]
    if cost == COST_UNKNOWN:
        rows += _reason_rows(moment.reason, grid, cell)
    return rows + _class_rows(moment, grid, cell) + _more_rows(moment, grid, cell)


def value_on(grid: GridValues, other: GridValues | None, cell: tuple[int, int]) -> int | None:
    """Return another grid's value at a cell of a grid, None where it has none."""
    if other is None:
        return None
    place = (
        grid.origin_x_m + (cell[1] + 0.5) * grid.resolution_m,
        grid.origin_y_m + (cell[0] + 0.5) * grid.resolution_m,
    )
    there = cell_at(other, *place)
    return None if there is None else int(other.values[there])


def _cost_text(cost: int) -> str:
    if cost == COST_UNKNOWN:
        return "-1: not observed"
    if cost == COST_FREE:
        return "0: free"
    return f"{cost}: hazard" if cost >= COST_LETHAL else f"{cost}: graded, below the threshold"


def _reason_rows(reason: GridValues | None, grid: GridValues, cell: tuple[int, int]) -> Rows:
    code = value_on(grid, reason, cell)
    if code is None or code not in set(Reason):
        return [("reason", "not known: nothing was received on hazard_reason for this cell")]
    meaning, remedy = (text.replace("`", "") for text in REASONS[Reason(code)])
    name = Reason(code).name.lower().replace("_", " ")
    return [("reason", f"{name}: {meaning}"), ("remedy", remedy)]


def _class_rows(moment: Moment, grid: GridValues, cell: tuple[int, int]) -> Rows:
    layers = {
        name: float(values[cell])
        for name in ("class", "confidence", "hazard", "age", "ground_sample", "elevation")
        if (values := layer_on(grid, moment.layers, name)) is not None
        and math.isfinite(float(values[cell]))
    }
    rows: Rows = []
    if "class" in layers:
        number = int(layers["class"])
        share = f", {layers['confidence']:.0%} of its evidence" if "confidence" in layers else ""
        rows.append(("class", f"{moment.class_names.get(number, f'class {number}')}{share}"))
        others = 1.0 - layers.get("confidence", 1.0)
        if others >= 0.005:
            rows.append(("other classes", f"{others:.0%} together"))
    if "hazard" in layers:
        rows.append(("P(hazard)", f"{layers['hazard']:.2f}"))
    if "age" in layers:
        rows.append(("last seen", f"{max(0.0, layers['age']):.1f} s before this grid"))
    if "ground_sample" in layers:
        rows.append(("pixel spacing", f"{layers['ground_sample'] * 100.0:.1f} cm on the ground"))
    if "elevation" in layers:
        rows.append(("height", f"{layers['elevation']:.2f} m"))
    return rows


def _more_rows(moment: Moment, grid: GridValues, cell: tuple[int, int]) -> Rows:
    rows: Rows = []
    safe = value_on(grid, moment.safe_map, cell)
    if safe is not None:
        rows.append(("safe map", _SAFE.get(safe, "not known")))
    centre = np.array(
        [
            grid.origin_x_m + (cell[1] + 0.5) * grid.resolution_m,
            grid.origin_y_m + (cell[0] + 0.5) * grid.resolution_m,
        ]
    )
    if moment.vehicle_pose is not None:
        away_m = float(np.linalg.norm(moment.vehicle_pose.translation_m[:2] - centre))
        rows.append(("from the vehicle", f"{away_m:.1f} m"))
    return rows
