"""Pictures of a data set (H, W, 3) RGB: balance, heat maps, contact sheets."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import F32, U8
from terrain_training.charts import INK, LINE, dark_figure, dress, picture_of
from terrain_training.data.class_balance import ClassBalance
from terrain_training.inspection.thumbnails import Thumbnail

HEAT_CELL_PX = 8
TILE_PX = 112
TEXT_PX = 18
COLUMNS = 8
STYLE = """
.row:has(> figure:only-of-type) { grid-template-columns: minmax(0, 1fr); }
.row:has(> figure:only-of-type) img { width: auto; max-width: 100%; }
figure img { aspect-ratio: auto; }
"""
"""A sheet or chart that is alone has its own size, and pictures their own shape."""
_BACK = (32, 30, 24)
_INK = (233, 230, 225)


def balance_chart(balance: ClassBalance, taxonomy: Taxonomy) -> U8:
    """Return bars: share of the labelled pixels, and of the images, per class."""
    figure = dark_figure(width=8.0, height=1.2 + 0.45 * len(taxonomy))
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


def contact_sheet(items: Sequence[Thumbnail], captions: Sequence[str], *, palette: U8 | None) -> U8:
    """Return thumbnails with lines of text each; with a palette, the masks beside the images.

    Args:
        items: to show.
        captions: one each; a line break starts another line, what is too long loses its start.
        palette: (256, 3) colours of the masks.
    """
    lines = max((caption.count("\n") + 1 for caption in captions), default=1)
    width = TILE_PX * (1 if palette is None else 2)
    columns = max(1, min(COLUMNS if palette is None else COLUMNS // 2, len(items)))
    rows = max(1, -(-len(items) // columns))
    tile = (TILE_PX + TEXT_PX * lines, width)
    sheet: U8 = np.full((rows * tile[0], columns * tile[1], 3), _BACK, dtype=np.uint8)
    for number, (item, caption) in enumerate(zip(items, captions)):
        top, left = number // columns * tile[0], number % columns * tile[1]
        _put(sheet, item.image, top, left)
        if palette is not None:
            _put(sheet, palette[item.mask], top, left + TILE_PX)
        space = width // 7
        for row, line in enumerate(caption.split("\n"), start=1):
            text = line if len(line) <= space else f"...{line[3 - space :]}"
            place = (left + 3, top + TILE_PX + TEXT_PX * row - 6)
            cv2.putText(sheet, text, place, cv2.FONT_HERSHEY_PLAIN, 0.65, _INK, 1, cv2.LINE_AA)
    return sheet


def _put(sheet: U8, picture: U8, top: int, left: int) -> None:
    """Draw a thumbnail in the middle of its tile."""
    height, width = picture.shape[:2]
    down, across = (TILE_PX - height) // 2, (TILE_PX - width) // 2
    sheet[top + down : top + down + height, left + across : left + across + width] = picture
