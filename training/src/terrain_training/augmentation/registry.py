"""The augmentations by name, and the chain that a recipe asks for."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.types import U8
from terrain_training import parts
from terrain_training.augmentation import colour, geometry, sensor
from terrain_training.augmentation.albumentations_pipeline import (
    NAME as ALBUMENTATIONS,
)
from terrain_training.augmentation.albumentations_pipeline import (
    AlbumentationsStep,
    checked_pair,
    read_pipeline,
)
from terrain_training.settings.validation import check_names, checked, unknown_value

_SHIPPED: dict[str, Callable[..., tuple[U8, U8]]] = {
    function.__name__: function
    for function in (
        geometry.flip_horizontal,
        geometry.flip_vertical,
        geometry.camera_affine,
        colour.brightness,
        colour.contrast,
        colour.saturation,
        colour.hue,
        sensor.light,
        sensor.exposure,
        sensor.vignette,
        sensor.low_sun,
        sensor.shadows,
        sensor.noise,
        sensor.blur,
        sensor.jpeg,
        sensor.dust,
        sensor.bayer,
        sensor.mono,
    )
}
AUGMENTATIONS: parts.Registry[Callable[..., tuple[U8, U8]]] = parts.Registry(
    "augmentations", _SHIPPED, lambda part: part.make
)
_GIVEN = 3
"""Image, mask and random numbers are no options."""
_ABOVE_ZERO = {"scale_min", "aspect_min", "count", "quality_min"}
_AT_MOST = {
    ("hue", "strength"): 0.5,
    ("dust", "haze"): 1.0,
    ("shadows", "darkness"): 1.0,
    ("jpeg", "quality_max"): 100,
}


@dataclass(frozen=True)
class Step:
    """One augmentation, its options, and how often it happens."""

    apply: Callable[..., tuple[U8, U8]]
    probability: float
    options: Mapping[str, Any]


class Augmentation:
    """Change an image (h, w, C) and its mask (h, w), each step with its probability."""

    def __init__(self, steps: Sequence[Step]) -> None:
        """Take the steps, in order."""
        self._steps = tuple(steps)

    def __call__(self, image: U8, mask: U8, random: np.random.Generator) -> tuple[U8, U8]:
        """Return a random variant; the arguments are not changed."""
        for step in self._steps:
            if random.random() < step.probability:
                image, mask = step.apply(
                    np.ascontiguousarray(image), np.ascontiguousarray(mask), random, **step.options
                )
        return np.ascontiguousarray(image), np.ascontiguousarray(mask)


def build_augmentation(rows: Sequence[Mapping[str, Any]]) -> Augmentation | None:
    """Return the chain of a recipe, or nothing where it is empty.

    Raises:
        ConfigError: a name or an option is unknown or of the wrong type.
    """
    steps = [_step(number, row) for number, row in enumerate(rows)]
    return Augmentation(steps) if steps else None


def check_augmentation(rows: Sequence[Mapping[str, Any]]) -> None:
    """Check the chain of a recipe.

    Raises:
        ConfigError: as `build_augmentation`.
    """
    build_augmentation(rows)


def _step(number: int, row: Mapping[str, Any]) -> Step:
    key = f"augmentation[{number}]"
    name = row.get("name")
    options = {k: v for k, v in row.items() if k not in ("name", "probability")}
    if name == ALBUMENTATIONS:
        check_names(options, ["pipeline"], key=key, taker=name)
        pipeline = read_pipeline(options["pipeline"], key=f"{key}.pipeline")
        where = f"recipe key {key}.pipeline"
        return Step(AlbumentationsStep(pipeline, where=where), _probability(row, key), {})
    if not isinstance(name, str) or name not in AUGMENTATIONS:
        known = sorted([*AUGMENTATIONS, ALBUMENTATIONS])
        raise ConfigError(f"recipe key {key}.name {unknown_value(name, known)}")
    part = AUGMENTATIONS.part(name)
    function = AUGMENTATIONS[name]
    hints = parts.hints_of(function)
    names = list(inspect.signature(function).parameters)
    names = names if part is not None and part.is_pipeline else names[_GIVEN:]
    check_names(options, names, key=key, taker=name, optional=parts.defaulted(function))
    probability = _probability(row, key)
    typed = {k: checked(hints[k], v, f"{key}.{k}") for k, v in options.items()}
    if part is None:
        _check_ranges(key, name, typed)
        return Step(function, probability, typed)
    where = f"{part.origin}: {part.name}"
    if part.is_pipeline:
        return Step(AlbumentationsStep(function(**typed), where=where), probability, {})
    return Step(_Own(function, where), probability, typed)


@dataclass(frozen=True)
class _Own:
    """An own augmentation that is checked to keep shapes and dtypes."""

    apply: Callable[..., tuple[U8, U8]]
    where: str

    def __call__(
        self, image: U8, mask: U8, random: np.random.Generator, **options: object
    ) -> tuple[U8, U8]:
        made = self.apply(image, mask, random, **options)
        if not isinstance(made, tuple) or len(made) != 2:
            raise ConfigError(f"{self.where} gives {type(made).__name__}, expected (image, mask)")
        return checked_pair(*made, image, mask, where=self.where)


def _probability(row: Mapping[str, Any], key: str) -> float:
    probability = row.get("probability")
    if isinstance(probability, bool) or not isinstance(probability, (int, float)):
        raise ConfigError(f"recipe key {key}.probability is {probability!r}, expected 0 to 1")
    if not 0.0 <= probability <= 1.0:
        raise ConfigError(f"recipe key {key}.probability is {probability}, expected 0 to 1")
    return float(probability)


def _check_ranges(key: str, name: str, options: Mapping[str, Any]) -> None:
    for option, value in options.items():
        most = _AT_MOST.get((name, option), math.inf)
        other = option.replace("_min", "_max")
        expected = ""
        if value < 0:
            expected = "0 or more"
        elif value == 0 and option in _ABOVE_ZERO:
            expected = "more than 0"
        elif value > most:
            expected = f"at most {most}"
        elif value > options[other]:
            expected = f"at most {other}, which is {options[other]}"
        if expected:
            raise ConfigError(f"recipe key {key}.{option} is {value}, expected {expected}")
