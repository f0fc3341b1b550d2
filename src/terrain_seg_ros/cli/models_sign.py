"""`terrain-seg models keygen` and `terrain-seg models sign`."""

from __future__ import annotations

import argparse
from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.model_store.model_signature import make_key, sign_model
from terrain_seg_ros.model_store.model_store import load_files, load_model


def declare_keygen(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `keygen`."""
    _add_key_argument(parser, "new private key (Ed25519, PEM); the public one gets .pub appended")


def declare_sign(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `sign`."""
    parser.add_argument("model", metavar="NAME|PATH", help="listed model, or a model's folder")
    _add_key_argument(parser, "private key (Ed25519, PEM)")


def run_keygen(arguments: argparse.Namespace) -> int:
    """Make a pair of keys and say what each is for.

    Raises:
        ConfigError: one of the files exists, or the package cryptography is missing.
    """
    private, public = make_key(arguments.key.expanduser())
    print(f"{private} signs models; keep it off the vehicle")
    print(f"{public} goes onto the vehicle; name it in the parameter model_public_key")
    return 0


def run_sign(arguments: argparse.Namespace) -> int:
    """Sign a model and the files of lower precision that belong to it.

    Raises:
        ConfigError: the key or a folder cannot be used.
        ModelError: the model is broken or pinned to other files.
        InferenceError: its network cannot be tried.
    """
    model = load_model(arguments.model)
    for file in (model, *model.lowered):
        if file.onnx_path is None:
            raise ConfigError(f"model {file.card.name!r} has no files to sign; name another one")
        found = load_files(file.onnx_path)
        if found.digest != file.digest:
            raise ConfigError(f"{file.onnx_path}: changed while it was read; sign it again")
        print(f"{file.card.name} {file.card.version}: digest {found.digest}")
        print(f"  signed in {sign_model(found, arguments.key)}")
    return 0


def _add_key_argument(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--key", type=Path, required=True, metavar="FILE", help=text)
