"""The options that several commands share, and what is made of them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.dds.discovery import Discovery
from terrain_seg_ros.parameters.node_settings import DECLARATION, NodeSettings
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.parameters.shipped import MODES
from terrain_seg_ros.segmenter import Segmenter

MODEL_OPTIONS = {name: name for name in ("model", "backend", "precision", "threads")}
"""Options of `add_model_arguments` by the parameters that they set."""


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --model, --backend, --precision and --threads, which override parameters."""
    parser.add_argument(
        "--model", metavar="NAME|PATH", help="listed model, folder or .onnx file with its card"
    )
    for name in ("backend", "precision", "threads"):
        add_setting_argument(parser, f"--{name}", name)


def add_setting_argument(parser: argparse.ArgumentParser, option: str, name: str) -> None:
    """Add an option with the type, choices and text of a parameter; None where it is not given.

    Raises:
        ConfigError: there is no such parameter.
    """
    setting = DECLARATION.setting(name)
    types = {"int": int, "float": float}
    parser.add_argument(
        option,
        type=types.get(setting.kind, str),
        choices=setting.choices or None,
        metavar=None if setting.choices else "N" if setting.kind in types else "VALUE",
        help=f"parameter `{name}`: {setting.text}".replace("%", "%%"),
    )


def add_params_argument(parser: argparse._ActionsContainer, *, more: str = "") -> None:
    """Add --params, parameter files on top of the shipped one."""
    parser.add_argument(
        "--params",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help=f"parameter file on top of the shipped one{more}; may be repeated, the last one wins",
    )


def add_mode_argument(parser: argparse.ArgumentParser) -> None:
    """Add --mode, which selects the shipped parameter file."""
    parser.add_argument(
        "--mode",
        choices=MODES,
        default=MODES[0],
        help="vehicle whose shipped parameters are loaded first (default: %(default)s)",
    )


def add_image_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --image-bits and --exif, which say how image files are read."""
    parser.add_argument(
        "--image-bits",
        type=int,
        default=0,
        metavar="N",
        help="bits used by images of 16 bits per sample, 8 to 16 (default: detected and reported)",
    )
    parser.add_argument(
        "--exif",
        choices=["stored", "upright"],
        help="use images with an EXIF rotation as stored, or turn them upright",
    )


def add_label_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --ignore and --map, which say what the values of label masks mean."""
    parser.add_argument(
        "--ignore",
        type=int,
        default=IGNORE,
        metavar="VALUE",
        help="mask value that is left out of the scores (default: %(default)s)",
    )
    parser.add_argument(
        "--map",
        metavar="VALUE=NAME,...",
        help="class names of the mask values, or 'ignore' (default: the values are class ids)",
    )


def add_bus_arguments(parser: argparse._ActionsContainer) -> None:
    """Add --domain and --discovery, which say where the DDS bus is."""
    parser.add_argument(
        "--domain", type=int, metavar="N", help="DDS domain (default: ROS_DOMAIN_ID, else 0)"
    )
    parser.add_argument(
        "--discovery",
        choices=[item.value for item in Discovery],
        help="host: this machine only; any: this machine and the network; network: the network "
        "only, as Cyclone DDS does by default (default: as ROS_AUTOMATIC_DISCOVERY_RANGE says, "
        "else host; CYCLONEDDS_URI overrides both)",
    )


def add_json_argument(parser: argparse._ActionsContainer, what: str) -> None:
    """Add --json FILE, which also writes `what` to a file."""
    parser.add_argument("--json", type=Path, metavar="FILE", help=f"also write {what} to a file")


def read_parameters(
    arguments: argparse.Namespace,
    options: Mapping[str, str] = MODEL_OPTIONS,
    *,
    namespace: str | None = None,
) -> NodeSettings:
    """Return the parameters of --mode and --params, overridden by the options that were given.

    Args:
        arguments: the parsed command line.
        options: options by the parameters that they set.
        namespace: of the node, where the command has one.

    Raises:
        ConfigError: a file or value cannot be used.
    """
    given = {
        parameter: getattr(arguments, option)
        for option, parameter in options.items()
        if getattr(arguments, option) is not None
    }
    more = {} if namespace is None else {"namespace": namespace}
    return load_parameters(
        *getattr(arguments, "params", ()),
        overrides=given,
        shipped=getattr(arguments, "mode", MODES[0]),
        **more,
    )


def open_segmenter(arguments: argparse.Namespace) -> Segmenter:
    """Return a segmenter as the arguments say; what is not given comes from the parameters.

    Raises:
        ConfigError: a value is out of range.
        ModelError: the model cannot be used.
        InferenceError: the backend cannot be used.
    """
    parameters = read_parameters(arguments)
    return Segmenter(
        parameters.inference.model,
        backend=parameters.inference.backend,
        options=parameters.inference.backend_options(),
        trust=parameters.inference.model_trust(),
        image_bits=arguments.image_bits,
        exif=arguments.exif or "stored",
    )
