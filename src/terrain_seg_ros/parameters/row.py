"""One row of the declaration of parameters, and short ways to write it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["bool", "int", "float", "text", "texts", "floats"]
Value = bool | int | float | str | tuple[str, ...] | tuple[float, ...]


@dataclass(frozen=True)
class ParameterSpec:
    """Hold one row: what a parameter means and which values it takes.

    `low` and `high` bound numbers, both inclusive; `choices` bounds texts where not empty.
    `dynamic` parameters may change while running. A list has at most `max_items`. A name that
    ends in `.<class>` stands for one parameter per class of the model.
    """

    name: str
    kind: Kind
    text: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    dynamic: bool = False
    max_items: int = 256

    @property
    def is_family(self) -> bool:
        """Say whether the row stands for many parameters, none of them required."""
        return self.name.endswith(".<class>")


def number(
    name: str, text: str, *, unit: str = "", low: float, high: float, dynamic: bool = False
) -> ParameterSpec:
    """Return the row of a floating-point number."""
    return ParameterSpec(name, "float", text, unit, low, high, dynamic=dynamic)


def integer(
    name: str, text: str, *, low: int, high: int, unit: str = "", dynamic: bool = False
) -> ParameterSpec:
    """Return the row of a whole number."""
    return ParameterSpec(name, "int", text, unit, low, high, dynamic=dynamic)


def choice(name: str, text: str, *choices: str) -> ParameterSpec:
    """Return the row of a text out of a few."""
    return ParameterSpec(name, "text", text, choices=choices)


def flag(name: str, text: str, *, dynamic: bool = False) -> ParameterSpec:
    """Return the row of a truth value."""
    return ParameterSpec(name, "bool", text, dynamic=dynamic)


def text(name: str, text: str) -> ParameterSpec:
    """Return the row of a text."""
    return ParameterSpec(name, "text", text)
