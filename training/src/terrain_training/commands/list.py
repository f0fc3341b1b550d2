"""`terrain-train list`."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable, Iterable
from typing import Any

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
EXAMPLES = ("terrain-train list", "terrain-train list encoders")
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


def run(options: argparse.Namespace) -> int:
    """Print one list, or all of them."""
    if options.what is not None:
        head, rows = LISTS[options.what]
        print_table(head, rows())
        return 0
    for name, (head, rows) in LISTS.items():
        print(f"{name}\n{'-' * len(name)}")
        if name == "encoders":
            count = len(encoder_names())
            print(f"{count} by name and those of timm; see `terrain-train list encoders`\n")
            continue
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
    return [(name, _source_options(name), _module_line(SOURCES[name])) for name in SOURCES]


def _source_options(name: str) -> str:
    options = [item for item in _options(SOURCES[name]) if not item.startswith("palette")]
    if REMOVED not in source_options(name):
        options.append(f"{REMOVED}=[]")
    return ", ".join(options)


def _networks() -> list[Row]:
    rows: list[Row] = []
    for name, kind in NETWORKS.items():
        options = [item for item in _options(kind.build) if item not in ("in_channels", "classes")]
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
    return [
        (name, ", ".join(_options(apply)) or "-", _first_line(apply))
        for name, apply in AUGMENTATIONS.items()
    ]


def _options(function: Callable[..., Any]) -> Iterable[str]:
    """Return the keyword arguments of a function, with their defaults where they have one."""
    for name, item in inspect.signature(function).parameters.items():
        if item.kind is item.KEYWORD_ONLY:
            yield name if item.default is item.empty else f"{name}={as_yaml(item.default)}"


def _first_line(thing: object) -> str:
    text = (inspect.getdoc(thing) or "").splitlines()[0]
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
