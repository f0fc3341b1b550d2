"""Inspect a data set: one HTML report, the numbers, lists of what to leave out, a contact sheet."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.report.captioned_sheet import Tile, captioned_sheet
from terrain_seg_ros.report.page import render_page
from terrain_training.data.contract import Source
from terrain_training.data.removal_list import write_removal_list
from terrain_training.inspection.duplicates import Superfluous, superfluous
from terrain_training.inspection.leakage import find_leakage
from terrain_training.inspection.page import inspection_page
from terrain_training.inspection.similarity import find_duplicates
from terrain_training.inspection.summary import SHEET_FILE, SUSPECTS_FILE, InspectionSummary
from terrain_training.inspection.survey import Survey, make_survey
from terrain_training.inspection.suspects import find_suspects
from terrain_training.inspection.thumbnails import load_thumbnails

PAGE_FILE = "index.html"
SUMMARY_FILE = "summary.json"
DUPLICATES_FILE = "duplicates.txt"
SHEET_ITEMS, SHEET_COLUMNS, SHEET_PX = 400, 5, 236
_USE = "Give the file as data.options.removed of the recipe; every source takes it."


def inspect(
    source: Source, *, title: str, out: Path, skip_bad: bool, like: Sequence[str] = ()
) -> InspectionSummary:
    """Read a set once and write what was found to a folder.

    The files are index.html, summary.json, suspects.txt, duplicates.txt and contact_sheet.png.

    Args:
        source: of the samples.
        title: of the page.
        out: folder, created if it does not exist.
        skip_bad: skip what cannot be used and report it.
        like: names of samples that do not belong.

    Raises:
        ConfigError: a sample cannot be used, or a file cannot be written.
    """
    survey = make_survey(source, skip_bad=skip_bad)
    summary = InspectionSummary(
        survey=survey,
        duplicates=tuple(find_duplicates(survey.descriptors)),
        superfluous=tuple(superfluous(survey)),
        suspects=tuple(find_suspects(survey, source, like=like)),
        leakage=find_leakage(survey),
    )
    page = inspection_page(summary, source, title)
    try:
        out.mkdir(parents=True, exist_ok=True)
        text = json.dumps(summary.to_json(), indent=2, allow_nan=False) + "\n"
        (out / SUMMARY_FILE).write_text(text, encoding="utf-8")
        _write_lists(summary, out)
        (out / PAGE_FILE).write_text(render_page(page), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{out}: the report cannot be written: {error}") from error
    sheet = _suspect_sheet(summary, source)
    if not cv2.imwrite(str(out / SHEET_FILE), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR)):
        raise ConfigError(f"{out / SHEET_FILE} cannot be written; is the disk full?")
    return summary


def _write_lists(summary: InspectionSummary, out: Path) -> None:
    seen = summary.survey.seen
    write_removal_list(
        out / SUSPECTS_FILE,
        ["Samples that may not belong. Delete the lines of those that do.", _USE],
        [(seen[item.place].name, item.reason) for item in summary.suspects],
    )
    write_removal_list(
        out / DUPLICATES_FILE,
        ["Samples that are nearly the same as one that is kept, which the line names.", _USE],
        [
            (seen[item.place].name, _why_superfluous(summary.survey, item))
            for item in summary.superfluous
        ],
    )


def _why_superfluous(survey: Survey, item: Superfluous) -> str:
    dropped, kept = survey.seen[item.place], survey.seen[item.kept]
    return (
        f"of {dropped.split}; kept is {kept.name} of {kept.split}, "
        f"correlation {item.correlation:.2f}"
    )


def _suspect_sheet(summary: InspectionSummary, source: Source) -> U8:
    suspects = summary.suspects[:SHEET_ITEMS]
    names = [summary.survey.seen[item.place].name for item in suspects]
    tiles = [
        Tile((thumbnail.image,), f"{number}. {name}\n{item.reason}")
        for number, (name, item, thumbnail) in enumerate(
            zip(names, suspects, load_thumbnails(source, names)), start=1
        )
    ]
    if not tiles:
        tiles = [Tile((np.zeros((1, 2, 3), dtype=np.uint8),), "no suspects")]
    return captioned_sheet(tiles, heads=(), legend=[], columns=SHEET_COLUMNS, picture_px=SHEET_PX)
