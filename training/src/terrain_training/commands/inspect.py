"""`terrain-train inspect`."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.report.output_place import check_output_folder, has_own_file, holds_json
from terrain_training.augmentation.registry import build_augmentation
from terrain_training.commands.common import add_overrides, positive
from terrain_training.data.contract import Source
from terrain_training.data.detect import detect_source
from terrain_training.data.factory import SOURCES, open_source
from terrain_training.data.remaining import RemainingSource
from terrain_training.data.removal_list import read_removal_list
from terrain_training.inspection.augmented import write_augmented
from terrain_training.inspection.report import PAGE_FILE, SUMMARY_FILE, inspect
from terrain_training.learning.loaders import TRAIN
from terrain_training.recipe.load import load_recipe
from terrain_training.settings.recipe import Recipe

HELP = "report balance, heat maps, duplicates, foreign images and leakage of a data set"
EXAMPLES = (
    "terrain-train inspect data/ai4mars --out out/inspect",
    "terrain-train inspect data/mine --recipe my_terrain.yaml --augmented --out out/inspect",
)
INTERRUPTED = "run the same command again to start over"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("data", type=Path, metavar="DATA", help="folder or file of the data set")
    parser.add_argument(
        "--recipe",
        type=Path,
        metavar="YAML",
        help="recipe with source, classes and augmentation (default: detect the source by layout)",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for the report"
    )
    add_overrides(parser)
    parser.add_argument(
        "--skip-bad",
        action="store_true",
        help="report unusable samples and skip them, instead of stopping at the first",
    )
    parser.add_argument(
        "--removed",
        type=Path,
        metavar="FILE",
        help="names of samples to leave out, such as an edited suspects.txt",
    )
    parser.add_argument(
        "--like",
        action="append",
        default=[],
        metavar="NAME",
        help="a sample that does not belong; similar ones become suspects; may be repeated",
    )
    parser.add_argument(
        "--augmented",
        action="store_true",
        help="also show image, mask and classes before and after the recipe's augmentation",
    )
    parser.add_argument(
        "--count",
        type=positive,
        default=8,
        metavar="N",
        help="number of samples shown for --augmented",
    )


def run(options: argparse.Namespace) -> int:
    """Inspect, print the main figures and where the report is.

    Raises:
        ConfigError: recipe or data cannot be used.
    """
    own = has_own_file(SUMMARY_FILE, holds_json("samples", "suspects"))
    check_output_folder(options.out, option="--out", is_own=own)
    if options.augmented and options.recipe is None:
        raise ConfigError("--augmented is about a recipe; give one with --recipe")
    name, source, recipe = open_data(options)
    if options.removed is not None:
        source = RemainingSource(source, read_removal_list(options.removed))
    started = time.perf_counter()
    summary = inspect(
        source,
        title=f"{name}: {options.data.name}",
        out=options.out,
        skip_bad=options.skip_bad,
        like=tuple(options.like),
    )
    taken_s = time.perf_counter() - started
    if isinstance(source, RemainingSource):
        print(f"removed          {sum(source.counts.values())} ({source.told()})")
    for line in summary.lines():
        print(line)
    print(f"time             {1000 * taken_s / len(summary.survey.seen):.1f} s per 1,000 samples")
    print(f"report {options.out / PAGE_FILE}")
    if options.augmented and recipe is not None:
        print(f"augmented {_augmented(source, recipe, options)}")
    return 0


def open_data(options: argparse.Namespace) -> tuple[str, Source, Recipe | None]:
    """Return name and source of the data, and the recipe where there is one.

    Raises:
        ConfigError: recipe or data cannot be used.
    """
    if options.recipe is not None:
        recipe = load_recipe(options.recipe, overrides=options.overrides)
        return recipe.data.source, open_source(recipe.data, options.data), recipe
    if options.overrides:
        raise ConfigError("--set is about a recipe; give one with --recipe")
    name = detect_source(options.data)
    return name, SOURCES[name](options.data), None


def _augmented(source: Source, recipe: Recipe, options: argparse.Namespace) -> Path:
    augment = build_augmentation(recipe.augmentation)
    if augment is None:
        raise ConfigError(f"--augmented: recipe {recipe.name!r} has no augmentation; add some")
    return write_augmented(
        source,
        source.names(TRAIN),
        recipe.data,
        augment,
        out=options.out,
        count=options.count,
        seed=recipe.training.seed,
    )
