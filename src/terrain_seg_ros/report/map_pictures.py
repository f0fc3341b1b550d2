"""Maps of simulated ground: truth, grid and their comparison, with path and landing site."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.grid.costs import COST_LETHAL, COST_UNKNOWN
from terrain_seg_ros.core.types import F64, U8
from terrain_seg_ros.report.pictures import FREE_RGB, LETHAL_RGB, Legend

UNSEEN_RGB = (40, 44, 54)
FALSE_FREE_RGB = (255, 60, 255)
FALSE_HAZARD_RGB = (240, 170, 60)
PATH_RGB = (250, 250, 250)
SITE_RGB = (90, 220, 255)
OUTSIDE_RGB = (20, 20, 24)

COMPARISON_LEGEND: Legend = [
    ("correctly free", FREE_RGB),
    ("correctly hazard", LETHAL_RGB),
    ("reported free, is a hazard", FALSE_FREE_RGB),
    ("reported hazard, is free", FALSE_HAZARD_RGB),
    ("not observed", UNSEEN_RGB),
]
Cells = NDArray[np.int8]


def truth_colors(hazard: Cells) -> U8:
    """Return the truth (rows, cols), 0 free, 100 hazard, -1 outside, as RGB (rows, cols, 3)."""
    colors = np.full((*hazard.shape, 3), OUTSIDE_RGB, dtype=np.uint8)
    colors[hazard == 0] = FREE_RGB
    colors[hazard == COST_LETHAL] = LETHAL_RGB
    return colors


def comparison_colors(cost: Cells, hazard: Cells) -> U8:
    """Return the comparison of a grid with the truth as RGB (rows, cols, 3).

    The colours are those of `COMPARISON_LEGEND`.

    Args:
        cost: (rows, cols) of a grid.
        hazard: the truth of the same cells, as in `truth_colors`; -1 is not compared.
    """
    known = (cost != COST_UNKNOWN) & (hazard >= 0)
    called, true = cost == COST_LETHAL, hazard == COST_LETHAL
    colors = np.full((*cost.shape, 3), UNSEEN_RGB, dtype=np.uint8)
    colors[known & ~called & ~true] = FREE_RGB
    colors[known & called & true] = LETHAL_RGB
    colors[known & ~called & true] = FALSE_FREE_RGB
    colors[known & called & ~true] = FALSE_HAZARD_RGB
    return colors


def map_picture(
    colors: U8,
    *,
    side_px: int,
    path_row_col: F64,
    heading_row_col: F64,
    site_row_col: Sequence[float] = (),
) -> U8:
    """Return the map of cells from above, with +y up and +x to the right, and the path.

    Args:
        colors: (rows, cols, 3) RGB, row 0 the lowest y.
        side_px: side of the square picture.
        path_row_col: (N, 2) positions of the vehicle, in cells.
        heading_row_col: (2,) unit vector of the vehicle's heading.
        site_row_col: the chosen landing site, or empty.
    """
    rows, cols = colors.shape[:2]
    flipped = np.ascontiguousarray(colors[::-1])
    picture = cv2.resize(flipped, (side_px, side_px), interpolation=cv2.INTER_NEAREST)
    scale = np.array([side_px / cols, side_px / rows])

    def pixels(row_col: F64) -> NDArray[np.int32]:
        across_down = np.column_stack([row_col[:, 1], rows - row_col[:, 0]])
        rounded: NDArray[np.int32] = np.rint(across_down * scale).astype(np.int32)
        return rounded

    places = pixels(path_row_col)
    cv2.polylines(picture, [places], isClosed=False, color=PATH_RGB, thickness=2)
    ahead = np.array([heading_row_col[1], -heading_row_col[0]])
    side = np.array([-ahead[1], ahead[0]])
    nose = places[-1] + 10 * np.array([ahead, -0.7 * ahead + 0.6 * side, -0.7 * ahead - 0.6 * side])
    cv2.fillPoly(picture, [np.rint(nose).astype(np.int32)], PATH_RGB, cv2.LINE_AA)
    if len(site_row_col) == 2:
        (site,) = pixels(np.array([site_row_col], dtype=np.float64)).tolist()
        cv2.circle(picture, tuple(site), 9, SITE_RGB, 2, cv2.LINE_AA)
        cv2.drawMarker(picture, tuple(site), SITE_RGB, cv2.MARKER_CROSS, 12, 2)
    return np.asarray(picture, dtype=np.uint8)


def draw_scale(picture: U8, *, m_per_px: float) -> None:
    """Draw a bar of a round length with its label into the lower left corner of a map."""
    longest_m = 0.25 * picture.shape[1] * m_per_px
    power = 10.0 ** math.floor(math.log10(longest_m))
    length_m = max(factor * power for factor in (1, 2, 5) if factor * power <= longest_m)
    left, bottom = 16, picture.shape[0] - 16
    right = left + round(length_m / m_per_px)
    cv2.rectangle(picture, (left, bottom - 1), (right, bottom + 1), PATH_RGB, cv2.FILLED)
    place = (left, bottom - 10)
    cv2.putText(
        picture, f"{length_m:g} m", place, cv2.FONT_HERSHEY_SIMPLEX, 0.6, PATH_RGB, 1, cv2.LINE_AA
    )
