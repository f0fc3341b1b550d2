"""`terrain-seg doctor`: report what is installed and usable, or what a bag has and lacks."""

from __future__ import annotations

import argparse
import importlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from terrain_seg_ros.cli.bag_arguments import add_image_topics_argument, bag_path
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.doctor.checks import examine
from terrain_seg_ros.doctor.finding import Finding, State
from terrain_seg_ros.parameters.shipped import MODES
from terrain_seg_ros.report.table import printable

_ITEM_WIDTH = 12
_LONG_WORD = re.compile(r"\S{257,}")
"""No name of ROS has more letters."""
_WORD_SHOWN = 100
_OF_BAGS = ("params", "mode", "model", "image_topic", "whole")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this command."""
    parser.add_argument(
        "bag",
        type=bag_path,
        nargs="?",
        metavar="BAG",
        help="examine this bag instead of the machine: what `terrain-seg replay` would pick, "
        "compute and refuse, and what helps; a folder, a .mcap or a .db3 file",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    # With BAG only. The machine is examined without what reads parameters and bags, which may be
    # what is not installed; so these are not the shared options of cli/options.py.
    parser.add_argument(
        "--params",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="parameter file on top of the shipped one, as for replay; may be repeated",
    )
    parser.add_argument(
        "--mode", choices=MODES, help="vehicle whose shipped parameters are loaded first"
    )
    parser.add_argument("--model", metavar="NAME|PATH", help="model of the replay")
    add_image_topics_argument(parser)
    parser.add_argument(
        "--whole", action="store_true", help="read all of a large bag, not only its beginning"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the findings and return 0, or 1 if something that is needed is missing.

    Raises:
        ConfigError: an option of BAG is given without one, or bag, topic or parameter cannot be
            used.
        MessageError: the bag is damaged.
        ModelError: the model cannot be used.
    """
    if arguments.bag is not None:
        found = importlib.import_module("terrain_seg_ros.cli.doctor_bag").look(arguments)
        _show(found.findings, {"bag": found.figures}, as_json=arguments.json, before=found.table)
        return _exit_code(found.findings)
    for name in _OF_BAGS:
        if getattr(arguments, name):
            raise ConfigError(f"--{name.replace('_', '-')} is for a bag; name one, or leave it out")
    findings = list(examine())
    _show(findings, {}, as_json=arguments.json)
    return _exit_code(findings)


def _show(
    findings: list[Finding], figures: Mapping[str, Any], *, as_json: bool, before: str = ""
) -> None:
    if as_json:
        print(json.dumps({"findings": [asdict(item) for item in findings], **figures}, indent=2))
        return
    lines = [*before.splitlines(), "", *_lines(findings)] if before else _lines(findings)
    print("\n".join(map(_harmless, lines)))


def _harmless(line: str) -> str:
    """Return a line fit to print: names in a bag may hold control characters, or be endless."""
    return printable(_LONG_WORD.sub(lambda word: f"{word[0][:_WORD_SHOWN]}...", line))


def _exit_code(findings: Iterable[Finding]) -> int:
    return int(any(item.state is State.MISSING for item in findings))


def _lines(findings: list[Finding]) -> Iterable[str]:
    width = max([_ITEM_WIDTH, *(len(item.item) for item in findings)])
    for item in findings:
        yield f"{item.state.value:<8} {item.item:<{width}} {item.detail}"
        if item.remedy:
            yield f"{'':<{width + 9}} -> {item.remedy}"
