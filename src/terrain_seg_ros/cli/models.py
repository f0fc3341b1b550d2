"""`terrain-seg models`: list the models, and add, wrap, pin, sign or remove your own."""

from __future__ import annotations

import argparse
import importlib

from terrain_seg_ros.cli.lazy_parser import Command, add_commands

ACTIONS = {
    "list": "list the models",
    "show": "show the card of a model",
    "add": "install a published model",
    "wrap": "make a model from a network in ONNX format",
    "pin": "accept only the present files of a model under its name",
    "keygen": "make a pair of keys for signing",
    "sign": "sign a model",
    "remove": "remove a model that you added",
}
_MODULES = {
    "list": "models_list",
    "show": "models_list",
    "add": "models_add",
    "wrap": "models_wrap",
    "pin": "models_manage",
    "keygen": "models_sign",
    "sign": "models_sign",
    "remove": "models_manage",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-commands; without one the models are listed."""
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    add_commands(parser, ACTIONS, load_action, required=False)


def load_action(name: str) -> Command:
    """Import one action of `ACTIONS`."""
    module = importlib.import_module(f"terrain_seg_ros.cli.{_MODULES[name]}")
    return Command(getattr(module, f"declare_{name}"), getattr(module, f"run_{name}"))


def run(arguments: argparse.Namespace) -> int:
    """List the models."""
    return load_action("list").run(arguments)
