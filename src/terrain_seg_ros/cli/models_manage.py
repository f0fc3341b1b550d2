"""`terrain-seg models pin` and `terrain-seg models remove`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.model_store.model_pins import Pin, release_pin, set_pin
from terrain_seg_ros.model_store.model_store import (
    added_models,
    load_model,
    shipped_models,
    user_models_folder,
)
from terrain_seg_ros.model_store.model_trust import ModelTrust
from terrain_seg_ros.model_tools.model_remove import remove_model


def declare_pin(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `pin`."""
    parser.add_argument("name", metavar="NAME", help="listed model")
    parser.add_argument("--release", action="store_true", help="delete the pin instead")


def declare_remove(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `remove`."""
    parser.add_argument("name", metavar="NAME", help="model that you added or wrapped")


def run_pin(arguments: argparse.Namespace) -> int:
    """Accept only the present files of a model under its name, or end that.

    Raises:
        ModelError: there is no such model, it is broken or pinned to other files.
    """
    name: str = arguments.name
    models = user_models_folder()
    if arguments.release:
        was = release_pin(models, name)
        print(f"{name} is no longer pinned" if was else f"{name} was not pinned")
        return 0
    known = [*shipped_models(), *added_models()]
    if name not in known:
        raise ModelError(f"there is no model {name!r} to pin; there are {known}")
    for pinned in _pin_all(name, models):
        print(pinned)
    return 0


def _pin_all(name: str, models: Path) -> Iterator[str]:
    """Pin a model and the files of lower precision that belong to it; yield a line for each."""
    model = load_model(name, ModelTrust(renews_pin=True))
    found = [(name, model)]
    found += [(file.onnx_path.parent.name, file) for file in model.lowered if file.onnx_path]
    for pinned, file in found:
        set_pin(models, pinned, Pin(file.digest, file.card.sha256.lower()))
        yield f"{pinned} {file.card.version} is pinned to digest {file.digest}"


def run_remove(arguments: argparse.Namespace) -> int:
    """Delete an added model.

    Raises:
        ModelError: the model is shipped or was not added.
    """
    name: str = arguments.name
    print(f"{name} is removed from {remove_model(name, user_models_folder()).parent}")
    return 0
