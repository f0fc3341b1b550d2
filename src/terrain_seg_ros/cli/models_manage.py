"""Pin and remove models: `terrain-seg models pin` and `terrain-seg models remove`."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError, ModelError
from terrain_seg_ros.model_store.model_pins import Pin, release_pin, set_pin
from terrain_seg_ros.model_store.model_store import (
    added_models,
    load_model,
    shipped_models,
    user_models_folder,
)
from terrain_seg_ros.model_store.model_trust import ModelTrust
from terrain_seg_ros.model_tools.model_remove import remove_model


def pin_model(arguments: argparse.Namespace) -> int:
    """Let a name stand for the files it stands for now and no others, or end that.

    Raises:
        ConfigError: no name is given.
        ModelError: there is no such model, it is broken or pinned to other files.
    """
    name = _name(arguments, "pin")
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
    """Pin the model and the files of lower precision that come with it, and tell of each."""
    model = load_model(name, ModelTrust(renews_pin=True))
    found = [(name, model)]
    found += [(file.onnx_path.parent.name, file) for file in model.lowered if file.onnx_path]
    for pinned, file in found:
        set_pin(models, pinned, Pin(file.digest, file.card.sha256.lower()))
        yield f"{pinned} {file.card.version} is pinned to digest {file.digest}"


def remove(arguments: argparse.Namespace) -> int:
    """Delete an added model.

    Raises:
        ConfigError: no name is given.
        ModelError: the model is shipped or was not added.
    """
    name = _name(arguments, "remove")
    print(f"{name} is removed from {remove_model(name, user_models_folder()).parent}")
    return 0


def _name(arguments: argparse.Namespace, action: str) -> str:
    if arguments.source is None:
        raise ConfigError(f"models {action} wants the model's name after `{action}`")
    return str(arguments.source)
