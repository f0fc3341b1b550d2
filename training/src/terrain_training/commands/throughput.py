"""`terrain-train throughput`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from terrain_seg_ros.report.output_place import check_output_file, holds_json, write_whole
from terrain_training.benchmarks.throughput import measure_throughput
from terrain_training.commands.common import (
    add_data,
    add_overrides,
    add_recipe,
    add_short_overrides,
    add_threads,
    positive,
    use_threads,
)
from terrain_training.recipe.load import load_recipe

HELP = "compare the trainer's images per second with a bare loop's, and give its memory"
EXAMPLES = (
    "terrain-train throughput mars_navcam --data data/ai4mars",
    "terrain-train throughput mars_navcam_small --data data/ai4mars --batch 32",
)
INTERRUPTED = "run the same command again to start over"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    add_recipe(parser)
    add_data(parser)
    add_overrides(parser)
    add_short_overrides(parser)
    parser.add_argument(
        "--batches", type=positive, default=30, metavar="N", help="batches per round"
    )
    parser.add_argument(
        "--rounds", type=positive, default=3, metavar="N", help="rounds of each, in turns"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the figures to this file as JSON"
    )
    add_threads(parser)


def run(options: argparse.Namespace) -> int:
    """Measure and print both.

    Raises:
        ConfigError: recipe or data cannot be used.
    """
    use_threads(options)
    if options.json is not None:
        own = holds_json("recipe", "trainer_per_s", "bare_per_s")
        check_output_file(options.json, option="--json", is_own=own)
    recipe = load_recipe(options.recipe, overrides=options.overrides)
    figures = measure_throughput(
        recipe,
        options.data,
        batches=options.batches,
        rounds=options.rounds,
        skip_bad=options.skip_bad,
    )
    print(f"trainer    {figures.trainer_per_s:8.2f} images/s")
    print(f"bare loop  {figures.bare_per_s:8.2f} images/s")
    print(f"ratio      {figures.ratio:8.3f}   ({figures.device}, batches of {figures.batch_size})")
    trainer, loader = figures.memory_mb
    print(f"memory     {trainer:8.0f} MB    (a loading process {loader:.0f} MB)")
    if options.json is not None:
        write_whole(options.json, json.dumps(figures.to_json(), indent=2) + "\n")
    return 0
