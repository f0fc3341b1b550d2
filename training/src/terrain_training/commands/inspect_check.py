"""`terrain-train inspect-check`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from terrain_seg_ros.report.output_place import check_output_file, holds_json, write_whole
from terrain_training.commands.common import add_overrides, positive, print_table, share
from terrain_training.commands.inspect import open_data
from terrain_training.inspection.plant_check import Tally, plant_check
from terrain_training.inspection.planting import kinds_of

EXAMPLES = (
    "terrain-train inspect-check data/ai4mars --seeds 3",
    "terrain-train inspect-check data/mine --recipe my_terrain.yaml --foreign photos",
)
INTERRUPTED = "nothing was written; run the same command again to start over"
HELP = "plant foreign images in a data set and count how many `inspect` finds"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("data", type=Path, metavar="DATA", help="a data set without foreign images")
    parser.add_argument("--recipe", type=Path, metavar="YAML", help="names source and classes")
    add_overrides(parser)
    parser.add_argument(
        "--foreign",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="folder of further images to plant beside the generated ones; may be repeated",
    )
    parser.add_argument(
        "--sizes",
        type=positive,
        nargs="+",
        default=[255, 600],
        metavar="N",
        help="sizes of the sets, including foreign images (default 255 600)",
    )
    parser.add_argument(
        "--share", type=share, default=0.05, help="share of foreign images (default %(default)s)"
    )
    parser.add_argument(
        "--seeds", type=positive, default=1, metavar="N", help="number of sets per size (default 1)"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the figures to this file as JSON"
    )


def run(options: argparse.Namespace) -> int:
    """Measure and print a table.

    Raises:
        ConfigError: recipe, data or a folder cannot be used.
    """
    if options.json is not None:
        own = holds_json("sets")
        check_output_file(options.json, option="--json", is_own=own)
    _, source, _ = open_data(options)
    kinds = kinds_of(options.foreign)
    tallies = plant_check(
        source, kinds, sizes=options.sizes, share=options.share, seeds=options.seeds
    )
    _print(tallies)
    if options.json is not None:
        content = {"sets": [_figures(tally) for tally in tallies]}
        text = json.dumps(content, indent=2) + "\n"
        write_whole(options.json, text)
    return 0


def _print(tallies: list[Tally]) -> None:
    names = list(dict.fromkeys(name for tally in tallies for name in tally.planted))
    head = ["", *(f"{tally.size} samples" for tally in tallies)]
    rows = [
        [name, *(f"{tally.found[name]} of {tally.planted[name]}" for tally in tallies)]
        for name in names
    ]
    rows.append(["found", *(f"{100 * tally.recall:.1f} %" for tally in tallies)])
    rows.append(
        ["of those named foreign", *(f"{100 * tally.precision:.1f} %" for tally in tallies)]
    )
    rows.append(
        ["named in a clean set", *(f"{t.clean_alarms / t.clean_sets:.1f}" for t in tallies)]
    )
    print_table(head, rows)


def _figures(tally: Tally) -> dict[str, object]:
    return {
        "samples": tally.size,
        "recall": round(tally.recall, 4),
        "precision": round(tally.precision, 4),
        "named_in_a_clean_set": tally.clean_alarms / tally.clean_sets,
        "kinds": {
            name: {"planted": count, "found": tally.found[name]}
            for name, count in tally.planted.items()
        },
    }
