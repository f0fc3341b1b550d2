"""`terrain-train list`."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

from terrain_training import parts
from terrain_training.augmentation.albumentations_pipeline import NAME as ALBUMENTATIONS
from terrain_training.augmentation.registry import AUGMENTATIONS
from terrain_training.commands.common import print_table
from terrain_training.data.factory import SOURCES, source_options
from terrain_training.data.remaining import REMOVED
from terrain_training.losses import LOSSES
from terrain_training.networks.registry import NETWORKS
from terrain_training.networks.smp_network import (
    ARCHITECTURES,
    encoder_names,
    fetchable_weights,
)
from terrain_training.recipe.load import load_recipe
from terrain_training.recipe.shipped import shipped_recipes
from terrain_training.settings.recipe import Recipe
from terrain_training.yaml_file import as_yaml

HELP = "list recipes, data sources, networks, encoders, losses and augmentations"
EXAMPLES = ("terrain-train list encoders", "terrain-train list networks --parts parts.py")
INTERRUPTED = "run the same command again to start over"

Row = tuple[str, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "what",
        nargs="?",
        choices=LISTS,
        help="one list (default: all, encoders in short)",
    )
    parser.add_argument(
        "--parts",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="Python file with own parts, to list them too; its code runs; may be repeated",
    )


def run(options: argparse.Namespace) -> int:
    """Print one list, or all of them."""
    files = [parts.part_file(path) for path in options.parts]
    if options.what is not None:
        head, rows = LISTS[options.what]
        parts.activate(files)
        print_table(head, rows())
        return 0
    for name, (head, rows) in LISTS.items():
        print(f"{name}\n{'-' * len(name)}")
        if name == "encoders":
            count = len(encoder_names())
            print(f"{count} by name and those of timm; see `terrain-train list encoders`\n")
            continue
        parts.activate(files)  # recipes have their own
        print_table(head, rows())
        print()
    return 0


def _recipes() -> list[Row]:
    return [_recipe_row(load_recipe(name)) for name in shipped_recipes()]


def _recipe_row(recipe: Recipe) -> Row:
    data = recipe.data
    size = f"{data.width_px}x{data.height_px} {data.channels}"
    return (recipe.name, data.source, size, recipe.description)


def _sources() -> list[Row]:
    rows: list[Row] = []
    for name, source in SOURCES.items():
        own = SOURCES.part(name) is not None
        rows.append((name, _source_options(name), (_first_line if own else _module_line)(source)))
    return rows


def _source_options(name: str) -> str:
    options = [
        item
        for item in _options(SOURCES[name], parts.GIVEN["sources"])
        if not item.startswith("palette")
    ]
    if REMOVED not in source_options(name):
        options.append(f"{REMOVED}=[]")
    return ", ".join(options)


def _networks() -> list[Row]:
    rows: list[Row] = []
    for name, kind in NETWORKS.items():
        options = _options(kind.build, parts.GIVEN["networks"])
        text = _first_line(kind.build)
        if name == "smp":
            text = f"{text} Architectures: {', '.join(ARCHITECTURES)}."
        rows.append((name, ", ".join(options), text))
    return rows


def _encoders() -> list[Row]:
    rows = [(name, ", ".join(fetchable_weights(name)) or "-") for name in encoder_names()]
    return [*rows, ("tu-NAME", "any encoder of timm by its name there")]


def _losses() -> list[Row]:
    return [(name, _first_line(loss)) for name, loss in LOSSES.items()]


def _augmentations() -> list[Row]:
    rows: list[Row] = [
        (name, ", ".join(_options(apply, parts.GIVEN["augmentations"])) or "-", _first_line(apply))
        for name, apply in AUGMENTATIONS.items()
    ]
    text = "A pipeline that Albumentations saved (extra albumentations)"
    return [*rows, (ALBUMENTATIONS, "pipeline", text)]


def _options(function: Callable[..., Any], given: Collection[str]) -> Iterable[str]:
    """Return the options of a function, with their defaults where they have one."""
    for name, item in inspect.signature(function).parameters.items():
        if name not in given and not name.startswith("_"):
            yield name if item.default is item.empty else f"{name}={as_yaml(item.default)}"


def _first_line(thing: object) -> str:
    text = next(iter((inspect.getdoc(thing) or "").splitlines()), "-")
    text = text.removeprefix("Return ")
    return text[:1].upper() + text[1:]


def _module_line(thing: object) -> str:
    module = inspect.getmodule(thing)
    return _first_line(module)


LISTS: dict[str, tuple[Row, Callable[[], list[Row]]]] = {
    "recipes": (("recipe", "source", "input", "description"), _recipes),
    "sources": (("source", "options (data.options)", "data"), _sources),
    "networks": (("network", "options (network.options)", "network"), _networks),
    "encoders": (("encoder", "weights that the library can fetch"), _encoders),
    "losses": (("loss", "meaning"), _losses),
    "augmentations": (("augmentation", "options beside probability", "meaning"), _augmentations),
}
