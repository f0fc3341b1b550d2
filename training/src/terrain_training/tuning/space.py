"""The search space: a YAML file of recipe keys and the values that each may take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import yaml

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.yaml_file import as_yaml, read_yaml


@dataclass(frozen=True)
class Choices:
    """Values to choose from, of any kind that YAML has."""

    values: tuple[Any, ...]

    def suggest(self, trial: optuna.Trial, key: str) -> Any:
        """Return the value of a trial; studies keep its YAML text."""
        texts = [_as_yaml(value) for value in self.values]
        return yaml.safe_load(trial.suggest_categorical(key, texts))


@dataclass(frozen=True)
class Span:
    """A range of numbers; `log` draws from it evenly by order of magnitude."""

    low: float
    high: float
    log: bool
    whole: bool

    def suggest(self, trial: optuna.Trial, key: str) -> float | int:
        """Return the value of a trial."""
        if self.whole:
            return trial.suggest_int(key, int(self.low), int(self.high), log=self.log)
        return trial.suggest_float(key, self.low, self.high, log=self.log)


Space = Mapping[str, "Choices | Span"]


def load_space(path: Path) -> Space:
    """Read a search space.

    Each key of a recipe has `choices: [...]`, or `low`, `high` and perhaps `log: true`; whole
    numbers make a range of whole numbers.

    Raises:
        ConfigError: the file cannot be read, or a range or list is wrong.
    """
    content = read_yaml(path, expected="a search space: a mapping of recipe keys")
    if not content:
        raise ConfigError(f"search space {path} is empty; name at least one key of a recipe")
    return {str(key): _parse(value, f"{path}: {key}") for key, value in content.items()}


def suggest_overrides(space: Space, trial: optuna.Trial) -> list[str]:
    """Return the values of a trial, as `load_recipe` takes overrides."""
    return [f"{key}={_as_yaml(item.suggest(trial, key))}" for key, item in space.items()]


def _parse(value: object, where: str) -> Choices | Span:
    if isinstance(value, Mapping) and set(value) == {"choices"}:
        choices = value["choices"]
        if not isinstance(choices, list) or not choices:
            raise ConfigError(f"{where}: choices is {as_yaml(choices)}, expected a list")
        return Choices(tuple(choices))
    if not isinstance(value, Mapping) or not {"low", "high"} <= set(value) <= {
        "low",
        "high",
        "log",
    }:
        raise ConfigError(
            f"{where} is {as_yaml(value)}, expected `choices`, or `low`, `high` and `log`"
        )
    low, high, log = _number(value["low"], where), _number(value["high"], where), value.get("log")
    if log not in (None, True, False):
        raise ConfigError(f"{where}: log is {as_yaml(log)}, expected true or false")
    if low >= high or (log and low <= 0):
        raise ConfigError(
            f"{where}: low is {low}, high {high}; expected low < high, above 0 for log"
        )
    whole = isinstance(low, int) and isinstance(high, int)
    return Span(low, high, bool(log), whole)


def _number(value: object, where: str) -> float | int:
    if isinstance(value, str):  # YAML takes 1e-3 for text
        try:
            return float(value)
        except ValueError:
            pass
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigError(f"{where}: {as_yaml(value)} is not a number")
    return value


def _as_yaml(value: Any) -> str:
    text: str = yaml.safe_dump(value, default_flow_style=True, width=1_000_000)
    return text.removesuffix("...\n").strip()
