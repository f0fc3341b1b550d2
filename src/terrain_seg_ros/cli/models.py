"""List the models, show one card, or change the user's own models."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from terrain_seg_ros.cli.models_add import add_model
from terrain_seg_ros.cli.models_manage import pin_model, remove
from terrain_seg_ros.cli.models_sign import generate_key, sign
from terrain_seg_ros.cli.models_wrap import add_wrap_arguments, wrap
from terrain_seg_ros.core.errors import ConfigError, ModelError
from terrain_seg_ros.core.model_card import ModelCard, card_content
from terrain_seg_ros.model_store.model_store import (
    added_models,
    load_card,
    load_files,
    shipped_models,
)
from terrain_seg_ros.model_store.synthetic_model import SYNTHETIC

NAME = "models"
HELP = "list the models with their cards; add, wrap, pin, sign or remove your own"
ADD, LIST, PIN, REMOVE, WRAP = "add", "list", "pin", "remove", "wrap"
KEYGEN, SIGN = "keygen", "sign"

_COMMON = {"model", "source"}
_TAKES = {
    ADD: {"sha256", "name", "allow_http", "json"},
    PIN: {"release"},
    REMOVE: set[str](),
    SIGN: {"key"},
    KEYGEN: {"key"},
}
"""The options of each action; those of wrapping are the others."""
_ACTIONS = {
    ADD: add_model,
    PIN: pin_model,
    REMOVE: remove,
    WRAP: wrap,
    SIGN: sign,
    KEYGEN: generate_key,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.usage = (
        "%(prog)s [list | NAME | PATH] [--json]\n"
        "       %(prog)s add URL|FILE --sha256 HEX [--name NAME] [--allow-http]\n"
        "       %(prog)s wrap FILE.onnx --name NAME --version V --classes NAME:HAZARD,... [...]\n"
        "       %(prog)s pin NAME [--release]\n"
        "       %(prog)s keygen --key FILE\n"
        "       %(prog)s sign NAME|PATH --key FILE\n"
        "       %(prog)s remove NAME"
    )
    parser.add_argument(
        "model",
        nargs="?",
        metavar="list|add|wrap|pin|keygen|sign|remove|NAME|PATH",
        help="list all (also without it), or show this model's card, listed or not; add a "
        "published model, wrap a network, pin a name to its files, make a pair of keys, sign a "
        "model, remove an added model",
    )
    parser.add_argument(
        "source",
        nargs="?",
        metavar="URL|FILE|NAME",
        help="of add: a .zip or .tar.gz of model.onnx, card.json, golden.npz and README.md; of "
        "wrap: an .onnx file; of pin and remove: the model's name; of sign: also a folder",
    )
    parser.add_argument("--json", action="store_true", help="print the card, or all, as JSON")
    parser.add_argument("--name", help="of add and wrap: the model's new name")
    adding = parser.add_argument_group("adding a model")
    adding.add_argument("--sha256", metavar="HEX", help="of the archive, as its publisher tells it")
    adding.add_argument(
        "--allow-http", action="store_true", help="fetch unencrypted; the hash is still checked"
    )
    pinning = parser.add_argument_group("pinning a model")
    pinning.add_argument("--release", action="store_true", help="let go of the pin")
    signing = parser.add_argument_group("signing a model")
    signing.add_argument("--key", type=Path, metavar="FILE", help="the private key (Ed25519, PEM)")
    add_wrap_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the list or the card, or do what the action says.

    Raises:
        ConfigError: an argument is missing or too many, or the model cannot be fetched.
        ModelError: the model is missing, or it or its card cannot be used.
        InferenceError: a new model cannot be tested here.
    """
    _check_options(arguments)
    if arguments.model in _ACTIONS:
        return _ACTIONS[arguments.model](arguments)
    if arguments.model not in {None, LIST}:
        card = load_card(arguments.model)
        if arguments.json:
            print(_json(card_content(card)))
        else:
            print("\n".join(_card_lines(card, _digest(arguments.model))))
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


def _check_options(arguments: argparse.Namespace) -> None:
    given = {
        name for name, value in vars(arguments).items() if value is not None and value is not False
    }
    given -= _COMMON
    action = arguments.model
    if action not in _ACTIONS:
        wrong = given - {"json"}
        if arguments.source is not None:
            raise ConfigError(
                f"{arguments.source!r} and what follows it belong to `terrain-seg models` add, "
                "wrap, pin, sign or remove"
            )
    elif action == WRAP:
        wrong = given & (set().union(*_TAKES.values()) - {"name"})
    else:
        wrong = given - _TAKES[action]
    if wrong:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(wrong))
        raise ConfigError(
            f"{names} belong to another action of `terrain-seg models` than {action or LIST!r}; "
            "see its --help"
        )


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
