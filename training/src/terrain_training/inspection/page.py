"""The HTML page of an inspection."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.report.page import Page, Row, Section
from terrain_training.data.contract import Source
from terrain_training.inspection.charts import STYLE, balance_chart, heat_picture, side_by_side
from terrain_training.inspection.outliers import AT_LEAST
from terrain_training.inspection.similarity import Pair
from terrain_training.inspection.summary import (
    SHEET_FILE,
    SUSPECTS_FILE,
    InspectionSummary,
    statistics,
)
from terrain_training.inspection.survey import Survey
from terrain_training.inspection.thumbnails import load_thumbnails

SHOWN, SHOWN_PAIRS = 48, 24
EXAMPLES = 6
WIDE_COLUMNS = 3
"""Of pictures that show two images side by side."""


def inspection_page(summary: InspectionSummary, source: Source, title: str) -> Page:
    """Return the page of an inspection; the samples that it shows are read again.

    Raises:
        BadSampleError: one of them cannot be read any more.
    """
    taxonomy = source.taxonomy
    survey = summary.survey
    return Page(
        title=title,
        lead=f"{len(survey.seen):,} samples in {len(survey.splits)} splits.",
        facts={
            "near-duplicates": str(len(summary.duplicates)),
            "near-duplicates to leave out": str(len(summary.superfluous)),
            "suspects": str(len(summary.suspects)),
            "leaks across splits": str(len(summary.leakage.alike)),
            "bad samples": str(len(survey.bad)),
        },
        legends={"classes": [(item.name, item.color_rgb) for item in taxonomy]},
        tables=_tables(summary),
        notes=_notes(summary),
        sections=[
            Section(
                "Class balance",
                "All splits; ignored pixels are not counted.",
                [Row("", {"balance": balance_chart(survey.whole, taxonomy)})],
            ),
            _heat_section(survey, taxonomy),
            *_example_sections(survey, source),
            _suspect_section(summary, source),
            _pair_section("Near-duplicates", summary.duplicates, survey, source),
            _pair_section("Near-duplicates across splits", summary.leakage.alike, survey, source),
        ],
        style=STYLE,
    )


def _heat_section(survey: Survey, taxonomy: Taxonomy) -> Section:
    pictures = {
        f"{item.name}: at most {100 * float(part.max()):.1f} % of the images": heat_picture(part)
        for item, part in zip(taxonomy, survey.whole.occurrence)
    }
    return Section(
        "Where each class occurs",
        "Share of all images in which the class occurs here, relative to the class's maximum.",
        [Row("", pictures)],
    )


def _example_sections(survey: Survey, source: Source) -> list[Section]:
    taxonomy = source.taxonomy
    palette = taxonomy.palette_rgb()
    sections = []
    for split in survey.splits:
        places = survey.places(split)
        rows: list[Row] = []
        shown: set[int] = set()
        for item in taxonomy:
            having = [place for place in places if item.id in survey.seen[place].classes]
            fresh = [place for place in having if place not in shown]
            pool = fresh if len(fresh) >= EXAMPLES else having
            taken = [pool[n] for n in _spread(len(pool), EXAMPLES)]
            shown.update(taken)
            chosen = [survey.seen[place].name for place in taken]
            if chosen:
                text = f"{item.name}: in {len(having)} of {len(places)}"
                rows.append(Row(text, _examples(source, chosen, palette), columns=WIDE_COLUMNS))
        sections.append(Section(f"Examples of {split}", "Image and mask, per class.", rows))
    return sections


def _examples(source: Source, names: Sequence[str], palette: U8) -> dict[str, U8]:
    items = zip(names, load_thumbnails(source, names))
    return {name: side_by_side(item.image, palette[item.mask]) for name, item in items}


def _suspect_section(summary: InspectionSummary, source: Source) -> Section:
    suspects = summary.suspects
    if not suspects:
        return Section("Suspects", "None.", [])
    text = f"Check each image and delete the lines of those that belong from {SUSPECTS_FILE}."
    if len(suspects) > SHOWN:
        text += f" The first {SHOWN} of {len(suspects)}; {SHEET_FILE} shows more."
    names = [summary.survey.seen[item.place].name for item in suspects[:SHOWN]]
    pictures = {
        f"{number}. {name}: {item.reason}": thumbnail.image
        for number, (name, item, thumbnail) in enumerate(
            zip(names, suspects, load_thumbnails(source, names)), start=1
        )
    }
    return Section("Suspects", text, [Row("", pictures)])


def _pair_section(title: str, pairs: Sequence[Pair], survey: Survey, source: Source) -> Section:
    if not pairs:
        return Section(title, "None.", [])
    text = f"Most similar first; {len(pairs)} in total."
    if len(pairs) > SHOWN_PAIRS:
        text += f" The first {SHOWN_PAIRS} are shown."
    pictures = {}
    for pair in pairs[:SHOWN_PAIRS]:
        first, second = survey.seen[pair.first], survey.seen[pair.second]
        both = [item.image for item in load_thumbnails(source, [first.name, second.name])]
        told = f"{first.split}/{first.name} and {second.split}/{second.name}"
        pictures[f"{told}, correlation {pair.correlation:.3f}"] = side_by_side(*both)
    return Section(title, text, [Row("", pictures, columns=WIDE_COLUMNS)])


def _tables(summary: InspectionSummary) -> dict[str, tuple[list[str], list[list[str]]]]:
    survey = summary.survey
    whole, seen = survey.whole, survey.seen
    labelled = max(int(whole.pixels.sum()), 1)
    classes = [
        [
            name,
            f"{int(whole.pixels[n]):,}",
            f"{100 * whole.pixels[n] / labelled:.2f} %",
            f"{int(whole.images[n]):,}",
            *(f"{int(survey.balance[split].images[n]):,}" for split in survey.splits),
        ]
        for n, name in enumerate(whole.class_names)
    ]
    head = ["class", "pixels", "share", "images", *(f"in {split}" for split in survey.splits)]
    tables = {"Classes": (head, classes)}
    figures = statistics(survey)
    tables["Images"] = (["", "value"], [[key, str(value)] for key, value in figures.items()])
    if summary.leakage.clock:
        rows = [
            [seen[p.first].name, seen[p.second].name, f"{p.apart_s} s"]
            for p in summary.leakage.clock[:SHOWN]
        ]
        tables["Close in time across splits"] = (["one split", "another", "apart"], rows)
    if survey.bad:
        rows = [[name, text] for name, text in list(survey.bad.items())[:SHOWN]]
        tables["Bad samples"] = (["sample", "why"], rows)
    return tables


def _notes(summary: InspectionSummary) -> list[str]:
    notes = [
        "Near-duplicates are pairs whose fine detail correlates by 0.9 or more; each image is "
        "paired with its closest.",
        "Suspects are constant, torn, unlabelled, similar to samples named with --like, or unlike "
        "the bulk of the set to a network trained on photographs. Rare scenes may be among them.",
    ]
    if len(summary.survey.seen) < AT_LEAST:
        notes.append(f"With fewer than {AT_LEAST} samples no image is reported as unlike the rest.")
    if summary.leakage.clock is None:
        notes.append("The names carry no spacecraft clock, so capture times were not compared.")
    else:
        gap = summary.leakage.smallest_gap_s
        notes.append(
            "Images of two splits taken within one hour may show the same ground; the smallest "
            "gap is "
            f"{'unknown' if gap is None else f'{gap} s'}."
        )
    return notes


def _spread(count: int, wanted: int) -> list[int]:
    return [int(step) for step in np.linspace(0, count - 1, min(count, wanted))] if count else []
