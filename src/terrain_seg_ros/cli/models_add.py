"""Add a published model: `terrain-seg models add`."""

from __future__ import annotations

import argparse

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.model_store.model_store import user_models_folder
from terrain_seg_ros.model_tools.model_install import install_model


def add_model(arguments: argparse.Namespace) -> int:
    """Bring a model into the user's models folder and say how to use it.

    Raises:
        ConfigError: an argument is missing, or the archive cannot be fetched or unpacked.
        ModelError: the name is taken, or the model is broken.
        InferenceError: the model cannot be tested here.
    """
    if arguments.source is None:
        raise ConfigError("models add wants the address or the file of an archive after `add`")
    if arguments.sha256 is None:
        raise ConfigError(
            "models add wants --sha256: the archive's hash, from where the model is published"
        )
    if arguments.json:
        raise ConfigError("models add prints no JSON; leave out --json")
    installed = install_model(
        arguments.source,
        user_models_folder(),
        sha256=arguments.sha256,
        name=arguments.name,
        allow_http=arguments.allow_http,
        progress=True,
    )
    name = installed.name
    print(f"{name} {installed.card.version} is in {installed.folder} and passed its test")
    print(
        f"use it with --model {installed.name}; see its card: terrain-seg models {installed.name}"
    )
    return 0
