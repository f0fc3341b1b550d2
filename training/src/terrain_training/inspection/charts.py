"""Pictures of a data set (H, W, 3) RGB: balance, heat maps, pairs."""

from __future__ import annotations

import cv2
import numpy as np

from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import F32, U8
from terrain_training.charts import INK, LINE, dark_figure, dress, picture_of
from terrain_training.data.class_balance import ClassBalance

HEAT_CELL_PX = 8
GAP_PX = 4
STYLE = """
.row:has(> figure:only-of-type) { grid-template-columns: minmax(0, 1fr); }
.row:has(> figure:only-of-type) img { width: auto; max-width: 100%; }
figure img { aspect-ratio: auto; }
"""
"""A sheet or chart that is alone has its own size, and pictures their own shape."""
_BACK = (32, 30, 24)


def balance_chart(balance: ClassBalance, taxonomy: Taxonomy) -> U8:
    """Return bars: share of the labelled pixels, and of the images, per class."""
    figure = dark_figure(width=11.0, height=1.2 + 0.45 * len(taxonomy))
    rows = figure.subplots(1, 2, sharey=True)
    labelled = max(int(balance.pixels.sum()), 1)
    colours = [tuple(value / 255.0 for value in item.color_rgb) for item in taxonomy]
    for axes, values, title in (
        (rows[0], balance.pixels / labelled, "share of labelled pixels"),
        (rows[1], balance.images / max(balance.image_count, 1), "share of images"),
    ):
        bars = axes.barh(list(taxonomy.names), values, color=colours, edgecolor=LINE)
        axes.bar_label(bars, [f"{100 * value:.2f} %" for value in values], padding=3, color=INK)
        axes.set_xlim(0.0, max(float(max(values)) * 1.25, 0.01))
        axes.set_title(title, fontsize=10)
        dress(axes)
        axes.grid(visible=False)
    rows[0].invert_yaxis()
    return picture_of(figure)


def heat_picture(occurrence: F32) -> U8:
    """Return the share of images (rows, columns) that have a class somewhere, bright where most."""
    top = max(float(occurrence.max()), 1e-6)
    grey = np.asarray(np.rint(255.0 * occurrence / top), dtype=np.uint8)
    large = cv2.resize(
        grey, None, fx=HEAT_CELL_PX, fy=HEAT_CELL_PX, interpolation=cv2.INTER_NEAREST
    )
    coloured = cv2.applyColorMap(large, cv2.COLORMAP_INFERNO)
    return np.asarray(cv2.cvtColor(coloured, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def side_by_side(left: U8, right: U8) -> U8:
    """Return two pictures (h, w, 3), which may differ in size, beside each other."""
    height = max(left.shape[0], right.shape[0])
    width = left.shape[1] + GAP_PX + right.shape[1]
    both: U8 = np.full((height, width, 3), _BACK, dtype=np.uint8)
    both[: left.shape[0], : left.shape[1]] = left
    both[: right.shape[0], left.shape[1] + GAP_PX :] = right
    return both
