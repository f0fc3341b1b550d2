"""`terrain-seg doctor`: report what is installed and usable."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import asdict

from terrain_seg_ros.doctor.checks import examine
from terrain_seg_ros.doctor.finding import Finding, State


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of this command."""
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")


def run(arguments: argparse.Namespace) -> int:
    """Print the findings and return 0, or 1 if something that is needed is missing."""
    findings = list(examine())
    if arguments.json:
        print(json.dumps({"findings": [asdict(item) for item in findings]}, indent=2))
    else:
        print("\n".join(_lines(findings)))
    return int(any(item.state is State.MISSING for item in findings))


def _lines(findings: Iterable[Finding]) -> Iterable[str]:
    for item in findings:
        yield f"{item.state.value:<8} {item.item:<12} {item.detail}"
        if item.remedy:
            yield f"{'':<21} -> {item.remedy}"
