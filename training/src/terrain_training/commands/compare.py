"""`terrain-train compare`."""

from __future__ import annotations

import argparse
import os
import platform
from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.fleet.arguments import add_cluster_argument
from terrain_seg_ros.report.output_place import check_output_folder
from terrain_training.commands.common import (
    add_data,
    add_machine,
    add_overrides,
    add_short_overrides,
    add_threads,
    machine_of,
    print_table,
    use_threads,
)
from terrain_training.comparison.compare import CompareRequest, compare
from terrain_training.comparison.plan import read_items
from terrain_training.comparison.report import (
    PAGE_FILE,
    is_own_comparison,
    write_comparison_report,
)

HELP = "train, evaluate and export several recipes or runs, and compare them"
EXAMPLES = (
    "terrain-train compare lunar_gwu lunar_resnet18 --data data/lunar --out out/compare",
    "terrain-train compare runs/mine-1 runs/mine-2 --data data/mine --out out/compare",
)
INTERRUPTED = "the same command resumes"
EXIT_INCOMPLETE = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "items",
        nargs="+",
        type=Path,
        metavar="ITEM",
        help="recipe (name or file), folder of a run, or plan",
    )
    add_data(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for the table and the runs"
    )
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="additional data of the same source, evaluated completely; may be repeated",
    )
    add_overrides(parser)
    add_short_overrides(parser)
    add_machine(parser)
    add_threads(parser)
    add_cluster_argument(parser, "rows")


def run(options: argparse.Namespace) -> int:
    """Make every row, print the table; exit code 1 where a row failed.

    Raises:
        ConfigError: an item, plan or argument is wrong.
    """
    threads = use_threads(options)
    check_output_folder(options.out, option="--out", is_own=is_own_comparison)
    items = read_items(
        options.items,
        data=options.data,
        also=_named(options.also),
        overrides=options.overrides,
        out=options.out,
    )
    request = CompareRequest(
        machine=machine_of(options),
        skip_bad=options.skip_bad,
        threads=threads if options.cluster is None else options.threads or 1,
        cluster=options.cluster,
    )
    machine = _machine() if options.cluster is None else "workers of a Dask cluster"
    options.out.mkdir(parents=True, exist_ok=True)
    made = {}
    for index, row in compare(items, request, out=options.out):
        made[index] = row
        rows = [made[place] for place in sorted(made)]
        # Written after each row: a comparison takes long, and nothing is to be lost.
        table = write_comparison_report(rows, options.out, title="Comparison", machine=machine)
    print_table(table[0], table[1:])
    print(f"report {options.out / PAGE_FILE}")
    failed = [row for row in rows if row.error is not None]
    for row in failed:
        print(f"{row.name} failed: {row.error}")
    return EXIT_INCOMPLETE if failed else 0


def _named(texts: list[str]) -> dict[str, Path]:
    named = {}
    for text in texts:
        name, separator, path = text.partition("=")
        if not separator or not name or not path:
            raise ConfigError(f"--also {text!r}: expected NAME=PATH")
        named[name] = Path(path)
    return named


def _machine() -> str:
    return f"{platform.machine()}, {os.cpu_count()} CPU cores"
