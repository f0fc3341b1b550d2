"""`terrain-seg models list` and `terrain-seg models show`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from typing import Any

from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.core.model_card import ModelCard, card_content
from terrain_seg_ros.model_store.model_store import (
    added_models,
    load_card,
    load_files,
    shipped_models,
)
from terrain_seg_ros.model_store.synthetic_model import SYNTHETIC


def declare_list(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `list`."""
    # SUPPRESS keeps what the option gave before the word `list`.
    parser.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="print the cards as JSON"
    )


def declare_show(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `show`."""
    parser.add_argument("model", metavar="NAME|PATH", help="listed model, or a model's folder")
    parser.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="print the card as JSON"
    )


def run_list(arguments: argparse.Namespace) -> int:
    """Print a line for each model, or all cards as JSON.

    Raises:
        ModelError: a card cannot be used and JSON is wanted.
    """
    names = [*shipped_models(), *added_models()]
    if arguments.json:
        print(_json([card_content(load_card(name)) for name in names]))
        return 0
    if not names:
        print("no model is shipped with this installation; name a path with --model")
    for name in names:
        print(_line(name))
    return 0


def run_show(arguments: argparse.Namespace) -> int:
    """Print the card of a model, listed or not.

    Raises:
        ModelError: the model is missing, or its card cannot be used.
    """
    card = load_card(arguments.model)
    if arguments.json:
        print(_json(card_content(card)))
    else:
        print("\n".join(_card_lines(card, _digest(arguments.model))))
    return 0


def _line(name: str) -> str:
    try:
        return f"{_summary(name, load_card(name))}; digest {_digest(name)[:16]}"
    except ModelError as error:
        return f"{name}: cannot be used: {error}"


def _digest(name: str) -> str:
    """Return the digest over a model's files; empty for the one without files."""
    return "" if name == SYNTHETIC else load_files(name).digest


def _json(content: Any) -> str:
    return json.dumps(content, indent=2)


def _summary(name: str, card: ModelCard) -> str:
    score = card.metrics.get("mean_iou")
    known = f"mean IoU {score:.3f}" if isinstance(score, (int, float)) else "no score"
    return (
        f"{name} {card.version}: {', '.join(card.taxonomy.names)}; "
        f"{card.width_px}x{card.height_px} {card.channels}; {card.precision}; {known}"
    )


def _card_lines(card: ModelCard, digest: str) -> Iterator[str]:
    yield f"{card.name} {card.version}"
    yield f"  input: {card.width_px}x{card.height_px} {card.channels}, {card.resize}"
    made = f", made from {card.lowered_from_sha256[:16]}..." if card.lowered_from_sha256 else ""
    yield f"  precision: {card.precision}{made}"
    yield f"  temperature: {card.temperature:g}, opset: {card.opset}, sha256: {card.sha256[:16]}..."
    if digest:
        yield f"  digest of card, golden image and network: {digest}"
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
