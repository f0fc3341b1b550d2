"""Inspect a data set: one HTML report, the numbers, a list of suspects and their contact sheet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.report.page import Page, Row, Section, render_page
from terrain_training.data.contract import Source
from terrain_training.inspection.charts import STYLE, balance_chart, contact_sheet, heat_picture
from terrain_training.inspection.leakage import Leakage, find_leakage
from terrain_training.inspection.similarity import Pair, find_duplicates
from terrain_training.inspection.survey import Seen, Survey, make_survey
from terrain_training.inspection.suspects import Suspect, find_suspects

PAGE_FILE = "index.html"
SUMMARY_FILE = "summary.json"
SUSPECTS_FILE = "suspects.txt"
SHEET_FILE = "contact_sheet.png"
SHOWN = 48
EXAMPLES = 8


@dataclass(frozen=True)
class InspectionSummary:
    """Hold what was found in a set."""

    survey: Survey
    duplicates: tuple[Pair, ...]
    suspects: tuple[Suspect, ...]
    leakage: Leakage

    def lines(self) -> list[str]:
        """Return the main figures as text."""
        survey, leakage = self.survey, self.leakage
        counts = ", ".join(f"{len(survey.places(split))} {split}" for split in survey.splits)
        lines = [
            f"samples          {len(survey.seen)} ({counts})",
            f"bad samples      {len(survey.bad)}",
            f"near-duplicates  {len(self.duplicates)}",
            f"suspects         {len(self.suspects)}",
            f"across splits    {len(leakage.alike)} near-duplicates",
        ]
        if leakage.clock is not None:
            gap = "-" if leakage.smallest_gap_s is None else f"{leakage.smallest_gap_s} s"
            lines.append(f"                 {len(leakage.clock)} within the hour; least gap {gap}")
        return lines

    def to_json(self) -> dict[str, Any]:
        """Return every number as what JSON can hold."""
        survey, names = self.survey, [item.name for item in self.survey.seen]
        whole = survey.whole
        return {
            "samples": len(names),
            "splits": {split: len(survey.places(split)) for split in survey.splits},
            "bad": dict(survey.bad),
            "classes": {
                name: {
                    "pixels": int(whole.pixels[index]),
                    "images": int(whole.images[index]),
                    "by_split": {
                        split: int(part.pixels[index]) for split, part in survey.balance.items()
                    },
                }
                for index, name in enumerate(whole.class_names)
            },
            "ignored_pixels": whole.ignored_pixels,
            "weights": {
                kind: list(whole.weights(kind)) for kind in ("median_frequency", "inverse_sqrt")
            }
            if whole.pixels.any()
            else {},
            "images": _statistics(survey),
            "duplicates": [_named(pair, names) for pair in self.duplicates],
            "suspects": [
                {"name": names[s.place], "reason": s.reason, "score": round(s.score, 4)}
                for s in self.suspects
            ],
            "across_splits": {
                "alike": [_named(pair, names) for pair in self.leakage.alike],
                "close_in_time": None
                if self.leakage.clock is None
                else [
                    {"first": names[p.first], "second": names[p.second], "apart_s": p.apart_s}
                    for p in self.leakage.clock
                ],
                "smallest_gap_s": self.leakage.smallest_gap_s,
            },
        }


def inspect(
    source: Source, *, title: str, out: Path, skip_bad: bool, like: Sequence[str] = ()
) -> InspectionSummary:
    """Read a set once and write index.html, summary.json, suspects.txt and contact_sheet.png.

    Args:
        source: of the samples.
        title: of the page.
        out: folder, made if it is not there.
        skip_bad: list what cannot be used and go on.
        like: names of samples that do not belong.

    Raises:
        ConfigError: a sample cannot be used, or a file cannot be written.
    """
    survey = make_survey(source, skip_bad=skip_bad)
    summary = InspectionSummary(
        survey=survey,
        duplicates=tuple(find_duplicates(survey.descriptors)),
        suspects=tuple(find_suspects(survey, like=like)),
        leakage=find_leakage(survey),
    )
    page = _page(summary, source.taxonomy, title)
    try:
        out.mkdir(parents=True, exist_ok=True)
        text = json.dumps(summary.to_json(), indent=2, allow_nan=False) + "\n"
        (out / SUMMARY_FILE).write_text(text, encoding="utf-8")
        (out / SUSPECTS_FILE).write_text(_removal_list(summary), encoding="utf-8")
        (out / PAGE_FILE).write_text(render_page(page), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{out}: the report cannot be written: {error}") from error
    sheet = _suspect_sheet(summary)
    if not cv2.imwrite(str(out / SHEET_FILE), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)):
        raise ConfigError(f"{out / SHEET_FILE} cannot be written; is the disk full?")
    return summary


def _removal_list(summary: InspectionSummary) -> str:
    names = [item.name for item in summary.survey.seen]
    lines = [
        "# Samples that may not belong. Delete the lines of those that do, and give the file as"
    ]
    lines += ["# data.options.removed of the recipe, where the source takes it."]
    lines += [f"{names[item.place]}  # {item.reason}" for item in summary.suspects]
    return "\n".join(lines) + "\n"


def _suspect_sheet(summary: InspectionSummary) -> np.ndarray[Any, np.dtype[np.uint8]]:
    seen = [summary.survey.seen[item.place] for item in summary.suspects]
    return contact_sheet(seen, [item.name for item in seen], palette=None)


def _page(summary: InspectionSummary, taxonomy: Taxonomy, title: str) -> Page:
    survey = summary.survey
    return Page(
        title=title,
        lead=f"{len(survey.seen):,} samples in {len(survey.splits)} splits.",
        facts={
            "near-duplicates": str(len(summary.duplicates)),
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
                "Over all splits; ignored pixels do not count.",
                [Row("", {"balance": balance_chart(survey.whole, taxonomy)})],
            ),
            _heat_section(survey, taxonomy),
            *_example_sections(survey, taxonomy),
            _sheet_section(
                "Suspects",
                "Look at each; the list in suspects.txt can be edited and leaves them out.",
                [survey.seen[item.place] for item in summary.suspects],
                [str(number) for number in range(1, len(summary.suspects) + 1)],
            ),
            _pair_section("Near-duplicates", summary.duplicates, survey),
            _pair_section("Near-duplicates across splits", summary.leakage.alike, survey),
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
        "The share of all images that have the class there; bright is that class's most.",
        [Row("", pictures)],
    )


def _example_sections(survey: Survey, taxonomy: Taxonomy) -> list[Section]:
    palette = taxonomy.palette_rgb()
    sections = []
    for split in survey.splits:
        places = survey.places(split)
        rows = []
        for item in taxonomy:
            having = [place for place in places if item.id in survey.seen[place].classes]
            chosen = [survey.seen[having[n]] for n in _spread(len(having), EXAMPLES)]
            if chosen:
                sheet = contact_sheet(chosen, [one.name for one in chosen], palette=palette)
                rows.append(Row(f"{item.name}: {len(having)} of {len(places)}", {"": sheet}))
        sections.append(Section(f"Examples of {split}", "Image and mask, per class.", rows))
    return sections


def _sheet_section(
    title: str, text: str, items: Sequence[Seen], captions: Sequence[str]
) -> Section:
    if not items:
        return Section(title, "None.", [])
    shown = f" The first {SHOWN} of {len(items)}." if len(items) > SHOWN else ""
    sheet = contact_sheet(items[:SHOWN], captions[:SHOWN], palette=None)
    return Section(title, text + shown, [Row("", {"": sheet})])


def _pair_section(title: str, pairs: Sequence[Pair], survey: Survey) -> Section:
    items, captions = [], []
    for pair in pairs[: SHOWN // 2]:
        for place in (pair.first, pair.second):
            items.append(survey.seen[place])
            captions.append(f"{survey.seen[place].split}/{survey.seen[place].name}")
    if not items:
        return Section(title, "None.", [])
    text = f"Two by two, the most alike first; {len(pairs)} in all."
    return Section(title, text, [Row("", {"": contact_sheet(items, captions, palette=None)})])


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
    figures = _statistics(survey)
    tables["Images"] = (["", "value"], [[key, str(value)] for key, value in figures.items()])
    if summary.suspects:
        rows = [
            [str(number), seen[item.place].name, item.reason]
            for number, item in enumerate(summary.suspects[:SHOWN], start=1)
        ]
        tables["Suspects"] = (["number", "sample", "why"], rows)
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
        "Near-duplicates correlate by 0.9 or more in their fine detail, each with its closest.",
        "Suspects are constant, unlabelled, similar to samples named with --like, or farther from "
        "their neighbours than 5 robust standard deviations. Rare scenes are suspect too: look.",
    ]
    if summary.leakage.clock is None:
        notes.append("The names carry no spacecraft clock, so times were not compared.")
    else:
        gap = summary.leakage.smallest_gap_s
        notes.append(
            "Images of two splits taken within the hour show the same ground; the least gap is "
            f"{'not there' if gap is None else f'{gap} s'}."
        )
    return notes


def _statistics(survey: Survey) -> dict[str, Any]:
    seen = survey.seen
    sizes = sorted({item.size_px for item in seen})
    shown = ", ".join(f"{width} x {height}" for width, height in sizes[:5])
    return {
        "sizes": shown if len(sizes) <= 5 else f"{shown} and {len(sizes) - 5} others",
        "in colour": sum(item.colour for item in seen),
        "mean grey level": round(float(np.mean([item.mean for item in seen])), 2),
        "mean contrast (std)": round(float(np.mean([item.std for item in seen])), 2),
        "black pixels": f"{100 * float(np.mean([item.black for item in seen])):.2f} %",
        "saturated pixels": f"{100 * float(np.mean([item.white for item in seen])):.2f} %",
        "ignored pixels": int(survey.whole.ignored_pixels),
    }


def _named(pair: Pair, names: Sequence[str]) -> dict[str, Any]:
    return {
        "first": names[pair.first],
        "second": names[pair.second],
        "correlation": round(pair.correlation, 4),
    }


def _spread(count: int, wanted: int) -> list[int]:
    return [int(step) for step in np.linspace(0, count - 1, min(count, wanted))] if count else []
