"""`terrain-train novelty`."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.image.novelty import novelty_of
from terrain_seg_ros.core.model_card import ModelCard
from terrain_seg_ros.model_store.model_files import SIGNATURE_FILE
from terrain_seg_ros.model_store.model_store import load_model
from terrain_seg_ros.report.output_place import check_output_file, holds_json, write_whole
from terrain_training.commands.common import add_data, print_table
from terrain_training.export.model_folder import write_card
from terrain_training.export.novelty import fit_novelty
from terrain_training.export.novelty_shares import (
    NoveltyShare,
    made_images,
    share_of,
    share_of_folder,
    share_of_split,
)
from terrain_training.learning.loaders import OpenData, open_data
from terrain_training.recipe.load import recipe_of

HELP = "measure how many images a model refuses as unlike its training"
EXAMPLES = (
    "terrain-train novelty mars_navcam --images dusk=photos/dusk --images indoors=photos/indoors",
    "terrain-train novelty out/mars_navcam --data data/ai4mars --write",
)
INTERRUPTED = "the card was not changed; run the same command again to start over"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("model", type=Path, metavar="MODEL", help="folder or name of a model")
    parser.add_argument(
        "--images",
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="folder of images to measure, with a name for the table; may be repeated",
    )
    add_data(parser, required=False)
    parser.add_argument("--recipe", type=Path, help="recipe, if the model does not contain its own")
    parser.add_argument(
        "--write",
        action="store_true",
        help="fit the novelty of the model's card to --data, the data that it was trained with, "
        "and write card.json and README.md",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the shares to this file as JSON"
    )


def run(options: argparse.Namespace) -> int:
    """Write the card if asked for, measure, and print a table.

    Raises:
        ConfigError: model, recipe, data or a folder of images cannot be used.
        ModelError: the model cannot be used.
    """
    folders = _folders(options.images)
    if options.write and options.data is None:
        raise ConfigError("--write needs --data, the data that the model was trained with")
    if options.json is not None:
        check_output_file(options.json, option="--json", is_own=holds_json("model", "shares"))
    loaded = load_model(options.model)
    card, folder = loaded.card, _folder_of(loaded.onnx_path, options)
    opened = None if options.data is None else _open(card, folder, options)
    if options.write and opened is not None:
        reference = fit_novelty(opened, card, data=str(card.metrics.get("data", "")))
        card = dataclasses.replace(card, novelty=reference)
        write_card(card, folder)
        print(f"novelty written to the card of {card.name} in {folder}")
    shares = _measure(card, folders, opened)
    print_table(
        ("images", "count", "refused", "share", "median novelty"),
        [
            (
                item.name,
                str(item.count),
                str(item.refused),
                f"{item.share:.1%}",
                f"{item.median:.2f}",
            )
            for item in shares
        ],
    )
    if options.json is not None:
        content = {
            "model": f"{card.name} {card.version}",
            "shares": [dataclasses.asdict(item) for item in shares],
        }
        write_whole(options.json, json.dumps(content, indent=2) + "\n")
    return 0


def _measure(
    card: ModelCard, folders: Mapping[str, Path], opened: OpenData | None
) -> list[NoveltyShare]:
    novelty = novelty_of(card)
    if novelty is None:
        raise ConfigError(
            f"the card of {card.name!r} has no novelty; write it with --write --data DATA"
        )
    shares = []
    if opened is not None:
        shares += [
            share_of_split(novelty, card, opened, split) for split in ("training", "validation")
        ]
    shares += [share_of_folder(novelty, card, name, path) for name, path in folders.items()]
    return shares + [share_of(novelty, card, name, made) for name, made in made_images().items()]


def _folders(texts: list[str]) -> dict[str, Path]:
    folders: dict[str, Path] = {}
    for text in texts:
        name, _, path = text.partition("=")
        if not name or not path:
            raise ConfigError(f"--images is {text!r}, expected NAME=DIR")
        if name in folders:
            raise ConfigError(f"--images names {name!r} twice; give each folder its own name")
        folders[name] = Path(path)
    return folders


def _folder_of(onnx_path: Path | None, options: argparse.Namespace) -> Path:
    if onnx_path is None:
        raise ConfigError(f"model '{options.model}' has no network; name another one")
    if options.write and (onnx_path.parent / SIGNATURE_FILE).is_file():
        raise ConfigError(
            f"model '{options.model}' is signed, and another card makes the signature void; "
            f"remove {SIGNATURE_FILE}, and sign the model again afterwards"
        )
    return onnx_path.parent


def _open(card: ModelCard, folder: Path, options: argparse.Namespace) -> OpenData:
    recipe = recipe_of(card, options.recipe)
    return open_data(recipe, options.data, skip_bad=options.skip_bad, run=folder)
