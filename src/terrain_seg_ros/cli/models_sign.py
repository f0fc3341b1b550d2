"""Sign models: `terrain-seg models keygen` and `terrain-seg models sign`."""

from __future__ import annotations

import argparse
from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.model_store.model_signature import make_key, sign_model
from terrain_seg_ros.model_store.model_store import load_files, load_model


def generate_key(arguments: argparse.Namespace) -> int:
    """Make a pair of keys and say what each is for.

    Raises:
        ConfigError: no file is named, or one exists, or the package cryptography is missing.
    """
    if arguments.source is not None:
        raise ConfigError(f"models keygen takes --key FILE alone, not {arguments.source!r}")
    private, public = make_key(_key(arguments, "keygen").expanduser())
    print(f"{private} signs models; keep it off the vehicle")
    print(f"{public} goes onto the vehicle; name it in the parameter model_public_key")
    return 0


def sign(arguments: argparse.Namespace) -> int:
    """Sign a model and the files of lower precision that come with it.

    Raises:
        ConfigError: an argument is missing, or the key or a folder cannot be used.
        ModelError: the model is broken or pinned to other files.
        InferenceError: its network cannot be tried.
    """
    if arguments.source is None:
        raise ConfigError("models sign wants the model's name or folder after `sign`")
    key = _key(arguments, "sign")
    model = load_model(arguments.source)
    for file in (model, *model.lowered):
        if file.onnx_path is None:
            raise ConfigError(f"model {file.card.name!r} has no files to sign; name another one")
        found = load_files(file.onnx_path)
        if found.digest != file.digest:
            raise ConfigError(f"{file.onnx_path}: changed while it was read; sign it again")
        print(f"{file.card.name} {file.card.version}: digest {found.digest}")
        print(f"  signed in {sign_model(found, key)}")
    return 0


def _key(arguments: argparse.Namespace, action: str) -> Path:
    if arguments.key is None:
        raise ConfigError(f"models {action} wants --key FILE: the private key")
    return Path(arguments.key)
