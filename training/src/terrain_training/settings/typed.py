"""Build dataclasses from decoded YAML, naming the key and the remedy where it does not fit."""

from __future__ import annotations

import dataclasses
import math
import re
import types
import typing
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.yaml_file import as_yaml

_Built = TypeVar("_Built")
_LISTS = (list, Sequence, Collection)
_MAPPINGS = (dict, Mapping)
_PLURALS = {str: "texts", float: "numbers", int: "whole numbers", bool: "true or false"}
_SCIENTIFIC = re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d{1,2}")
"""What YAML 1.1 takes for text: 1e-3 has no point."""


def build(kind: type[_Built], values: object, *, key: str) -> _Built:
    """Return a dataclass, with every field checked against its annotation.

    Args:
        kind: a dataclass without defaults.
        values: a mapping with exactly its fields.
        key: where the mapping stands, for messages; empty at the top.

    Raises:
        ConfigError: a key is missing, unknown or of another type.
    """
    if not isinstance(values, Mapping):
        raise ConfigError(
            f"recipe key {key or 'top'} is {as_yaml(values)}, expected a mapping of settings"
        )
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    unknown = sorted(str(name) for name in set(values) - set(names))
    missing = sorted(set(names) - set(values))
    prefix = f"{key}." if key else ""
    if unknown:
        raise ConfigError(
            f"recipe key {prefix}{unknown[0]} is unknown; known are {', '.join(sorted(names))}"
        )
    if missing:
        raise ConfigError(f"recipe key {prefix}{missing[0]} is missing; add it")
    return kind(**{name: checked(hints[name], values[name], f"{prefix}{name}") for name in names})


def checked(kind: Any, value: Any, key: str) -> Any:
    """Return a value of a type: a dataclass, a union, a list, a mapping, a literal or a scalar.

    Raises:
        ConfigError: it is of another type.
    """
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return build(kind, value, key=key)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _one_of(arguments, value, key)
    if origin is typing.Literal:
        if value not in arguments:
            raise ConfigError(
                f"recipe key {key} is {as_yaml(value)}, expected one of {_choices(arguments)}"
            )
        return value
    if origin in _LISTS:
        if not isinstance(value, list):
            raise ConfigError(f"recipe key {key} is {as_yaml(value)}, expected a list")
        return [checked(arguments[0], item, f"{key}[{n}]") for n, item in enumerate(value)]
    if origin in _MAPPINGS:
        if not isinstance(value, Mapping):
            raise ConfigError(f"recipe key {key} is {as_yaml(value)}, expected a mapping")
        return {str(k): checked(arguments[1], item, f"{key}.{k}") for k, item in value.items()}
    return _scalar(kind, value, key)


def _one_of(kinds: tuple[Any, ...], value: Any, key: str) -> Any:
    fitting = (kind for kind in kinds if _fits(kind, value, key))
    chosen = next(fitting, None)
    if chosen is not None:
        return checked(chosen, value, key)
    names = [_name(kind) for kind in kinds]
    raise ConfigError(f"recipe key {key} is {as_yaml(value)}, expected {' or '.join(names)}")


def _fits(kind: Any, value: Any, key: str) -> bool:
    try:
        checked(kind, value, key)
    except ConfigError:
        return False
    return True


def _scalar(kind: Any, value: Any, key: str) -> Any:
    if kind is Any:
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is float and isinstance(value, str) and _SCIENTIFIC.fullmatch(value):
        return float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"recipe key {key} is {as_yaml(value)}, expected {_name(kind)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"recipe key {key} is {as_yaml(value)}, expected a finite number")
    return value


_WORDS = {
    str: "text",
    float: "a number",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
    dict: "a mapping",
    types.NoneType: "nothing (null)",
}


def _name(kind: Any) -> str:
    """Return a type in YAML's words."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return f"one of {_choices(arguments)}"
    if origin in _LISTS and arguments and arguments[0] is not Any:
        return f"a list of {_PLURALS.get(arguments[0], 'values')}"
    if origin in _LISTS:
        return "a list"
    if origin in _MAPPINGS or dataclasses.is_dataclass(kind):
        return "a mapping"
    return _WORDS.get(kind, "another value")


def _choices(values: tuple[Any, ...]) -> str:
    return ", ".join(as_yaml(value).strip("'") for value in values)
