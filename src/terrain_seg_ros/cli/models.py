"""List the shipped models, or show one card."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from typing import Any

from terrain_seg_ros.core.model_card import ModelCard, card_content
from terrain_seg_ros.inference.model_store import load_card, shipped_models

NAME = "models"
HELP = "list the shipped models with their cards"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "model", nargs="?", metavar="NAME|PATH", help="show this model's card, shipped or not"
    )
    parser.add_argument("--json", action="store_true", help="print the card, or all, as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Print the list or the card.

    Raises:
        ModelError: the model is missing, or its card cannot be used.
    """
    if arguments.model is not None:
        card = load_card(arguments.model)
        print(_json(card_content(card)) if arguments.json else "\n".join(_card_lines(card)))
        return 0
    cards = [load_card(name) for name in shipped_models()]
    if arguments.json:
        print(_json([card_content(card) for card in cards]))
        return 0
    if not cards:
        print("no model is shipped with this installation; give commands a path with --model")
    for card in cards:
        print(_summary(card))
    return 0


def _json(content: Any) -> str:
    return json.dumps(content, indent=2)


def _summary(card: ModelCard) -> str:
    score = card.metrics.get("mean_iou")
    known = f"mean IoU {score:.3f}" if isinstance(score, (int, float)) else "no score"
    return (
        f"{card.name} {card.version}: {', '.join(card.taxonomy.names)}; "
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
