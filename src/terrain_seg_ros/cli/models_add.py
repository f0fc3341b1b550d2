"""`terrain-seg models add`: install a published model."""

from __future__ import annotations

import argparse

from terrain_seg_ros.model_store.model_store import user_models_folder
from terrain_seg_ros.model_tools.model_install import install_model


def declare_add(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "source",
        metavar="URL|FILE",
        help="a .zip or .tar.gz of model.onnx, card.json, golden.npz and README.md",
    )
    parser.add_argument(
        "--sha256",
        required=True,
        metavar="HEX",
        help="hash of the archive, from where the model is published",
    )
    parser.add_argument("--name", help="name to install it under (default: the card's)")
    parser.add_argument(
        "--allow-http", action="store_true", help="allow plain http; the hash is still checked"
    )


def run_add(arguments: argparse.Namespace) -> int:
    """Install a model in the user's models folder and say how to use it.

    Raises:
        ConfigError: the archive cannot be fetched or unpacked, or its hash differs.
        ModelError: the name is taken, or the model is broken.
        InferenceError: the model cannot be tested here.
    """
    installed = install_model(
        arguments.source,
        user_models_folder(),
        sha256=arguments.sha256,
        name=arguments.name,
        allow_http=arguments.allow_http,
        progress=True,
    )
    name = installed.name
    print(f"{name} {installed.card.version} is in {installed.folder} and passed its self-test")
    print(f"use it with --model {name}; its card is shown by `terrain-seg models show {name}`")
    return 0
