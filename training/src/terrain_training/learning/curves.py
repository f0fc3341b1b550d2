"""Curves of a run, or of several, as PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from terrain_training.charts import plain_figure, write_png

History = Sequence[Mapping[str, Any]]
"""One mapping per epoch, as `history.jsonl` holds it."""


def write_curves(history: History, path: Path) -> None:
    """Write the curves of a run as PNG."""
    write_png(draw_curves(history), path)


def draw_curves(history: History) -> Figure:
    """Draw losses, mean IoU and pixel accuracy, and IoU per class over the epochs."""
    figure = plain_figure(width=13.0, height=4.2)
    losses, scores, classes = figure.subplots(1, 3)
    epochs = [row["epoch"] for row in history]
    names = dict.fromkeys(key for row in history for key in row if key.startswith(_LOSS_PREFIXES))
    for name in names:
        losses.plot(epochs, [row.get(name) for row in history], label=name.replace("_", " "))
    for name in ("mean_iou", "pixel_accuracy"):
        scores.plot(epochs, [row[name] for row in history], label=name.replace("_", " "))
    for name in history[-1]["iou"]:
        classes.plot(epochs, [row["iou"].get(name) for row in history], label=name)
    titles = ("loss", "validation, network size", "validation IoU, network size")
    for axes, title in zip((losses, scores, classes), titles):
        _finish(axes, title, unit_range=axes is not losses)
    return figure


def write_comparison(runs: Mapping[str, History], path: Path) -> None:
    """Draw validation loss and mean IoU of several runs over the epochs."""
    figure = plain_figure(width=12.0, height=5.0)
    losses, scores = figure.subplots(1, 2)
    for number, (name, history) in enumerate(runs.items()):
        epochs = [row["epoch"] for row in history]
        style = {"label": name, "linestyle": _LINES[number // _COLOURS % len(_LINES)]}
        losses.plot(epochs, [row.get("validation_loss") for row in history], **style)
        scores.plot(epochs, [row["mean_iou"] for row in history], **style)
    _finish(losses, "validation loss", unit_range=False)
    _finish(scores, "validation mean IoU, network size", unit_range=True)
    losses.set_yscale("log")
    for legend in (losses.get_legend(), scores.get_legend()):
        if legend is not None:
            legend.remove()
    figure.legend(*scores.get_legend_handles_labels(), loc="outside right center", fontsize=8)
    write_png(figure, path)


_LINES = ("-", "--", ":", "-.")
_COLOURS = 10
"""Of matplotlib's cycle; then the next kind of line begins."""
_LOSS_PREFIXES = ("train_", "validation_loss")


def _finish(axes: Axes, title: str, *, unit_range: bool) -> None:
    axes.set_title(title)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    if unit_range:
        axes.set_ylim(0.0, 1.0)
    if axes.lines:
        axes.legend(fontsize=8)
    if len(axes.lines) and len(axes.lines[0].get_xdata()) == 1:  # type: ignore[arg-type]
        for line in axes.lines:
            line.set_marker("o")
