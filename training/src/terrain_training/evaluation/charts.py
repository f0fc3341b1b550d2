"""Charts of the figures, as pictures (H, W, 3) RGB for the report."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import F64, U8
from terrain_training.charts import (
    ACCENT,
    BAD,
    INK,
    SECOND,
    SOFT,
    add_legend,
    dark_axes,
    dark_figure,
    dress,
    picture_of,
    plain_colour,
)
from terrain_training.metrics.figures import EvaluationFigures

_NEGLIGIBLE_RATE = 1e-3
"""False-alarm rates below are drawn to a linear scale, since a logarithmic one lacks zero."""


def confusion_chart(figures: EvaluationFigures) -> U8:
    """Return the confusion matrix: the share of each class in truth, and pixels."""
    names = tuple(figures.iou)
    counts = np.array(figures.confusion, dtype=np.int64).reshape(len(names), -1)
    labels = [*names]
    if figures.unpredicted_px:
        truth_px = np.array([figures.truth_px[name] for name in names])
        counts = np.column_stack([counts, truth_px - counts.sum(axis=1)])
        labels.append("no prediction")
    whole = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, whole, out=np.zeros(counts.shape), where=whole > 0)
    side = max(5.2, 1.2 + 0.78 * len(labels))
    figure, axes = dark_axes(width=side * 1.15, height=side)
    axes.imshow(shares, cmap="cividis", vmin=0.0, vmax=1.0, aspect="auto")
    _write_cells(axes, counts, shares)
    axes.set_xticks(range(len(labels)), labels, rotation=30, ha="right", parse_math=False)
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.set_xlabel("prediction")
    axes.set_ylabel("truth")
    axes.set_title("Confusion: share of the class in truth, and pixels")
    return picture_of(figure)


def reliability_chart(figures: EvaluationFigures) -> U8:
    """Return how often each confidence was right, with the pixels that have it."""
    figure = dark_figure(width=6.0, height=5.2)
    axes, shares = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    for each in (axes, shares):
        dress(each)
    confidences = [item.confidence for item in figures.reliability]
    axes.plot([0.0, 1.0], [0.0, 1.0], color=SOFT, linestyle="--", label="as claimed")
    accuracies = [item.accuracy for item in figures.reliability]
    axes.plot(confidences, accuracies, color=ACCENT, marker="o", label="observed")
    axes.set_ylim(0.0, 1.02)
    axes.set_ylabel("accuracy")
    axes.set_title(f"Reliability: calibration error {figures.expected_calibration_error:.3f}")
    add_legend(axes, place="upper left")
    pixels = np.array([item.count for item in figures.reliability], dtype=np.float64)
    shares.bar(confidences, pixels / pixels.sum(), width=0.04, color=SECOND)
    shares.set_xlim(0.0, 1.02)
    shares.set_xlabel("confidence")
    shares.set_ylabel("share of pixels")
    return picture_of(figure)


def alarm_chart(figures: EvaluationFigures) -> U8:
    """Return the hazard recall over the false-alarm rate, with the bound that was asked for."""
    figure, axes = dark_axes(width=6.0, height=5.2)
    axes.set_title("Hazard: recall over false alarms, by threshold")
    axes.set_xlabel("false-alarm rate (share of safe pixels)")
    axes.set_ylabel("recall (share of hazardous pixels)")
    axes.set_ylim(0.0, 1.02)
    axes.set_xscale("symlog", linthresh=_NEGLIGIBLE_RATE, linscale=0.4)
    axes.set_xlim(0.0, 1.0)
    curve, chosen = figures.alarm_curve, figures.hazard_recall
    if not curve.recalls or chosen.recall is None or chosen.false_alarm_rate is None:
        text = "the truth lacks hazardous or safe pixels"
        axes.text(0.5, 0.5, text, ha="center", transform=axes.transAxes, color=INK)
        return picture_of(figure)
    axes.plot(curve.false_alarm_rates, curve.recalls, color=ACCENT, marker=".", markersize=3)
    axes.axvline(chosen.wanted, color=SOFT, linestyle="--", label=f"bound {chosen.wanted:g}")
    level = "never alarmed" if chosen.threshold is None else f"score {chosen.threshold:.3f}"
    label = f"recall {chosen.recall:.3f} at {level}"
    point = ([chosen.false_alarm_rate], [chosen.recall])
    axes.plot(*point, color=BAD, marker="o", markersize=8, linestyle="", label=label)
    add_legend(axes, place="lower right")
    return picture_of(figure)


def iou_chart(figures: EvaluationFigures, taxonomy: Taxonomy) -> U8:
    """Return the IoU of each class, in its colour, and their mean, with the intervals."""
    colours = {item.name: plain_colour(item.color_rgb) for item in taxonomy}
    bounds = figures.intervals
    rows = [(name, figures.iou[name], bounds.iou[name]) for name in figures.iou]
    rows.append(("mean", figures.mean_iou, bounds.mean_iou))
    figure, axes = dark_axes(width=6.0, height=max(5.2, 0.8 + 0.42 * len(rows)))
    for place, (name, value, interval) in enumerate(rows):
        if value is None:
            axes.text(0.02, place, "not in truth or prediction", va="center", color=SOFT)
            continue
        colour = ACCENT if place == len(rows) - 1 else colours[name]
        axes.barh(place, value, height=0.6, color=colour, edgecolor=SOFT, linewidth=0.6)
        if interval is not None:
            axes.plot(interval, (place, place), color=INK, marker="|", markersize=9)
        end = value if interval is None else max(value, interval[1])
        axes.text(end + 0.015, place, f"{value:.3f}", va="center", color=INK)
    axes.set_yticks(range(len(rows)), [name for name, _, _ in rows], parse_math=False)
    axes.invert_yaxis()
    axes.set_xlim(0.0, 1.15)
    axes.set_xticks(np.linspace(0.0, 1.0, 6))
    axes.set_xlabel("IoU")
    axes.set_title("IoU per class, with 95 % intervals over images")
    return picture_of(figure)


def _write_cells(axes: Axes, counts: np.ndarray, shares: F64) -> None:
    axes.grid(visible=False)
    small = 9 if counts.shape[1] <= 8 else 7
    for (row, column), share in np.ndenumerate(shares):
        ink = "#15140f" if share > 0.5 else INK
        text = f"{share:.1%}\n{_short(int(counts[row, column]))}"
        axes.text(column, row, text, ha="center", va="center", color=ink, fontsize=small)


def _short(count: int) -> str:
    """Return a count in at most five characters, such as 12, 4.1k or 23M."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            return (
                f"{count / size:.3g}{unit}" if count < 1000 * size else f"{count / size:.0f}{unit}"
            )
    return str(count)
