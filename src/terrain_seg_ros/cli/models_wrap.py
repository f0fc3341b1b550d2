"""Make a model of anyone's network: `terrain-seg models wrap`."""

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

MAX_IMAGES = 64
_WRAP = "terrain_seg_ros.model_tools.wrap"
_NEEDED = {
    "name": "--name: what to call the model",
    "version": "--version: of the model, such as 1.0.0",
    "classes": "--classes: names with hazards in the order of the channels, soil:0.02,rock:1",
    "layout": "--layout: nchw (PyTorch) or nhwc (Keras)",
    "channels": "--channels: grey, rgb or bgr",
    "scale": "--scale: 1 if white is 1 before mean and std, 255 if it is 255",
    "mean": "--mean: what is subtracted, one number or one per channel; 0 for nothing",
    "std": "--std: what is divided by, one number or one per channel; 1 for nothing",
    "resize": "--resize: stretch, letterbox or crop, as in training",
    "activation": "--activation: what the output is, logits, softmax or sigmoid",
}
_GOLDEN_RATIO = 0.618


def add_wrap_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `models wrap`."""
    group = parser.add_argument_group("wrapping a network (see the README)")
    group.add_argument("--version", help="the model's version")
    group.add_argument(
        "--classes",
        metavar="NAME:HAZARD,...",
        help="in the order of the output's channels; hazard 0 (safe) to 1. One channel tells the "
        "second of two classes from the first",
    )
    group.add_argument(
        "--hazards", metavar="NAME:HAZARD,...", help="those that --classes does not tell"
    )
    group.add_argument("--colors", metavar="RRGGBB,...", help="of the classes in pictures")
    group.add_argument(
        "--layout", choices=["nchw", "nhwc"], help="of the input: PyTorch has nchw, Keras nhwc"
    )
    group.add_argument(
        "--output-layout", choices=["nchw", "nhwc"], help="of the output where it differs"
    )
    group.add_argument("--channels", choices=["grey", "rgb", "bgr"], help="that the network takes")
    group.add_argument(
        "--scale",
        type=float,
        help="what white is before mean and std: 1 or 255, which also is their unit",
    )
    group.add_argument("--mean", metavar="M[,M,M]", help="that is subtracted; 0 for nothing")
    group.add_argument("--std", metavar="S[,S,S]", help="that is divided by; 1 for nothing")
    group.add_argument(
        "--resize", choices=["stretch", "letterbox", "crop"], help="how images are fitted"
    )
    group.add_argument(
        "--activation",
        choices=["logits", "softmax", "sigmoid"],
        help="what the output already is; logits are none of the others",
    )
    group.add_argument(
        "--force-activation",
        action="store_true",
        help="take --activation logits at its word where the output stays between 0 and 1",
    )
    group.add_argument("--size", metavar="HxW", help="rows and columns, where the file has none")
    group.add_argument("--output", metavar="NAME", help="that holds the classes, of several")
    group.add_argument(
        "--image",
        action="append",
        type=Path,
        metavar="FILE",
        help="an example to compare on; may be given again, the first becomes the golden image",
    )
    group.add_argument(
        "--out", type=Path, metavar="DIR", help="the new model's folder, instead of your models'"
    )


def wrap(arguments: argparse.Namespace) -> int:
    """Wrap a network and say how to use it.

    Raises:
        ConfigError: an argument is missing or wrong, or the package onnx is.
        ModelError: the network cannot be wrapped.
        InferenceError: the wrapped model cannot be run here.
    """
    _check_given(arguments)
    taxonomy = parse_classes(arguments.classes, arguments.hazards, arguments.colors)
    try:
        settings_module = importlib.import_module(f"{_WRAP}.wrap_settings")
        wrap_module = importlib.import_module(f"{_WRAP}.wrap_model")
    except ImportError as error:
        raise ConfigError(
            f"models wrap needs the package onnx ({error}); get it with: "
            "pip install onnx (the extra `wrap` of this package)"
        ) from error
    installed = wrap_module.wrap_model(
        _settings(arguments, taxonomy, settings_module),
        arguments.image or [],
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
            f"the hazard of {unknown} is not told; say how dangerous it is to drive there, from 0 "
            f"(safe) to 1 (ends the drive), as in --hazards {unknown[0]}:1"
        )
    palette = _colors(colors, len(names))
    return Taxonomy(
        tuple(
            TerrainClass(id=k, name=name, color_rgb=palette[k], hazard=named[name])
            for k, name in enumerate(names)
        )
    )


def _check_given(arguments: argparse.Namespace) -> None:
    if arguments.source is None:
        raise ConfigError("models wrap wants the .onnx file after `wrap`")
    missing = [text for name, text in _NEEDED.items() if getattr(arguments, name) is None]
    if missing:
        raise ConfigError(f"models wrap cannot guess {'; '.join(missing)}")
    if arguments.image is not None and len(arguments.image) > MAX_IMAGES:
        raise ConfigError(f"--image is given {len(arguments.image)} times, at most {MAX_IMAGES}")


def _settings(arguments: argparse.Namespace, taxonomy: Taxonomy, module: Any) -> Any:
    layout = module.Layout(arguments.layout)
    return module.WrapSettings(
        name=arguments.name,
        version=arguments.version,
        taxonomy=taxonomy,
        layout=layout,
        output_layout=module.Layout(arguments.output_layout or layout),
        colors=module.Colors(arguments.channels),
        resize=arguments.resize,
        white=arguments.scale,
        mean=_numbers(arguments.mean, "--mean"),
        std=_numbers(arguments.std, "--std"),
        activation=module.Activation(arguments.activation),
        size_hw=_size(arguments.size),
        output=arguments.output,
        source=Path(arguments.source),
        force_activation=arguments.force_activation,
    )


def _report(installed: Any, out: Path | None) -> None:
    card, check = installed.card, installed.card.metrics["wrap_check"]
    print(f"{installed.name} {card.version} is in {installed.folder} and passed its test")
    print(
        f"against the network as it was, on {check['images']} "
        f"{'synthetic' if check['synthetic'] else 'example'} image(s): same class on "
        f"{check['mask_agreement']:.3%} of the pixels, probabilities within "
        f"{check['largest_probability_change'] * 255.0:.0f}/255"
    )
    for limit in card.limits:
        print(f"  - {limit}")
    used = installed.name if out is None else installed.folder
    print(
        f"look at what it makes of your images: terrain-seg segment IMAGE --out DIR --model {used}"
    )


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
