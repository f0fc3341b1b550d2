"""The look of every chart: dark as the pages of reports, or plain on white for PNG files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from terrain_seg_ros.core.types import U8

CARD, INK, SOFT, LINE = "#201e18", "#e9e6e1", "#a49e95", "#4a463c"
"""As `report/page.css` names them; lines are lighter here, where they are thin."""
ACCENT, SECOND, BAD = "#e08b4a", "#6fa8c9", "#d23c32"
_DPI = 110
_PNG_DPI = 90


def dark_figure(*, width: float, height: float) -> Figure:
    """Return an empty figure in the colours of a report's card; sides in inches."""
    return Figure(figsize=(width, height), dpi=_DPI, layout="constrained", facecolor=CARD)


def dark_axes(*, width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure with one pair of axes."""
    figure = dark_figure(width=width, height=height)
    axes = figure.subplots()
    dress(axes)
    return figure, axes


def dress(axes: Axes) -> None:
    """Give axes the colours of a report's card."""
    axes.set_facecolor(CARD)
    axes.tick_params(colors=SOFT)
    axes.grid(color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_color(LINE)
    for text in (axes.title, axes.xaxis.label, axes.yaxis.label):
        text.set_color(INK)


def add_legend(axes: Axes, *, place: Any) -> None:
    """Add a legend in the colours of a report's card."""
    axes.legend(loc=place, facecolor=CARD, edgecolor=LINE, labelcolor=INK, fontsize=9)


def picture_of(figure: Figure) -> U8:
    """Return a figure as a picture (H, W, 3), RGB."""
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba(), dtype=np.uint8)[..., :3])


def plain_figure(*, width: float, height: float) -> Figure:
    """Return an empty figure on white; sides in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def write_png(figure: Figure, path: Path) -> None:
    """Write a plain figure."""
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=_PNG_DPI, format="png")
