"""The table and charts of a comparison: Markdown, JSON and HTML."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.image.image_file import read_image
from terrain_seg_ros.report.output_place import write_whole
from terrain_seg_ros.report.page import Page, Row, Section, render_page
from terrain_seg_ros.report.table import markdown_table
from terrain_training.comparison.charts import write_scores
from terrain_training.comparison.compare import RowResult
from terrain_training.inspection.charts import STYLE
from terrain_training.learning.curves import write_comparison
from terrain_training.learning.loaders import VALIDATION
from terrain_training.learning.run_folder import RunFolder

CURVES_FILE = "curves.png"
SCORES_FILE = "scores.png"
TABLE_FILE = "comparison.md"
JSON_FILE = "comparison.json"
PAGE_FILE = "index.html"


def is_own_comparison(folder: Path) -> bool:
    """Return whether a folder has an earlier comparison, or nothing but runs of one."""
    if (folder / JSON_FILE).is_file() and (folder / TABLE_FILE).is_file():
        return True
    return all(path.is_dir() and RunFolder(path).is_own() for path in folder.iterdir())


def write_comparison_report(
    rows: Sequence[RowResult], out: Path, *, title: str, machine: str
) -> list[list[str]]:
    """Write the files and return the table, its head first.

    Args:
        rows: one per model.
        out: folder, created if it does not exist.
        title: of the page.
        machine: what the times were measured on.

    Raises:
        ConfigError: a file cannot be written.
    """
    table = comparison_rows(rows)
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_comparison({row.name: row.history for row in rows if row.history}, out / CURVES_FILE)
        write_scores(rows, out / SCORES_FILE)
        write_whole(out / TABLE_FILE, _markdown(table, machine))
        plain = [_plain(row) for row in rows]
        write_whole(out / JSON_FILE, json.dumps(plain, indent=2, allow_nan=False) + "\n")
        page = _page(rows, table, title=title, machine=machine, folder=out)
        write_whole(out / PAGE_FILE, render_page(page))
    except OSError as error:
        raise ConfigError(f"{out}: the comparison cannot be written: {error}") from error
    return table


def comparison_rows(rows: Sequence[RowResult]) -> list[list[str]]:
    """Return the table as text, its head first."""
    splits = list(dict.fromkeys(name for row in rows for name in row.scores))
    splits = [VALIDATION, *(name for name in splits if name != VALIDATION)]
    backends = list(dict.fromkeys(name for row in rows for name in row.milliseconds))
    head = ["model", "parameters", "epochs", *(f"{name} IoU" for name in splits)]
    head += ["false safe", *(f"{name} ms" for name in backends)]
    return [head, *(_cells(row, splits, backends) for row in rows)]


def _cells(row: RowResult, splits: list[str], backends: list[str]) -> list[str]:
    cells = [row.name, "-" if row.parameters is None else f"{row.parameters:,}", str(row.epochs)]
    for name in splits:
        figures = row.scores.get(name)
        value = figures.mean_iou if figures else None
        if name == VALIDATION and value is None:
            value = row.validation_iou
        cells.append("-" if value is None else f"{value:.3f}")
    last = row.scores.get(VALIDATION)
    rate = last.false_safe_rate if last else None
    cells.append("-" if rate is None else f"{100 * rate:.2f} %")
    for backend in backends:
        time_ms = row.milliseconds.get(backend)
        cells.append("-" if time_ms is None else f"{time_ms:.1f}")
    return cells


def _markdown(table: list[list[str]], machine: str) -> str:
    head, *rows = table
    lines = [*markdown_table(head, rows), "", f"Times: one image, float32, median, {machine}."]
    return "\n".join(lines) + "\n"


def _plain(row: RowResult) -> dict[str, Any]:
    content = asdict(row)
    content["scores"] = {name: figures.to_json() for name, figures in row.scores.items()}
    return content


def _page(
    rows: Sequence[RowResult], table: list[list[str]], *, title: str, machine: str, folder: Path
) -> Page:
    head, *cells = table
    errors = [f"{row.name}: {row.error}" for row in rows if row.error]
    return Page(
        title=title,
        lead="Each model has its own recipe and is scored as exported, in ONNX Runtime at float32.",
        facts={"models": str(len(rows)), "machine": machine},
        legends={},
        tables={"Comparison": (head, cells), **_class_tables(rows)},
        notes=[
            "IoU is the mean over the classes in the truth; false safe is the share of the pixels "
            "called safe that are hazardous in truth, on the validation split.",
            "Rows with different data or classes cannot be compared with each other.",
            *errors,
        ],
        sections=[
            Section(
                "Scores and cost",
                "Scores and run time of the exported models.",
                [Row("", {"scores": read_image(folder / SCORES_FILE)})],
            ),
            Section(
                "Per epoch",
                "Validation loss and mean IoU.",
                [Row("", {"curves": read_image(folder / CURVES_FILE)})],
            ),
        ],
        style=STYLE,
    )


def _class_tables(rows: Sequence[RowResult]) -> dict[str, tuple[list[str], list[list[str]]]]:
    tables = {}
    for row in rows:
        if not row.scores:
            continue
        names = list(next(iter(row.scores.values())).iou)
        body = [
            [split, *("-" if v is None else f"{v:.3f}" for v in figures.iou.values())]
            for split, figures in row.scores.items()
        ]
        tables[f"{row.name}: IoU per class"] = (["split", *names], body)
    return tables
