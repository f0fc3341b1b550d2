"""A recipe: everything that defines a training run, one YAML file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import yaml

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.datasets import ai4mars

DATASETS = ("ai4mars",)


@dataclass(frozen=True)
class Recipe:
    """Hold the settings of one run; every key must stand in the YAML file."""

    name: str
    version: str
    encoder_credit: str
    dataset: str
    input_size_px: int
    decoder_channels: list[int]
    dropout: float
    epochs: int
    batch_size: int
    learning_rate: float
    encoder_learning_rate: float
    weight_decay: float
    warmup_share: float
    class_weights: list[float]
    dice_weight: float
    ema_decay: float
    gradient_clip: float
    precision: str
    seed: int


def load_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        ConfigError: the file is missing, or a key is unknown, missing or of the wrong type.
    """
    if not path.is_file():
        raise ConfigError(f"recipe {path} does not exist; see training/configs for examples")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = str(error).replace("\n", " ")
        raise ConfigError(f"recipe {path} is no YAML: {reason}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"recipe {path} is not a mapping of settings")
    fields = {field.name: str(field.type) for field in dataclasses.fields(Recipe)}
    unknown = sorted(set(values) - set(fields))
    missing = sorted(set(fields) - set(values))
    if unknown or missing:
        raise ConfigError(
            f"recipe {path}: unknown keys {unknown}, missing keys {missing}; "
            f"known are {sorted(fields)}"
        )
    for name, kind in fields.items():
        values[name] = _checked(name, kind, values[name])
    recipe = Recipe(**values)
    _check_values(recipe)
    return recipe


def _check_values(recipe: Recipe) -> None:
    if recipe.precision not in ("fp32", "bf16"):
        raise ConfigError(f"recipe key precision is {recipe.precision!r}, expected fp32 or bf16")
    if recipe.dataset not in DATASETS:
        raise ConfigError(f"recipe key dataset is {recipe.dataset!r}, expected one of {DATASETS}")
    if recipe.input_size_px < 32 or recipe.input_size_px % 32:
        raise ConfigError(
            f"recipe key input_size_px is {recipe.input_size_px}, expected a multiple of 32"
        )
    for name, items, count in (
        ("decoder_channels", recipe.decoder_channels, 5),
        ("class_weights", recipe.class_weights, len(ai4mars.CLASSES)),
    ):
        if len(items) != count or not all(_positive(item) for item in items):
            raise ConfigError(f"recipe key {name} is {items}, expected {count} positive numbers")
    for name in ("epochs", "batch_size", "learning_rate", "encoder_learning_rate", "gradient_clip"):
        if not _positive(getattr(recipe, name)):
            raise ConfigError(f"recipe key {name} is {getattr(recipe, name)}, expected more than 0")
    for name in ("dropout", "warmup_share", "ema_decay"):
        if not 0.0 <= getattr(recipe, name) < 1.0:
            raise ConfigError(
                f"recipe key {name} is {getattr(recipe, name)}, expected 0 to below 1"
            )


def _positive(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0


def _checked(name: str, kind: str, value: object) -> object:
    if kind == "float" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    accepted = {"int": int, "float": float, "str": str}.get(kind, list)
    if not isinstance(value, accepted) or isinstance(value, bool):
        raise ConfigError(f"recipe key {name} is {value!r}, expected {kind}")
    return value
