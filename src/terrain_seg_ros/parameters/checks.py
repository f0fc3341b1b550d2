"""Check single values of parameters against their rows."""

from __future__ import annotations

import difflib
from typing import Any, cast

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.parameters.declaration import DECLARATION
from terrain_seg_ros.parameters.row import ParameterSpec, Value

HAZARD = "hazard."
SPEED = "speed_percent."
_FAMILIES = (HAZARD, SPEED)
_SPECS = {spec.name: spec for spec in DECLARATION}


def parameter_spec(name: str) -> ParameterSpec:
    """Return the row that declares a parameter.

    Raises:
        ConfigError: no row does; the message names the nearest ones.
    """
    if name in _SPECS and not _SPECS[name].is_family:
        return _SPECS[name]
    for family in _FAMILIES:
        if name.startswith(family) and len(name) > len(family):
            return _SPECS[f"{family}<class>"]
    near = difflib.get_close_matches(name, list(_SPECS), n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "the README lists all of them"
    raise ConfigError(f"parameter {name!r} is unknown; {hint}")


def checked_value(name: str, value: Any) -> Value:
    """Return a value in its declared type.

    Raises:
        ConfigError: the name is unknown, or the value of another type or out of range.
    """
    spec = parameter_spec(name)
    if isinstance(value, (list, tuple)) and len(value) > spec.max_items:
        raise ConfigError(
            f"parameter {name!r} is a list of {len(value)}, expected at most {spec.max_items}"
        )
    if spec.kind == "texts":
        return _checked_texts(name, value)
    if spec.kind == "floats":
        return _checked_numbers(name, value, spec)
    if spec.kind in {"int", "float"}:
        return _checked_number(name, value, spec)
    wanted = bool if spec.kind == "bool" else str
    if not isinstance(value, wanted):
        expected = "true or false" if spec.kind == "bool" else "text; put it into quotes"
        raise ConfigError(f"parameter {name!r} is {value!r}, expected {expected}")
    if spec.choices and value not in spec.choices:
        raise ConfigError(f"parameter {name!r} is {value!r}, expected one of {list(spec.choices)}")
    return value


def _checked_number(name: str, value: Any, spec: ParameterSpec) -> int | float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or (spec.kind == "int" and not isinstance(value, int)):
        expected = "a whole number" if spec.kind == "int" else "a number such as 0.5 or 1.0e-3"
        raise ConfigError(f"parameter {name!r} is {value!r}, expected {expected}")
    low, high = cast(float, spec.low), cast(float, spec.high)
    if not low <= value <= high:
        unit = f" {spec.unit}" if spec.unit else ""
        raise ConfigError(f"parameter {name!r} is {value}, expected {low:g} to {high:g}{unit}")
    return int(value) if spec.kind == "int" else float(value)


def _checked_texts(name: str, value: Any) -> tuple[str, ...]:
    good = isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)
    if not good or not value:
        raise ConfigError(f"parameter {name!r} is {value!r}, expected a list of texts, not empty")
    return tuple(value)


def _checked_numbers(name: str, value: Any, spec: ParameterSpec) -> tuple[float, ...]:
    if not isinstance(value, (list, tuple)) or not value:
        raise ConfigError(f"parameter {name!r} is {value!r}, expected a list of numbers, not empty")
    return tuple(float(_checked_number(name, item, spec)) for item in value)
