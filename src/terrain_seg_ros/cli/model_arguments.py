"""The arguments with which several commands choose model and backend."""

from __future__ import annotations

import argparse

from terrain_seg_ros.cli.setting_argument import add_setting_argument
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.parameters.shipped import MODES
from terrain_seg_ros.segmenter import Segmenter


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Add --model, --backend, --precision and --threads; config/rover.param.yaml has the values."""
    parser.add_argument(
        "--model", metavar="NAME|PATH", help="listed model, folder or .onnx file with its card"
    )
    for name in ("backend", "precision", "threads"):
        add_setting_argument(parser, f"--{name}", name)


def add_mode_argument(parser: argparse.ArgumentParser) -> None:
    """Add --mode, which names the shipped file of parameters below all others."""
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
        help="bits that images of 16 per sample fill, 8 to 16 (default: detected and told)",
    )
    parser.add_argument(
        "--exif",
        choices=["stored", "upright"],
        help="take images that EXIF turns as they are stored, or upright",
    )


def open_segmenter(arguments: argparse.Namespace) -> Segmenter:
    """Return a segmenter as the arguments say; what is not given comes from the parameters.

    Raises:
        ConfigError: a value is out of range.
        ModelError: the model cannot be used.
        InferenceError: the backend cannot be used.
    """
    given = {
        name: getattr(arguments, name)
        for name in ("model", "backend", "precision", "threads")
        if getattr(arguments, name) is not None
    }
    parameters = load_parameters(overrides=given)
    return Segmenter(
        parameters.inference.model,
        backend=parameters.inference.backend,
        options=parameters.inference.backend_options(),
        trust=parameters.inference.model_trust(),
        image_bits=arguments.image_bits,
        exif=arguments.exif or "stored",
    )
