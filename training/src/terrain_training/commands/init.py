"""`terrain-train init`."""

from __future__ import annotations

import argparse
from pathlib import Path

from terrain_training.commands.common import print_table
from terrain_training.preparation.prepare import BASE, Prepared, default_recipe, prepare

HELP = "look at a folder of images and labels, and write a recipe and a sheet for it"
EXAMPLES = (
    "terrain-train init data/my_rocks",
    "terrain-train init data/coco --out recipes/coco.yaml --base mars_navcam_small",
)
INTERRUPTED = "nothing was written; run the same command again to start over"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "data",
        type=Path,
        metavar="DATA",
        help="folder of images and labels: images and masks in folders or side by side, Pascal "
        "VOC, Cityscapes, COCO, or labelme; it is only read",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="RECIPE.yaml",
        help="recipe to write, with RECIPE.png beside it, and RECIPE_data where the layout must be "
        "converted (default: the name of DATA, in the working folder)",
    )
    parser.add_argument(
        "--sheet",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="write RECIPE.png: images, labels, and the shares of the classes (default: yes)",
    )
    parser.add_argument(
        "--base",
        default=BASE,
        metavar="RECIPE",
        help="shipped recipe whose network and training the new one takes (default %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Write the recipe and print what was found, what was assumed and the next command.

    Raises:
        ConfigError: the folder is not a data set, or something is in the way.
    """
    out = options.out or default_recipe(options.data)
    print_prepared(prepare(options.data, out=out, sheet=options.sheet, base=options.base))
    return 0


def print_prepared(prepared: Prepared) -> None:
    """Print what was found and assumed, the classes, the files and the next command."""
    print("\n".join(f"found     {text}" for text in prepared.found))
    print("\n".join(f"assumed   {text}" for text in prepared.assumed))
    counts = ", ".join(f"{count} {split}" for split, count in prepared.images.items())
    print(f"images    {counts}\n")
    print_table(
        ("class", "share", "hazard", "colour"),
        [
            (
                item.name,
                f"{prepared.shares[item.name]:.1%}",
                f"{item.hazard:g}",
                "#{:02x}{:02x}{:02x}".format(*item.color_rgb),
            )
            for item in prepared.taxonomy
        ],
    )
    print(f"\nrecipe    {prepared.recipe}: check names and hazards of the classes")
    if prepared.sheet is not None:
        print(f"sheet     {prepared.sheet}")
    print("\n".join(f"next      {command}" for command in prepared.commands))
