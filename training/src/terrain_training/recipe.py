"""A recipe: everything that defines a training run, one YAML file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import yaml

from terrain_seg_ros.core.errors import ConfigError


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
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(values, dict):
        raise ConfigError(f"recipe {path} is not a mapping of settings")
    fields = {field.name: str(field.type) for field in dataclasses.fields(Recipe)}
    unknown = sorted(set(values) - set(fields))
    missing = sorted(set(fields) - set(values))
    if unknown or missing:
        raise ConfigError(
            f"recipe {path}: unknown keys {unknown}, missing keys {missing}; known are {sorted(fields)}"
        )
    for name, kind in fields.items():
        values[name] = _checked(name, kind, values[name])
    if values["precision"] not in ("fp32", "bf16"):
        raise ConfigError(f"precision {values['precision']!r} is not fp32 or bf16")
    return Recipe(**values)


def _checked(name: str, kind: str, value: object) -> object:
    if kind == "float" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    accepted = {"int": int, "float": float, "str": str}.get(kind, list)
    if not isinstance(value, accepted) or isinstance(value, bool):
        raise ConfigError(f"recipe key {name} is {value!r}, expected {kind}")
    return value
