"""A sheet of a labelled set: images, their labels, and how much there is of each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from matplotlib.axes import Axes

from terrain_seg_ros.core.image.mask_to_picture import overlay
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import U8
from terrain_training.charts import plain_figure, write_png
from terrain_training.data.contract import Sample

IMAGES = 6
_COLUMNS = 3
_SIDE_PX = 360


def write_sheet(
    samples: Sequence[Sample],
    taxonomy: Taxonomy,
    shares: Mapping[str, float],
    path: Path,
    *,
    title: str,
) -> None:
    """Write a PNG file: each image beside its label, and below them the classes.

    Args:
        samples: to show, at most `IMAGES`.
        taxonomy: names, colours and hazards.
        shares: of the labelled pixels, 0 to 1, by class name.
        path: of the file.
        title: above all.
    """
    rows = -(-len(samples) // _COLUMNS)
    bars = 0.26 * len(taxonomy) + 0.7
    first = _small(samples[0].image).shape
    cell_high = 13.0 / (2 * _COLUMNS) * min(first[0] / first[1], 1.5) + 0.3
    figure = plain_figure(width=13.0, height=cell_high * rows + bars + 0.5)
    figure.suptitle(title, fontsize=13, fontweight="bold", x=0.01, ha="left")
    grid = figure.add_gridspec(rows + 1, 2 * _COLUMNS, height_ratios=[cell_high] * rows + [bars])
    for number, sample in enumerate(samples):
        row, column = divmod(number, _COLUMNS)
        label = overlay(sample.image, sample.mask, taxonomy, alpha=0.75)
        unlabelled = sample.mask >= len(taxonomy)
        label[unlabelled] = label[unlabelled] // 3
        for place, picture in enumerate((sample.image, label)):
            axes = figure.add_subplot(grid[row, 2 * column + place])
            axes.imshow(_small(picture), cmap="gray", vmin=0, vmax=255)
            axes.set_axis_off()
            if place == 0:
                axes.set_title(_cut(sample.name), fontsize=9, loc="left")
    _draw_shares(figure.add_subplot(grid[rows, :]), taxonomy, shares)
    write_png(figure, path)


def _draw_shares(axes: Axes, taxonomy: Taxonomy, shares: Mapping[str, float]) -> None:
    places = np.arange(len(taxonomy))
    values = [100.0 * shares.get(name, 0.0) for name in taxonomy.names]
    colours = [tuple(part / 255 for part in item.color_rgb) for item in taxonomy]
    axes.barh(places, values, color=colours, edgecolor="#777777", linewidth=0.6)
    names = [f"{item.name}  (hazard {item.hazard:g})" for item in taxonomy]
    axes.set_yticks(places, names, fontsize=10)
    axes.invert_yaxis()
    for place, value in enumerate(values):
        axes.text(value + 0.6, place, f"{value:.1f} %", va="center", fontsize=9)
    axes.set_xlim(0, 108)
    axes.set_xlabel("share of the labelled pixels, % (dark in a label: not labelled)", fontsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _small(picture: U8) -> U8:
    factor = _SIDE_PX / max(picture.shape[:2])
    if factor >= 1.0:
        return picture
    size = (max(1, round(picture.shape[1] * factor)), max(1, round(picture.shape[0] * factor)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _cut(text: str, length: int = 26) -> str:
    return text if len(text) <= length else f"{text[: length - 3]}..."
