"""The look of every chart: dark as the pages of reports, or plain on white for PNG files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

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


class PlainFigure(Figure):
    """A figure on white that notebooks show, whether or not they use pyplot."""

    def _repr_png_(self) -> bytes:
        """Return the figure as a PNG file."""
        return png_of(self)


def plain_figure(*, width: float, height: float) -> PlainFigure:
    """Return an empty figure on white; sides in inches."""
    return PlainFigure(figsize=(width, height), layout="constrained")


def png_of(figure: Figure) -> bytes:
    """Return a plain figure as a PNG file."""
    FigureCanvasAgg(figure)
    stream = io.BytesIO()
    figure.savefig(stream, dpi=_PNG_DPI, format="png")
    return stream.getvalue()


def write_png(figure: Figure, path: Path) -> None:
    """Write a plain figure."""
    path.write_bytes(png_of(figure))


def plain_colour(rgb: tuple[int, int, int]) -> tuple[float, float, float]:
    """Return an RGB colour of 0 to 255 as matplotlib takes it."""
    red, green, blue = rgb
    return red / 255.0, green / 255.0, blue / 255.0


def outlined(ink: str) -> list[withStroke]:
    """Return the path effects of a line with an edge, which shows on a ground of its colour."""
    return [withStroke(linewidth=2.6, foreground=ink, alpha=0.55)]


def model_style(number: int) -> dict[str, Any]:
    """Return line, marker and colour of one of several models, unlike those of the others."""
    colour, round_ = number % len(_MODEL_COLOURS), number // len(_MODEL_COLOURS)
    return {
        "color": _MODEL_COLOURS[colour],
        "linestyle": _LINES[(number // 4 + round_) % len(_LINES)],
        "marker": _MARKERS[number % len(_MARKERS)],
        "markersize": 4,
    }


_MODEL_COLOURS = (
    "#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf",
    "#8c564b", "#e377c2", "#bcbd22", "#000000", "#7f7f7f", "#00508f",
)  # fmt: skip
_LINES = ("-", "--", "-.", ":")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
