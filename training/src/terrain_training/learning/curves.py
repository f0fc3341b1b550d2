"""Curves of a run, or of several, as PNG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_training.charts import (
    PlainFigure,
    model_style,
    outlined,
    plain_colour,
    plain_figure,
    write_png,
)

History = Sequence[Mapping[str, Any]]
"""One mapping per epoch, as `history.jsonl` holds it."""


Colours = Mapping[str, tuple[int, int, int]]
"""RGB colours of the classes by name."""


def class_colours(taxonomy: Taxonomy) -> Colours:
    """Return the colours of classes for their curves."""
    return {item.name: item.color_rgb for item in taxonomy}


def write_curves(history: History, path: Path, *, colours: Colours) -> None:
    """Write the curves of a run as PNG; see `draw_curves`."""
    write_png(draw_curves(history, colours=colours), path)


def draw_curves(history: History, *, colours: Colours) -> PlainFigure:
    """Draw losses, mean IoU and pixel accuracy, and IoU per class over the epochs.

    The losses of a GAN have axes of their own. A line marks the epoch of the highest mean IoU.

    Args:
        history: at least one epoch.
        colours: of the classes; one that is not named has a colour of matplotlib.
    """
    names = dict.fromkeys(key for row in history for key in row if key.startswith("train_"))
    parts = [name for name in names if name != TRAIN_LOSS]
    figure = plain_figure(width=17.0 if parts else 13.0, height=4.2)
    axes = list(figure.subplots(1, 4 if parts else 3))
    _draw_losses(axes[0], history, (TRAIN_LOSS, VALIDATION_LOSS), "loss")
    if parts:
        _draw_losses(axes[1], history, parts, "GAN losses")
    scores, classes = axes[-2:]
    epochs = [row["epoch"] for row in history]
    for name, label in (("mean_iou", "mean IoU"), ("pixel_accuracy", "pixel accuracy")):
        scores.plot(epochs, [row[name] for row in history], label=label)
    for name in history[-1]["iou"]:
        values = [_drawable(row["iou"].get(name)) for row in history]
        given = {"color": plain_colour(colours[name])} if name in colours else {}
        classes.plot(epochs, values, label=name, path_effects=outlined("#555555"), **given)
    best = max(history, key=lambda row: float(row["mean_iou"]))
    label = f"best: epoch {best['epoch']}, {best['mean_iou']:.3f}"
    scores.plot(best["epoch"], best["mean_iou"], "*", color="black", markersize=10, label=label)
    titles = ("validation, network size", "validation IoU, network size")
    for each, title in zip((scores, classes), titles):
        _finish(each, title, unit_range=True)
    for each in axes:
        each.axvline(best["epoch"], color="black", linestyle=":", linewidth=1.0, zorder=0)
    return figure


def _draw_losses(axes: Axes, history: History, names: Sequence[str], title: str) -> None:
    epochs = [row["epoch"] for row in history]
    for name in names:
        values = [row.get(name) for row in history]
        if any(value is not None for value in values):
            drawable = [_drawable(value) for value in values]
            axes.plot(epochs, drawable, label=_loss_name(name))
    _finish(axes, title, unit_range=False)


def _drawable(value: float | None) -> float:
    return math.nan if value is None else value


def _loss_name(name: str) -> str:
    """Return "train loss", and for the parts of a GAN what they are."""
    part = name.removeprefix("train_")
    return GAN_LOSSES.get(part, name.replace("_", " "))


def write_comparison(runs: Mapping[str, History], path: Path) -> None:
    """Draw validation loss and mean IoU of several runs over the epochs."""
    figure = plain_figure(width=14.0, height=max(4.6, 1.2 + 0.26 * len(runs)))
    losses, scores = figure.subplots(1, 2)
    for number, (name, history) in enumerate(runs.items()):
        epochs = [row["epoch"] for row in history]
        best = max(float(row["mean_iou"]) for row in history)
        style: dict[str, Any] = {"label": f"{name}, best {best:.3f}", **model_style(number)}
        losses.plot(epochs, [row.get("validation_loss") for row in history], **style)
        scores.plot(epochs, [row["mean_iou"] for row in history], **style)
    _finish(losses, "validation loss", unit_range=False)
    _finish(scores, "validation mean IoU, network size", unit_range=True)
    losses.set_yscale("log")
    for legend in (losses.get_legend(), scores.get_legend()):
        if legend is not None:
            legend.remove()
    handles, labels = scores.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize=10)
    write_png(figure, path)


TRAIN_LOSS, VALIDATION_LOSS = "train_loss", "validation_loss"
GAN_LOSSES = {
    "D": "D, discriminator",
    "G": "G, generator in all",
    "Seg": "Seg, segmentation",
    "Adv": "Adv, how well D is fooled",
}
"""As `GanModule` logs them."""


def _finish(axes: Axes, title: str, *, unit_range: bool) -> None:
    axes.set_title(title)
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    if unit_range:
        axes.set_ylim(-0.02, 1.02)
    if axes.lines:
        axes.legend(fontsize=8)
    if len(axes.lines) and len(axes.lines[0].get_xdata()) == 1:  # type: ignore[arg-type]
        for line in axes.lines:
            line.set_marker("o")
