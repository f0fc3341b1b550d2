"""The figures as tables of text."""

from __future__ import annotations

from collections.abc import Sequence

from terrain_seg_ros.core.scores.bootstrap import Interval
from terrain_training.metrics.figures import Comparison, EvaluationFigures
from terrain_training.metrics.rocks import FOUND_SHARE, RockFigures

Table = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Head and rows."""


def number(value: float | None) -> str:
    """Return a figure of 0 to 1 to three places, a dash where there is none."""
    return "-" if value is None else f"{value:.3f}"


def share(value: float | None) -> str:
    """Return a share in percent, a dash where there is none."""
    return "-" if value is None else f"{value:.2%}"


def summary_table(figures: EvaluationFigures) -> Table:
    """Return the figures over all images, with intervals where there are any."""
    bounds, recall = figures.intervals, figures.hazard_recall
    rows = [
        ("mean IoU", number(figures.mean_iou), _interval(bounds.mean_iou)),
        ("pixel accuracy", number(figures.pixel_accuracy), _interval(bounds.pixel_accuracy)),
        (
            f"hazard recall at a false-alarm rate of at most {recall.wanted:g}",
            number(recall.recall),
            _interval(bounds.hazard_recall),
        ),
        ("its threshold of the hazard score", _threshold(figures), ""),
        ("its false-alarm rate", number(recall.false_alarm_rate), ""),
        (
            f"false-safe rate at the threshold {figures.hazard_threshold:g}",
            share(figures.false_safe_rate),
            _interval(bounds.false_safe_rate, percent=True),
        ),
        *_unavailable(figures),
        ("missed share of hazards", share(figures.missed_hazard_share), ""),
        ("hazard IoU", number(figures.hazard_iou), ""),
        ("hazard Dice", number(figures.hazard_dice), ""),
        ("mean boundary F1", number(figures.mean_boundary_f1), ""),
        ("expected calibration error", number(figures.expected_calibration_error), ""),
        ("labelled pixels without a prediction", f"{figures.unpredicted_px:,}", ""),
    ]
    return ("figure", "value", "95 % interval"), rows


def _unavailable(figures: EvaluationFigures) -> list[tuple[str, str, str]]:
    why = figures.hazard_unavailable
    return [("hazard figures", f"not available: {why}", "")] if why else []


def class_table(figures: EvaluationFigures) -> Table:
    """Return the figures of each class."""
    scores = ("IoU", "95 % interval", "precision", "recall", "Dice", "boundary F1")
    rows = [
        (
            name,
            f"{figures.truth_px[name]:,}",
            number(figures.iou[name]),
            _interval(figures.intervals.iou[name]),
            number(figures.precision[name]),
            number(figures.recall[name]),
            number(figures.dice[name]),
            number(figures.boundary_f1[name]),
            str(figures.boundary_images[name]),
        )
        for name in figures.iou
    ]
    return ("class", "pixels", *scores, "in images"), rows


def unlikeness_table(figures: EvaluationFigures) -> Table:
    """Return the percentiles of the out-of-distribution score and how well it tells images."""
    scores = figures.out_of_distribution
    rows = [("score", scores.score), ("mean", number(scores.mean))]
    rows += [(f"percentile {name}", number(value)) for name, value in scores.percentiles.items()]
    if scores.auroc is not None:
        rows.append((f"AUROC against {scores.outside_images:,} other images", number(scores.auroc)))
    return ("figure", "value"), rows


def rock_table(rocks: RockFigures) -> Table:
    """Return the rocks by apparent size, all of them, and the ground called rock."""
    rows = [
        (
            f"{item.from_size:.1%} to {item.to_size:.1%}",
            f"{item.rocks:,}",
            f"{item.found:,}",
            share(item.share),
            share(item.recall),
        )
        for item in rocks.bins
        if item.rocks
    ]
    found = rocks.found / rocks.rocks if rocks.rocks else None
    rows.append(("all rocks", f"{rocks.rocks:,}", f"{rocks.found:,}", share(found), "-"))
    rows.append(
        (
            "ground called rock",
            f"{rocks.ground_px:,} px",
            f"{rocks.false_rock_px:,} px",
            share(rocks.false_rock_share),
            "-",
        )
    )
    head = "size over image width"
    return (head, "rocks", f"found to {FOUND_SHARE:.0%}", "share", "pixels found"), rows


def comparison_table(comparison: Comparison) -> Table:
    """Return a comparison; the last column is written with its sign if it is a difference."""
    signed = comparison.columns[-1] == "difference"
    rows = []
    for name, values in comparison.rows.items():
        cells = [_figure(value) for value in values]
        if signed and values[-1] is not None:
            cells[-1] = f"{values[-1]:+.4f}"
        rows.append((name, *cells))
    return ("figure", *comparison.columns), rows


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _threshold(figures: EvaluationFigures) -> str:
    recall = figures.hazard_recall
    if recall.recall is None:
        return number(None)
    return "never alarmed" if recall.threshold is None else number(recall.threshold)


def _interval(bounds: Interval | None, *, percent: bool = False) -> str:
    if bounds is None:
        return "-"
    form = share if percent else number
    return f"{form(bounds[0])} to {form(bounds[1])}"
