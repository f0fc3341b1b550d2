"""`terrain-train inspect`."""

from __future__ import annotations

import argparse
from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.augmentation.registry import build_augmentation
from terrain_training.commands.common import add_data, add_overrides, positive
from terrain_training.data.factory import open_source
from terrain_training.inspection.augmented import write_augmented
from terrain_training.inspection.report import inspect
from terrain_training.learning.loaders import TRAIN
from terrain_training.recipe.load import load_recipe

NAME = "inspect"
HELP = "report balance, heat maps, duplicates, foreign images and leakage of a data set"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("recipe", type=Path, help="YAML file that names source and classes")
    add_data(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="of the report")
    add_overrides(parser)
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
        help="show image, mask and classes before and after the recipe's augmentation too",
    )
    parser.add_argument("--count", type=positive, default=8, metavar="N", help="of those samples")


def run(options: argparse.Namespace) -> int:
    """Inspect, print the main figures and where the report is.

    Raises:
        ConfigError: recipe or data cannot be used.
    """
    recipe = load_recipe(options.recipe, overrides=options.overrides)
    source = open_source(recipe.data, options.data)
    summary = inspect(
        source,
        title=f"{recipe.data.source}: {options.data.name}",
        out=options.out,
        skip_bad=options.skip_bad,
        like=tuple(options.like),
    )
    for line in summary.lines():
        print(line)
    print(f"report {options.out / 'index.html'}")
    if not options.augmented:
        return 0
    augment = build_augmentation(recipe.augmentation)
    if augment is None:
        raise ConfigError(f"--augmented: recipe {recipe.name!r} has no augmentation; add some")
    page = write_augmented(
        source,
        source.names(TRAIN),
        recipe.data,
        augment,
        out=options.out,
        count=options.count,
        seed=recipe.training.seed,
    )
    print(f"augmented {page}")
    return 0
