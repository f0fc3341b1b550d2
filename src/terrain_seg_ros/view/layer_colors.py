"""The layers that the ground can be coloured by, with their legends."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from terrain_seg_ros.core.grid.costs import COST_LETHAL, COST_UNKNOWN
from terrain_seg_ros.core.types import F32, U8, Reason
from terrain_seg_ros.messages.grid_message import GridValues
from terrain_seg_ros.report.map_pictures import UNSEEN_RGB
from terrain_seg_ros.report.pictures import (
    FREE_RGB,
    LETHAL_RGB,
    Legend,
    grid_colors,
    grid_legend,
)
from terrain_seg_ros.view.ground import layer_on, values_on
from terrain_seg_ros.view.moment import Moment

OLDEST_S = 20.0
"""Age of a cell that is drawn darkest."""
Palette = Mapping[int, tuple[int, int, int]]
"""RGB by class id."""
Colors = tuple[U8, Legend]
"""Colours (rows, cols, 3) RGB of a grid's cells, and what they mean."""


def hazard_colors(moment: Moment, grid: GridValues, _: Palette) -> Colors:
    """Return the cost; what is not observed by its reason."""
    reason = _reasons(moment, grid)
    colors = grid_colors(grid.values, reason)
    present = np.unique(reason[grid.values == COST_UNKNOWN])
    seen = [Reason(int(code)) for code in present if int(code) in set(Reason)]
    return colors, grid_legend(seen)


def safe_colors(moment: Moment, grid: GridValues, _: Palette) -> Colors:
    """Return where the vehicle's centre may be."""
    colors: U8 = np.full((*grid.values.shape, 3), UNSEEN_RGB, dtype=np.uint8)
    safe = values_on(grid, moment.safe_map, COST_UNKNOWN)
    colors[safe == 0] = FREE_RGB
    colors[safe == COST_LETHAL] = LETHAL_RGB
    return colors, [
        ("safe centre", FREE_RGB),
        ("unsafe centre", LETHAL_RGB),
        ("not known", UNSEEN_RGB),
    ]


def class_colors(moment: Moment, grid: GridValues, palette: Palette) -> Colors:
    """Return the most likely class."""
    layer = layer_on(grid, moment.layers, "class")
    colors: U8 = np.full((*grid.values.shape, 3), UNSEEN_RGB, dtype=np.uint8)
    legend: Legend = []
    for number, name in sorted(moment.class_names.items()):
        here = None if layer is None else layer == number
        if here is not None and here.any():
            colors[here] = palette[number]
            legend.append((name, palette[number]))
    return colors, [*legend, ("not observed", UNSEEN_RGB)]


def confidence_colors(moment: Moment, grid: GridValues, _: Palette) -> Colors:
    """Return the share of the most likely class."""
    return _scaled(grid, layer_on(grid, moment.layers, "confidence"), 0.0, 1.0, unit="")


def hazard_probability_colors(moment: Moment, grid: GridValues, _: Palette) -> Colors:
    """Return P(hazard)."""
    return _scaled(grid, layer_on(grid, moment.layers, "hazard"), 0.0, 1.0, unit="")


def age_colors(moment: Moment, grid: GridValues, _: Palette) -> Colors:
    """Return the time since a cell was last seen, bright where it is short."""
    return _scaled(grid, layer_on(grid, moment.layers, "age"), OLDEST_S, 0.0, unit=" s")


LAYERS: dict[str, Callable[[Moment, GridValues, Palette], Colors]] = {
    "Hazard and reasons": hazard_colors,
    "Safe map (after footprint)": safe_colors,
    "Class": class_colors,
    "Confidence": confidence_colors,
    "P(hazard)": hazard_probability_colors,
    "Age": age_colors,
}
"""The layers by the name that users choose them by; the first is shown at first."""


def _reasons(moment: Moment, grid: GridValues) -> U8:
    default = int(Reason.OUTSIDE_VIEW)
    shifted = values_on(grid, moment.reason, default)
    unusable = (shifted < 0) | (shifted > max(Reason)) | (shifted == Reason.OBSERVED)
    return np.where(unusable, default, shifted).astype(np.uint8)


def _scaled(grid: GridValues, layer: F32 | None, low: float, high: float, *, unit: str) -> Colors:
    """Return a layer in the colours of viridis, from `low`, dark, to `high`, bright."""
    colors: U8 = np.full((*grid.values.shape, 3), UNSEEN_RGB, dtype=np.uint8)
    if layer is not None:
        known = np.isfinite(layer)
        share = np.clip((np.where(known, layer, low) - low) / (high - low), 0.0, 1.0)
        scaled = viridis((share * 255.0).astype(np.uint8))
        colors[known] = scaled[known]
    steps = np.linspace(0.0, 1.0, 5)
    table = viridis((steps * 255.0).astype(np.uint8)[np.newaxis])[0]
    legend: Legend = [
        (f"{low + (high - low) * step:g}{unit}", (int(rgb[0]), int(rgb[1]), int(rgb[2])))
        for step, rgb in zip(steps.tolist(), table)
    ]
    return colors, [*legend, ("not known", UNSEEN_RGB)]


def viridis(values: U8) -> U8:
    """Return values (H, W) as colours (H, W, 3) RGB."""
    return np.asarray(cv2.applyColorMap(values, cv2.COLORMAP_VIRIDIS)[..., ::-1], np.uint8)
