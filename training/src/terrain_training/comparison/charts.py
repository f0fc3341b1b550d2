"""Charts across models: scores per split, and what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import NullFormatter

from terrain_training.charts import plain_figure, write_png
from terrain_training.comparison.compare import RowResult
from terrain_training.learning.loaders import VALIDATION


def write_scores(rows: Sequence[RowResult], path: Path) -> None:
    """Draw mean IoU per model and split, and validation IoU over milliseconds and parameters."""
    scored = [row for row in rows if row.scores]
    height = max(4.0, 1.5 + 0.5 * len(scored))
    figure = plain_figure(width=15.0, height=height)
    bars, times, sizes = figure.subplots(1, 3, width_ratios=(1.4, 1.0, 1.0))
    _draw_bars(bars, scored)
    _draw_cost(times, scored, [min(row.milliseconds.values(), default=0.0) for row in scored])
    times.set_xlabel("ms per image, fastest backend, float32")
    _draw_cost(sizes, scored, [float(row.parameters or 0) / 1e6 for row in scored])
    sizes.set_xlabel("parameters, millions")
    write_png(figure, path)


def _draw_bars(axes: Axes, rows: Sequence[RowResult]) -> None:
    splits = list(dict.fromkeys(name for row in rows for name in row.scores))
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
    axes.set_yticks(np.arange(len(rows)) + 0.4 - thickness / 2, [row.name for row in rows])
    axes.invert_yaxis()
    axes.set_xlim(0.0, 1.0)
    axes.set_xlabel("mean IoU, with 95 % intervals")
    axes.grid(axis="x", alpha=0.3)
    if splits:
        axes.legend(fontsize=8)


def _draw_cost(axes: Axes, rows: Sequence[RowResult], costs: Sequence[float]) -> None:
    for row, cost in zip(rows, costs):
        figures = row.scores.get(VALIDATION)
        if figures is None or cost <= 0.0:
            continue
        axes.plot([cost], [figures.mean_iou], marker="o")
        axes.annotate(
            row.name,
            (cost, figures.mean_iou),
            (4, 4),
            textcoords="offset points",
            fontsize=8,
            rotation=30,
        )
    axes.set_xscale("log")
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(0.0, 1.0)
    axes.set_ylabel("validation mean IoU")
    axes.grid(alpha=0.3)
