"""`terrain-seg models wrap`: make a model from a network in ONNX format."""

from __future__ import annotations

import argparse
import colorsys
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_seg_ros.model_store.model_store import user_models_folder
from terrain_seg_ros.model_tools.wrap.wrap_settings import (
    Activation,
    Colors,
    Layout,
    WrapSettings,
)

MAX_IMAGES = 64
_WRAP = "terrain_seg_ros.model_tools.wrap.wrap_model"
_GOLDEN_RATIO = 0.618


def declare_wrap(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments; what only the maker of the network knows is required."""
    parser.add_argument("source", type=Path, metavar="FILE.onnx", help="the network")
    parser.add_argument("--name", required=True, help="name of the new model")
    parser.add_argument("--version", required=True, help="version of the new model, such as 1.0.0")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the new model (default: your models')"
    )
    parser.add_argument(
        "--image",
        action="append",
        type=Path,
        default=[],
        metavar="FILE",
        help="example image to compare on; may be repeated, the first becomes the golden image",
    )
    _declare_classes(parser)
    _declare_input(parser)
    _declare_output(parser)


def _declare_classes(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("classes")
    group.add_argument(
        "--classes",
        required=True,
        metavar="NAME:HAZARD,...",
        help="names in the order of the output channels, with hazards from 0 (safe) to 1, such as "
        "soil:0.02,rock:1; for a network with one output channel, give two classes: the channel is "
        "the probability of the second",
    )
    group.add_argument(
        "--hazards",
        metavar="NAME:HAZARD,...",
        help="hazards of classes that --classes gives without one",
    )
    group.add_argument(
        "--colors", metavar="RRGGBB,...", help="colours of the classes in pictures, in their order"
    )


def _declare_input(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("input of the network")
    group.add_argument(
        "--layout",
        required=True,
        choices=[item.value for item in Layout],
        help="nchw (PyTorch) or nhwc (Keras)",
    )
    group.add_argument(
        "--channels",
        required=True,
        choices=[item.value for item in Colors],
        help="order of the colour channels",
    )
    group.add_argument(
        "--scale",
        type=float,
        required=True,
        help="value of white before normalisation, 1 or 255; --mean and --std are in the same "
        "units",
    )
    group.add_argument(
        "--mean",
        required=True,
        metavar="M[,M,M]",
        help="value to subtract: one number, or one per channel; 0 for none",
    )
    group.add_argument(
        "--std",
        required=True,
        metavar="S[,S,S]",
        help="value to divide by: one number, or one per channel; 1 for none",
    )
    group.add_argument(
        "--resize",
        required=True,
        choices=["stretch", "letterbox", "crop"],
        help="how images are fitted to the input size, as in training",
    )
    group.add_argument(
        "--size", metavar="HxW", help="rows and columns, if the file does not fix them"
    )


def _declare_output(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output of the network")
    group.add_argument(
        "--activation",
        required=True,
        choices=[item.value for item in Activation],
        help="what the output is: logits, or probabilities after softmax or sigmoid",
    )
    group.add_argument(
        "--force-activation",
        action="store_true",
        help="accept --activation logits even if all outputs lie between 0 and 1",
    )
    group.add_argument(
        "--output-layout",
        choices=[item.value for item in Layout],
        help="layout of the output (default: that of the input)",
    )
    group.add_argument("--output", metavar="NAME", help="output with the classes, if several")


def run_wrap(arguments: argparse.Namespace) -> int:
    """Make a model from a network and say how to use it.

    Raises:
        ConfigError: an argument is wrong, or the package onnx is missing.
        ModelError: the network cannot be wrapped.
        InferenceError: the wrapped model cannot be run here.
    """
    if len(arguments.image) > MAX_IMAGES:
        raise ConfigError(f"--image is given {len(arguments.image)} times, at most {MAX_IMAGES}")
    taxonomy = parse_classes(arguments.classes, arguments.hazards, arguments.colors)
    try:
        module = importlib.import_module(_WRAP)
    except ImportError as error:
        raise ConfigError(
            f"models wrap needs the package onnx ({error}); install it with: "
            "pip install onnx (the extra `wrap` of this package)"
        ) from error
    installed = module.wrap_model(
        _settings(arguments, taxonomy),
        arguments.image,
        models=user_models_folder(),
        out=arguments.out,
    )
    _report(installed, arguments.out)
    return 0


def parse_classes(classes: str, hazards: str | None, colors: str | None) -> Taxonomy:
    """Return the classes from "soil:0.02,rock" and "rock:1".

    Raises:
        ConfigError: a hazard is missing, given twice or no number, or a name or colour is wrong.
        ModelError: a value is out of range.
    """
    first = _named(classes, "--classes")
    more = _named(hazards, "--hazards") if hazards is not None else []
    named = {name: hazard for name, hazard in first if hazard is not None}
    names = [name for name, _ in first]
    for name, hazard in more:
        if name not in names:
            raise ConfigError(f"--hazards names {name!r}, which --classes {names} does not")
        if hazard is None or name in named:
            raise ConfigError(f"--hazards wants {name}:NUMBER, once, here or in --classes")
        named[name] = hazard
    unknown = [name for name in names if name not in named]
    if unknown:
        raise ConfigError(
            f"no hazard is given for {unknown}; state how dangerous driving there is, from 0 "
            f"(safe) to 1 (ends the drive), such as --hazards {unknown[0]}:1"
        )
    palette = _colors(colors, len(names))
    return Taxonomy(
        tuple(
            TerrainClass(id=k, name=name, color_rgb=palette[k], hazard=named[name])
            for k, name in enumerate(names)
        )
    )


def _settings(arguments: argparse.Namespace, taxonomy: Taxonomy) -> WrapSettings:
    layout = Layout(arguments.layout)
    return WrapSettings(
        name=arguments.name,
        version=arguments.version,
        taxonomy=taxonomy,
        layout=layout,
        output_layout=Layout(arguments.output_layout or layout),
        colors=Colors(arguments.channels),
        resize=arguments.resize,
        white=arguments.scale,
        mean=_numbers(arguments.mean, "--mean"),
        std=_numbers(arguments.std, "--std"),
        activation=Activation(arguments.activation),
        size_hw=_size(arguments.size),
        output=arguments.output,
        source=arguments.source,
        force_activation=arguments.force_activation,
    )


def _report(installed: Any, out: Path | None) -> None:
    card, check = installed.card, installed.card.metrics["wrap_check"]
    print(f"{installed.name} {card.version} is in {installed.folder} and passed its self-test")
    print(
        f"compared with the original network on {check['images']} "
        f"{'synthetic' if check['synthetic'] else 'example'} image(s): same class on "
        f"{check['mask_agreement']:.3%} of the pixels, probabilities within "
        f"{check['largest_probability_change'] * 255.0:.0f}/255"
    )
    for limit in card.limits:
        print(f"  - {limit}")
    used = installed.name if out is None else installed.folder
    print(f"check it on your own images: terrain-seg segment IMAGE --out DIR --model {used}")


def _named(text: str, option: str) -> list[tuple[str, float | None]]:
    found: list[tuple[str, float | None]] = []
    for part in text.split(","):
        name, colon, value = part.strip().partition(":")
        if not name or any(character.isspace() for character in name):
            raise ConfigError(f"{option} has {part!r}, expected NAME or NAME:HAZARD without spaces")
        if name in [before for before, _ in found]:
            raise ConfigError(f"{option} names {name!r} twice; name each class once")
        found.append((name, _numbers(value, f"{option}, {name}")[0] if colon else None))
    return found


def _numbers(text: str, option: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"{option} is {text!r}, expected numbers such as 0.5") from None


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    height, _, width = text.lower().partition("x")
    if not (height.isdecimal() and width.isdecimal()):
        raise ConfigError(f"--size is {text!r}, expected HEIGHTxWIDTH such as 256x320")
    return int(height), int(width)


def _colors(text: str | None, count: int) -> Sequence[tuple[int, int, int]]:
    if text is None:
        hues = [(k * _GOLDEN_RATIO) % 1.0 for k in range(count)]
        tones = [colorsys.hsv_to_rgb(hue, 0.7, 0.9) for hue in hues]
        return [(round(r * 255), round(g * 255), round(b * 255)) for r, g, b in tones]
    found = []
    for part in text.split(","):
        digits = part.strip().removeprefix("#")
        try:
            red, green, blue = bytes.fromhex(digits)
        except ValueError:
            raise ConfigError(f"--colors has {part!r}, expected RRGGBB such as c83232") from None
        found.append((red, green, blue))
    if len(found) != count:
        raise ConfigError(f"--colors has {len(found)}, expected {count}, one per class")
    return found
