"""List the models, show one card, or add a published model."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from typing import Any

from terrain_seg_ros.cli.models_add import add_model
from terrain_seg_ros.core.errors import ConfigError, ModelError
from terrain_seg_ros.core.model_card import ModelCard, card_content
from terrain_seg_ros.inference.model_store import added_models, load_card, shipped_models

NAME = "models"
HELP = "list the models with their cards, or add a published one"
ADD = "add"
LIST = "list"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.usage = (
        "%(prog)s [list | NAME | PATH] [--json]\n"
        "       %(prog)s add URL|FILE --sha256 HEX [--name NAME] [--allow-http]"
    )
    parser.add_argument(
        "model",
        nargs="?",
        metavar="list|add|NAME|PATH",
        help="list all (also without it), add one, or show this model's card, listed or not",
    )
    parser.add_argument(
        "source",
        nargs="?",
        metavar="URL|FILE",
        help="of add: a .zip or .tar.gz of model.onnx, card.json, golden.npz and README.md",
    )
    parser.add_argument("--json", action="store_true", help="print the card, or all, as JSON")
    adding = parser.add_argument_group("adding a model")
    adding.add_argument("--sha256", metavar="HEX", help="of the archive, as its publisher tells it")
    adding.add_argument("--name", help="the model's new name; its card's where absent")
    adding.add_argument(
        "--allow-http", action="store_true", help="fetch unencrypted; the hash is still checked"
    )


def run(arguments: argparse.Namespace) -> int:
    """Print the list or the card, or add a model.

    Raises:
        ConfigError: an argument is missing or too many, or the model cannot be fetched.
        ModelError: the model is missing, or it or its card cannot be used.
    """
    if arguments.model == ADD:
        return add_model(arguments)
    given = [arguments.source, arguments.sha256, arguments.name, arguments.allow_http or None]
    if any(value is not None for value in given):
        raise ConfigError(
            "URL|FILE, --sha256, --name and --allow-http belong to `terrain-seg models add`"
        )
    if arguments.model not in {None, LIST}:
        card = load_card(arguments.model)
        print(_json(card_content(card)) if arguments.json else "\n".join(_card_lines(card)))
        return 0
    names = [*shipped_models(), *added_models()]
    if arguments.json:
        print(_json([card_content(load_card(name)) for name in names]))
        return 0
    if not names:
        print("no model is shipped with this installation; give commands a path with --model")
    for name in names:
        print(_line(name))
    return 0


def _line(name: str) -> str:
    try:
        return _summary(name, load_card(name))
    except ModelError as error:
        return f"{name}: cannot be used: {error}"


def _json(content: Any) -> str:
    return json.dumps(content, indent=2)


def _summary(name: str, card: ModelCard) -> str:
    score = card.metrics.get("mean_iou")
    known = f"mean IoU {score:.3f}" if isinstance(score, (int, float)) else "no score"
    return (
        f"{name} {card.version}: {', '.join(card.taxonomy.names)}; "
        f"{card.width_px}x{card.height_px} {card.channels}; {known}"
    )


def _card_lines(card: ModelCard) -> Iterator[str]:
    yield f"{card.name} {card.version}"
    yield f"  input: {card.width_px}x{card.height_px} {card.channels}, {card.resize}"
    yield f"  temperature: {card.temperature:g}, opset: {card.opset}, sha256: {card.sha256[:16]}..."
    yield "classes"
    for item in card.taxonomy:
        yield f"  {item.id} {item.name}: hazard {item.hazard:g}, color_rgb {list(item.color_rgb)}"
    for title, content in (("metrics", card.metrics), ("training", card.training)):
        if content:
            yield title
            yield from _tree_lines(content, "  ")
    if card.limits:
        yield "limits"
        yield from (f"  - {limit}" for limit in card.limits)


def _tree_lines(content: Mapping[str, Any], indent: str) -> Iterator[str]:
    for key, value in content.items():
        if isinstance(value, Mapping):
            yield f"{indent}{key}:"
            yield from _tree_lines(value, indent + "  ")
        elif isinstance(value, list) and any(isinstance(item, (Mapping, str)) for item in value):
            yield f"{indent}{key}:"
            yield from (f"{indent}  - {_item(item)}" for item in value)
        else:
            yield f"{indent}{key}: {value}"


def _item(item: Any) -> str:
    if isinstance(item, Mapping):
        return ", ".join(f"{key} {value}" for key, value in item.items())
    return str(item)
