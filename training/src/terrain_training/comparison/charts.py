"""Charts across models: scores per split, and what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FormatStrFormatter, NullFormatter

from terrain_training.charts import model_style, plain_figure, write_png
from terrain_training.comparison.compare import RowResult
from terrain_training.learning.loaders import VALIDATION


def write_scores(rows: Sequence[RowResult], path: Path) -> None:
    """Draw mean IoU per model and split, and validation IoU over milliseconds and parameters.

    Models have numbers, which stand before their names and at their points.
    """
    scored = [row for row in rows if row.scores]
    splits = _splits(scored)
    height = max(4.6, 1.5 + (0.16 + 0.17 * len(splits)) * len(scored))
    figure = plain_figure(width=14.0, height=height)
    bars, times, sizes = figure.subplots(1, 3, width_ratios=(1.3, 1.0, 1.0))
    _draw_bars(bars, scored, splits)
    _draw_cost(times, scored, [min(row.milliseconds.values(), default=0.0) for row in scored])
    times.set_xlabel("ms per image, fastest backend, float32")
    _draw_cost(sizes, scored, [float(row.parameters or 0) / 1e6 for row in scored])
    sizes.set_xlabel("parameters, millions")
    write_png(figure, path)


def _splits(rows: Sequence[RowResult]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row.scores))


def _draw_bars(axes: Axes, rows: Sequence[RowResult], splits: Sequence[str]) -> None:
    thickness = 0.8 / max(len(splits), 1)
    for number, split in enumerate(splits):
        places, values, errors = [], [], []
        for place, row in enumerate(rows):
            figures = row.scores.get(split)
            if figures is None:
                continue
            low, high = figures.intervals.mean_iou or (figures.mean_iou, figures.mean_iou)
            places.append(place + number * thickness)
            values.append(figures.mean_iou)
            errors.append((max(0.0, figures.mean_iou - low), max(0.0, high - figures.mean_iou)))
        spread = np.array(errors).T if errors else None
        axes.barh(places, values, height=thickness, xerr=spread, label=split, capsize=2)
    names = [f"{row.name}  {number}" for number, row in enumerate(rows, start=1)]
    axes.set_yticks(np.arange(len(rows)) + 0.4 - thickness / 2, names, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlim(0.0, 1.0)
    axes.set_xlabel("mean IoU, with 95 % intervals")
    axes.grid(axis="x", alpha=0.3)
    if splits:
        axes.legend(fontsize=9, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(splits))


def _draw_cost(axes: Axes, rows: Sequence[RowResult], costs: Sequence[float]) -> None:
    """Draw a numbered point for each model; scales end where the points do."""
    scores = []
    for number, (row, cost) in enumerate(zip(rows, costs)):
        figures = row.scores.get(VALIDATION)
        if figures is None or cost <= 0.0:
            continue
        scores.append(figures.mean_iou)
        colour = model_style(number)["color"]
        axes.plot([cost], [figures.mean_iou], marker="o", markersize=15, color=colour, alpha=0.85)
        axes.annotate(
            f"{number + 1}",
            (cost, figures.mean_iou),
            ha="center",
            va="center",
            fontsize=9,
            color="white",
            fontweight="bold",
        )
    axes.set_xscale("log")
    axes.margins(x=0.12)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(FormatStrFormatter("%g"))
    if scores:
        axes.set_ylim(max(0.0, min(scores) - 0.06), min(1.02, max(scores) + 0.06))
    axes.set_ylabel("validation mean IoU")
    axes.grid(alpha=0.3)
