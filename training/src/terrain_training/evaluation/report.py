"""Write an evaluation as one HTML page and one JSON file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.report.output_place import has_own_file, holds_json, write_whole
from terrain_seg_ros.report.page import Page, Rgb, Row, Section, render_page
from terrain_seg_ros.report.pictures import brightened
from terrain_training.evaluation import charts
from terrain_training.evaluation.error_picture import VERDICT_NAMES, VERDICT_RGB, error_picture
from terrain_training.evaluation.report_tables import (
    Table,
    class_table,
    comparison_table,
    number,
    rock_table,
    share,
    summary_table,
    unlikeness_table,
)
from terrain_training.evaluation.worst_cases import Case, WorstCases
from terrain_training.metrics.figures import Comparison, EvaluationFigures
from terrain_training.metrics.rocks import RockFigures

PAGE_NAME = "index.html"
FIGURES_NAME = "figures.json"
OWN_REPORT = has_own_file(FIGURES_NAME, holds_json("title", "confusion", "worst_images"))
"""Tells whether a folder holds an earlier report."""
ROCKS_TITLE = "Rocks by apparent size"
_STYLE = """
main { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 0 18px; }
main > * { grid-column: 1 / -1; }
main > section:has(> table) { order: -1; }
.row { grid-template-columns: repeat(2, minmax(0, 1fr)); }
.row:has(> figure:nth-of-type(4)) { grid-template-columns: repeat(4, minmax(0, 1fr)); }
main > section:has(figure:nth-of-type(4)):has(+ section figure:nth-of-type(4)),
section:has(figure:nth-of-type(4)) + section:has(figure:nth-of-type(4)) { grid-column: auto; }
section:has(+ section figure:nth-of-type(4)) > .row:has(> figure:nth-of-type(4)),
section:has(figure:nth-of-type(4)) + section > .row:has(> figure:nth-of-type(4))
{ grid-template-columns: repeat(2, minmax(0, 1fr)); }
figure img { aspect-ratio: auto; }
.caption b { color: var(--ink); }
.legend { position: sticky; top: 0; z-index: 1; background: var(--ground); }
.legend { margin: 14px 0 0; padding: 6px 0; }
.legend + .legend { top: 32px; margin: 0; }
.legend h3 { flex: 0 0 110px; }
"""
"""Tables first, charts two in a row; worst and typical images side by side, four pictures each.

The legends stay in view."""


def write_report(
    out: Path,
    *,
    title: str,
    figures: EvaluationFigures,
    taxonomy: Taxonomy,
    worst: WorstCases,
    facts: Mapping[str, str],
    comparison: Sequence[Comparison] = (),
    rocks: RockFigures | None = None,
) -> Path:
    """Write `index.html`, self-contained, and `figures.json`; return the page's path.

    Args:
        out: folder, created if it does not exist.
        title: of the page.
        figures: of all images.
        taxonomy: the classes that the figures are of.
        worst: images to show.
        facts: what was evaluated, such as model, data set and split.
        comparison: further tables.
        rocks: figures of rocks, where a class is one.

    Raises:
        ConfigError: figures and taxonomy differ in their classes, or the folder cannot be written.
    """
    if tuple(figures.iou) != taxonomy.names:
        raise ConfigError(
            f"figures are of {list(figures.iou)}, but the taxonomy has {list(taxonomy.names)}; "
            "give the taxonomy that was evaluated"
        )
    page = Page(
        title=title,
        lead=_lead(figures),
        facts={**facts, **_main_figures(figures)},
        legends={"classes": _class_legend(taxonomy), "errors": _error_legend()},
        tables=_tables(figures, comparison, rocks),
        notes=_notes(figures),
        sections=tuple(_sections(figures, taxonomy, worst)),
        style=_STYLE,
    )
    plain = _plain(title, figures=figures, worst=worst, facts=facts, comparison=comparison)
    plain["rocks"] = None if rocks is None else asdict(rocks)
    try:
        out.mkdir(parents=True, exist_ok=True)
        text = json.dumps(plain, indent=2, allow_nan=False) + "\n"
        write_whole(out / FIGURES_NAME, text)
        write_whole(out / PAGE_NAME, render_page(page))
    except OSError as error:
        raise ConfigError(f"{out}: the report cannot be written: {error}") from error
    return out / PAGE_NAME


def _plain(
    title: str,
    *,
    figures: EvaluationFigures,
    worst: WorstCases,
    facts: Mapping[str, str],
    comparison: Sequence[Comparison],
) -> dict[str, Any]:
    return {
        "title": title,
        "facts": dict(facts),
        **figures.to_json(),
        "comparison": [asdict(each) for each in comparison],
        "worst_images": [asdict(case.figures) for case in worst.worst()],
        "typical_images": [asdict(case.figures) for case in worst.typical()],
    }


def _lead(figures: EvaluationFigures) -> str:
    return (
        f"{figures.images:,} images with {figures.labelled_px:,} labelled pixels. Intervals hold "
        f"95 % of {figures.resamples:,} resamples of the images (seed {figures.seed})."
    )


def _main_figures(figures: EvaluationFigures) -> dict[str, str]:
    wanted = figures.hazard_recall.wanted
    return {
        "mean IoU": number(figures.mean_iou),
        "pixel accuracy": number(figures.pixel_accuracy),
        f"hazard recall at {wanted:.3g} false alarms": number(figures.hazard_recall.recall),
        "false-safe rate": share(figures.false_safe_rate),
        "calibration error": number(figures.expected_calibration_error),
    }


def _class_legend(taxonomy: Taxonomy) -> list[tuple[str, Rgb]]:
    return [(item.name, item.color_rgb) for item in taxonomy] + [("no class", (0, 0, 0))]


def _error_legend() -> list[tuple[str, Rgb]]:
    return [(VERDICT_NAMES[verdict], rgb) for verdict, rgb in VERDICT_RGB.items()]


def _tables(
    figures: EvaluationFigures, comparison: Sequence[Comparison], rocks: RockFigures | None
) -> dict[str, Table]:
    tables = {
        "Summary": summary_table(figures),
        "Classes": class_table(figures),
        "Distance from the training data": unlikeness_table(figures),
    }
    if rocks is not None:
        tables[ROCKS_TITLE] = rock_table(rocks)
    for each in comparison:
        if each.title in tables:
            raise ConfigError(f"two tables are named {each.title!r}; give each its own title")
        tables[each.title] = comparison_table(each)
    return tables


def _sections(
    figures: EvaluationFigures, taxonomy: Taxonomy, worst: WorstCases
) -> Iterator[Section]:
    yield Section(
        "Charts",
        "Counted over all images.",
        (
            Row(
                "",
                {
                    "IoU": charts.iou_chart(figures, taxonomy),
                    "Hazard": charts.alarm_chart(figures),
                },
            ),
            Row(
                "",
                {
                    "Confusion": charts.confusion_chart(figures),
                    "Reliability": charts.reliability_chart(figures),
                },
            ),
        ),
    )
    palette = taxonomy.palette_rgb()
    yield Section(
        "Worst images",
        "By the share of false-safe pixels, then by the lowest mean IoU. Where an image is "
        "reduced, a pixel shows the worst error of those it covers.",
        [_sheet(case, palette) for case in worst.worst()],
    )
    if worst.typical():
        yield Section(
            "Typical images",
            "Chosen by a hash of their names, whatever their figures are: most images look like "
            "these.",
            [_sheet(case, palette) for case in worst.typical()],
        )


def _sheet(case: Case, palette_rgb: U8) -> Row:
    figures = case.figures
    caption = (
        f"{figures.name}: false safe {figures.false_safe_px:,} of {figures.labelled_px:,} "
        f"labelled pixels ({share(figures.false_safe_px / figures.labelled_px)}), of "
        f"{figures.hazardous_px:,} hazardous and {figures.called_safe_px:,} called safe; "
        f"mean IoU {number(figures.mean_iou)}, accuracy {number(figures.pixel_accuracy)}, "
        f"undecidedness {number(figures.ood_score)}"
    )
    pictures = {
        "image": brightened(case.image),
        "truth": palette_rgb[case.truth],
        "prediction": palette_rgb[case.prediction],
        "error": error_picture(case.verdicts),
    }
    return Row(caption, pictures)


def _notes(figures: EvaluationFigures) -> tuple[str, ...]:
    hazardous = ", ".join(figures.hazardous_classes) or "none"
    return (
        f"Hazardous classes at the threshold {figures.hazard_threshold:g}: {hazardous}. A pixel "
        "is called safe if the sum of P(class) x hazard(class) is below the threshold and "
        "hazardous classes have less than half of the probability, as the vehicle's grid decides "
        "it.",
        *_no_hazards(figures),
        "False-safe rate: share of the pixels called safe that are hazardous in truth. Missed "
        "share: share of the hazardous pixels that are called safe.",
        "Everything is scored at the size of the labels. The scores printed by training and "
        "stored in a card are taken at the size of the network's input and differ.",
        "Means are over the classes in the truth. Labelled pixels without a prediction count as "
        "wrong, raise no alarm and are not called safe.",
        "The intervals treat images as independent; images of one drive are not, so the true "
        "ones are wider. They do not cover other places, cameras or light.",
        "Boundary F1 is the mean over the images whose truth outlines the class; outlines may lie "
        "apart by 0.75 % of the diagonal. Where labels leave gaps between classes, "
        "there are few outlines and the figure is of little use.",
    )


def _no_hazards(figures: EvaluationFigures) -> tuple[str, ...]:
    why = figures.hazard_unavailable
    return (f"Figures of hazards are not available: {why}.",) if why else ()
