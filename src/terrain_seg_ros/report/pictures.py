"""Pictures for reports: the grid with its legend, confidence, and sheets of pictures."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.grid.costs import COST_LETHAL
from terrain_seg_ros.core.types import U8, Reason

FREE_RGB = (46, 125, 80)
GRADED_RGB = (240, 190, 70)
LETHAL_RGB = (200, 40, 50)
REASON_RGB: dict[Reason, tuple[int, int, int]] = {
    Reason.OUTSIDE_VIEW: (24, 26, 32),
    Reason.TOO_FAR: (58, 62, 76),
    Reason.LOW_CONFIDENCE: (120, 96, 160),
    Reason.SHADOW: (44, 70, 110),
    Reason.SATURATION: (214, 214, 224),
    Reason.OWN_BODY: (90, 70, 60),
    Reason.STALE: (110, 110, 110),
    Reason.NO_TRANSFORM: (110, 80, 110),
    Reason.UNLABELLED: (70, 100, 100),
    Reason.HIDDEN: (80, 60, 50),
    Reason.NO_DEPTH: (50, 70, 90),
    Reason.NOVEL: (150, 60, 110),
}
_INK = (235, 235, 235)
_FONT = cv2.FONT_HERSHEY_SIMPLEX

Legend = list[tuple[str, tuple[int, int, int]]]
"""Labels and their RGB colours."""


def grid_legend(reasons: Collection[Reason]) -> Legend:
    """Return the entries of the grid picture's legend.

    Args:
        reasons: the reasons of cells in the pictures that are not observed; see `reasons_in`.
    """
    entries = [("free", FREE_RGB), ("graded", GRADED_RGB), ("hazard", LETHAL_RGB)]
    return entries + [
        (f"not observed: {reason.name.lower().replace('_', ' ')}", REASON_RGB[reason])
        for reason in sorted(reasons)
        if reason in REASON_RGB
    ]


def reasons_in(cost: NDArray[np.int8], reason: U8) -> set[Reason]:
    """Return the reasons of the cells of a grid that are not observed, as in `grid_colors`."""
    codes = set(np.unique(reason[cost < 0]).tolist())
    return {item for item in Reason if item.value in codes}


def grid_colors(cost: NDArray[np.int8], reason: U8) -> U8:
    """Return the cells (rows, cols) of a grid as colours (rows, cols, 3) RGB.

    Args:
        cost: 0 free, 1 to 98 graded, 100 hazard, -1 not observed.
        reason: `Reason` per cell, shown where the cost is -1.
    """
    table: NDArray[np.uint8] = np.zeros((256, 3), dtype=np.uint8)
    for key, rgb in REASON_RGB.items():
        table[int(key)] = rgb
    colors: U8 = table[reason]
    share = np.clip(cost, 0, COST_LETHAL)[..., None] / float(COST_LETHAL)
    low, high = np.array(FREE_RGB), np.array(GRADED_RGB)
    graded = low + (high - low) * share
    colors = np.where((cost >= 0)[..., None], graded, colors).astype(np.uint8)
    colors[cost == COST_LETHAL] = LETHAL_RGB
    return colors


def grid_picture(
    cost: NDArray[np.int8],
    reason: U8,
    *,
    resolution_m: float,
    vehicle_row_col: tuple[float, float],
    side_px: int = 512,
    ahead_m: float = 14.0,
) -> U8:
    """Return the ground ahead of the vehicle from above, forward (+x) up, with range rings.

    Args:
        cost: (rows, cols) as in `grid_colors`.
        reason: (rows, cols).
        resolution_m: side of a cell.
        vehicle_row_col: position of the vehicle, in cells.
        side_px: side of the square picture.
        ahead_m: length of the ground shown ahead; a seventh of it is shown behind.
    """
    span_m = ahead_m * 8 / 7
    scale = side_px / span_m
    row, col = vehicle_row_col
    cells_per_px = 1.0 / (scale * resolution_m)
    down_px, across_px = np.mgrid[0:side_px, 0:side_px].astype(np.float32) + np.float32(0.5)
    map_col = col + (ahead_m * scale - down_px) * cells_per_px - 0.5
    map_row = row - (across_px - side_px / 2) * cells_per_px - 0.5
    remapped = cv2.remap(
        grid_colors(cost, reason),
        map_col,
        map_row,
        cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=REASON_RGB[Reason.OUTSIDE_VIEW],
    )
    picture: NDArray[np.uint8] = np.array(remapped, dtype=np.uint8)
    _draw_scale(picture, scale, ahead_m)
    return picture


def confidence_picture(confidence: U8) -> U8:
    """Return confidence (H, W), 0 to 255, in colours (H, W, 3) RGB, dark where low."""
    return np.asarray(cv2.applyColorMap(confidence, cv2.COLORMAP_VIRIDIS)[..., ::-1], np.uint8)


def brightened(pixels: U8) -> U8:
    """Return a picture (H, W) or (H, W, 3) with stretched contrast, so that dark parts show."""
    low, high = np.percentile(pixels, [0.5, 99.5])
    stretched = (pixels.astype(np.float32) - low) * (255.0 / max(high - low, 1.0))
    return np.asarray(np.clip(stretched, 0, 255), dtype=np.uint8)


def sheet(
    pictures: Sequence[U8], *, columns: int, gap_px: int = 6, labels: Sequence[str] = ()
) -> U8:
    """Return pictures of one size side by side, row by row, on black.

    Args:
        pictures: (H, W, 3) RGB each, at least one.
        columns: pictures per row; fewer if there are fewer pictures.
        gap_px: gap between pictures.
        labels: one per picture, written into its upper left corner; empty for none.
    """
    height, width = pictures[0].shape[:2]
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    shape = (rows * (height + gap_px) - gap_px, columns * (width + gap_px) - gap_px, 3)
    result: NDArray[np.uint8] = np.zeros(shape, dtype=np.uint8)
    for index, picture in enumerate(pictures):
        top = (index // columns) * (height + gap_px)
        left = (index % columns) * (width + gap_px)
        result[top : top + height, left : left + width] = picture
        if labels:
            _write_text(result, labels[index], (left + 8, top + 24), scale=0.6)
    return result


def legend_strip(legend: Legend, *, width_px: int, row_px: int = 34) -> U8:
    """Return a strip (H, width_px, 3) RGB with a swatch and a label per entry.

    Args:
        legend: the entries, at least one.
        width_px: width of the strip; entries that do not fit start another row.
        row_px: height of a row.
    """
    places: list[tuple[int, int]] = []
    left, row = 12, 0
    for label, _ in legend:
        needed = 60 + cv2.getTextSize(label, _FONT, 0.5, 1)[0][0]
        if left + needed > width_px and left > 12:
            left, row = 12, row + 1
        places.append((left, row * row_px))
        left += needed
    strip: NDArray[np.uint8] = np.zeros(((row + 1) * row_px, width_px, 3), dtype=np.uint8)
    for (label, rgb), (x, y) in zip(legend, places):
        cv2.rectangle(strip, (x, y + 8), (x + 18, y + 26), rgb, cv2.FILLED)
        cv2.rectangle(strip, (x, y + 8), (x + 18, y + 26), (90, 90, 90), 1)
        _write_text(strip, label, (x + 28, y + 22), scale=0.5)
    return strip


def _write_text(
    picture: NDArray[np.uint8], text: str, place: tuple[int, int], *, scale: float
) -> None:
    cv2.putText(picture, text, place, _FONT, scale, _INK, 1, cv2.LINE_AA)


def _draw_scale(picture: NDArray[np.uint8], scale: float, ahead_m: float) -> None:
    """Draw the vehicle, range rings every five metres and their labels."""
    side_px = picture.shape[0]
    centre = (side_px // 2, round(ahead_m * scale))
    for range_m in range(5, int(ahead_m) + 1, 5):
        radius = round(range_m * scale)
        cv2.ellipse(picture, centre, (radius, radius), 0, 200, 340, (150, 150, 150), 1, cv2.LINE_AA)
        place = (centre[0] + 4, max(12, centre[1] - radius - 4))
        _write_text(picture, f"{range_m} m", place, scale=0.42)
    size = max(4, round(0.5 * scale))
    nose = np.array([[0, -size], [size * 0.7, size], [-size * 0.7, size]]) + np.array(centre)
    cv2.fillPoly(picture, [nose.astype(np.int32)], _INK, cv2.LINE_AA)
