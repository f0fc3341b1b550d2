"""Where `terrain-seg replay` may write: checked before it computes."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from terrain_seg_ros.bag.page import INDEX, MAP
from terrain_seg_ros.report.output_place import (
    check_not_same,
    check_output_file,
    check_output_folder,
    check_outside,
    has_own_file,
    holds_json,
)
from terrain_seg_ros.report.page import GENERATOR

_has_page = has_own_file(INDEX, lambda text: GENERATOR in text)


def check_outputs(arguments: argparse.Namespace) -> None:
    """Check that OUT, the page and the JSON may be written and do not replace each other or IN.

    Whether a bag of OUT exists already is left to what writes it.

    Raises:
        ConfigError: one of them may not.
    """
    target, page, scores = arguments.target, arguments.page, arguments.json
    inputs, pages = _inputs(arguments), _page_files(arguments)
    json_file = [] if scores is None else [("--json", scores)]
    if page is not None:
        check_outside(page, option="--page", others=[*inputs, ("OUT", target), *json_file])
        for folder in _page_folders(arguments):
            check_output_folder(folder, option="--page", is_own=_has_page)
    if scores is not None:
        check_outside(scores, option="--json", others=[*inputs, ("OUT", target)])
        check_not_same(scores, option="--json", others=pages)
        check_output_file(scores, option="--json", is_own=_is_own_json)
    # A single bag that exists is never overwritten; the writer refuses it.
    if len(arguments.sources) > 1 or not os.path.lexists(target):
        check_outside(target, option="OUT", others=[*inputs, *pages, *json_file])


def _inputs(arguments: argparse.Namespace) -> list[tuple[str, Path]]:
    """Return the files and folders that the replay reads."""
    truths = [Path(text.rpartition("=")[2]) for text in arguments.truth]
    limits = [] if arguments.limits is None else [arguments.limits]
    return [
        *(("IN", path) for path in arguments.sources),
        *(("--params", path) for path in arguments.params),
        *(("--truth", path) for path in truths if path.is_dir()),
        *(("--limits", path) for path in limits),
    ]


def _page_folders(arguments: argparse.Namespace) -> list[Path]:
    """Return the folder of each page that will be written."""
    page, sources = arguments.page, arguments.sources
    if page is None:
        return []
    return [page] if len(sources) == 1 else [page / source.name for source in sources]


def _page_files(arguments: argparse.Namespace) -> list[tuple[str, Path]]:
    """Return the files of the pages that will be written."""
    folders = _page_folders(arguments)
    return [("a file of --page", folder / name) for folder in folders for name in (INDEX, MAP)]


def _is_own_json(text: str) -> bool:
    """Return whether a text holds the scores of one bag or of several."""
    return holds_json("grid_availability", "latency_ms")(text) or holds_json("bags")(text)
