"""How a setting is declared: a field of a settings class, with its text, range and units.

    @settings
    @dataclass(frozen=True)
    class CostSettings:
        hazard_threshold: Annotated[float, setting("Cells of at least ...", low=0.001, high=1.0)]

Names of ROS parameters, the checks of parameter files, ROS descriptors and the reference tables are
derived from these fields (see `terrain_seg_ros.parameters`). The unit is the suffix of the name.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, TypeVar, get_args, get_origin

import pydantic.dataclasses
from pydantic import ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from terrain_seg_ros.core.errors import ConfigError

Kind = Literal["bool", "int", "float", "text", "texts", "floats"]
T = TypeVar("T")

CONFIG = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
UNITS = {"m": "m", "s": "s", "hz": "Hz", "rad": "rad", "deg": "deg", "mps": "m/s", "percent": "%"}
"""Unit by the suffix of a setting's name."""
PER_CLASS = "<class>"
"""Ends the name of a setting that stands for one value per class of the model."""
MAX_ITEMS = 256
SHOWN_LENGTH = 120
"""Characters of a wrong value that an error shows."""
_SCALARS: dict[Any, Kind] = {bool: "bool", int: "int", float: "float", str: "text"}


class SettingError(ConfigError):
    """A value of a settings class that is of the wrong type, out of range or missing.

    `item` is the class of the model, where the setting has one value per class.
    """

    def __init__(
        self, cls: type[Any], name: str, fault: str, *, item: str = "", is_missing: bool = False
    ) -> None:
        """Name the class and its field."""
        shown = f"{name}[{item!r}]" if item else name
        super().__init__(f"{cls.__name__}.{shown} {fault}")
        self.name, self.fault, self.item, self.is_missing = name, fault, item, is_missing

    def __reduce__(self) -> tuple[type[ConfigError], tuple[str]]:
        """Cross to another process as a plain ConfigError."""
        return ConfigError, (str(self),)


@dataclass(frozen=True)
class Prefix:
    """The prefix of a group's ROS parameters, as metadata of the field that holds the group."""

    text: str


@dataclass(frozen=True)
class Setting:
    """What one setting means and which values it takes.

    `low` and `high` bound numbers and the items of lists, both inclusive; `choices` lists the
    accepted texts, where only some are. A `dynamic` setting may change while the node runs. A list
    holds at most `max_items`. A `name` that ends in `.<class>` stands for one value per class.
    """

    name: str
    kind: Kind
    text: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    dynamic: bool = False
    max_items: int = MAX_ITEMS

    @property
    def is_family(self) -> bool:
        """Return whether it stands for one value per class, none of them required."""
        return self.name.endswith(f".{PER_CLASS}")

    @property
    def unit(self) -> str:
        """Return the unit, empty where it has none."""
        name = self.name.removesuffix(f".{PER_CLASS}")
        return UNITS.get(name.rpartition("_")[2], "") if "_" in name else ""

    @property
    def range(self) -> str:
        """Return the accepted range with its unit, empty where there is none."""
        if self.low is None or self.high is None:
            return ""
        return f"{self.low:g} to {self.high:g} {self.unit}".rstrip()

    @property
    def expected(self) -> str:
        """Return which values are accepted, as the end of an error's sentence."""
        if self.choices:
            return f"one of {list(self.choices)}"
        bounds = f", {self.range}" if self.range else ""
        return {
            "bool": "true or false",
            "int": f"a whole number{bounds}",
            "float": f"a number such as 0.5 or 1.0e-3{bounds}",
            "text": "text; put it into quotes",
            "texts": "a list of texts, not empty",
            "floats": f"a list of numbers, not empty{bounds}",
        }[self.kind]


def setting(
    text: str,
    *,
    low: float | None = None,
    high: float | None = None,
    name: str = "",
    dynamic: bool = False,
) -> Any:
    """Declare a setting that holds one value, inside `Annotated`.

    Args:
        text: what it means, one sentence or two.
        low: smallest number accepted.
        high: largest number accepted.
        name: full name of the ROS parameter, where it is not the group's prefix and the field.
        dynamic: whether it may change while the node runs.
    """
    return Field(
        description=text, ge=low, le=high, json_schema_extra={"dynamic": dynamic, "name": name}
    )


def enum_setting(text: str) -> Any:
    """Declare a static setting that is one member of an enum of texts, inside `Annotated`."""
    return Field(description=text, strict=False, json_schema_extra={"dynamic": False, "name": ""})


def item(low: float, high: float) -> Any:
    """Declare the range of one number in a list or per class, inside `Annotated`."""
    return Field(ge=low, le=high)


def list_setting(text: str, *, dynamic: bool = False, least: int = 1, most: int = MAX_ITEMS) -> Any:
    """Declare a setting that holds a list; its items carry their own range."""
    return Field(
        description=text,
        min_length=least,
        max_length=most,
        strict=False,
        json_schema_extra={"dynamic": dynamic, "name": ""},
    )


def settings(cls: type[T]) -> type[T]:
    """Make a frozen dataclass of settings check its values when it is created.

    A value of the wrong type or out of range raises a ConfigError that names class, field, value
    and what is accepted.
    """
    checked = pydantic.dataclasses.dataclass(cls, frozen=True, config=CONFIG)
    checked.__doc__ = cls.__doc__
    create = checked.__init__

    @functools.wraps(create)
    def checked_init(self: Any, *args: Any, **values: Any) -> None:
        try:
            create(self, *args, **values)
        except ValidationError as error:
            raise _setting_error(error, checked) from error

    checked.__init__ = checked_init  # type: ignore[method-assign]
    return typing.cast("type[T]", checked)


def fields_of(cls: type[Any]) -> Mapping[str, FieldInfo]:
    """Return the fields of a settings class, by name, in their order."""
    return typing.cast("Mapping[str, FieldInfo]", cls.__pydantic_fields__)


def is_settings(annotation: Any) -> bool:
    """Return whether a field's type is itself a settings class."""
    return isinstance(annotation, type) and hasattr(annotation, "__pydantic_fields__")


def setting_of(name: str, field: FieldInfo) -> Setting:
    """Return the setting that a field declares.

    Args:
        name: full name, used where the field does not give its own.
        field: of a settings class.
    """
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    kind, choices = _kind_of(field.annotation)
    limits = [*field.metadata, *_item_metadata(field.annotation)]
    return Setting(
        name=str(extra.get("name") or name),
        kind=kind,
        text=field.description or "",
        low=_limit(limits, "ge"),
        high=_limit(limits, "le"),
        choices=choices,
        dynamic=bool(extra.get("dynamic")),
        max_items=int(_limit(limits, "max_length") or MAX_ITEMS),
    )


def _setting_error(error: ValidationError, cls: type[Any]) -> SettingError:
    """Return the first fault of a class's values; one that is missing comes last."""
    entries = error.errors()
    entry = next((item for item in entries if item["type"] != "missing"), entries[0])
    place, value = entry["loc"][0], entry["input"]
    by_place = dict(enumerate(fields_of(cls)))
    name = str(by_place.get(place, place) if isinstance(place, int) else place)
    if name not in fields_of(cls):
        return SettingError(cls, name, f"is unknown, expected one of {list(fields_of(cls))}")
    if entry["type"] == "missing":
        return SettingError(cls, name, "has no value; give one", is_missing=True)
    if is_settings(fields_of(cls)[name].annotation):
        return SettingError(cls, name, f"is {_short(value)}, expected settings of its class")
    of = setting_of(name, fields_of(cls)[name])
    if entry["type"] == "too_long":
        fault = f"is a list of {len(value)}, expected at most {of.max_items}"
    elif entry["type"] in {"greater_than_equal", "less_than_equal"}:
        fault = f"is {_short(value)}, expected {of.range}"
    else:
        fault = f"is {_short(value)}, expected {of.expected}"
    item = entry["loc"][1] if of.is_family and len(entry["loc"]) > 1 else ""
    return SettingError(cls, name, fault, item=str(item))


def _short(value: object) -> str:
    """Return a value as it is shown in errors: a long one without its middle."""
    shown = repr(value)
    half = SHOWN_LENGTH // 2
    return shown if len(shown) <= SHOWN_LENGTH else f"{shown[:half]}...{shown[-half:]}"


def _kind_of(annotation: Any) -> tuple[Kind, tuple[str, ...]]:
    """Return the kind of a type, and the choices where it is a Literal."""
    plain = _without_metadata(annotation)
    if isinstance(plain, type) and issubclass(plain, Enum):
        return "text", tuple(str(member.value) for member in plain)
    if get_origin(plain) is Literal:
        return "text", tuple(str(item) for item in get_args(plain))
    if plain in _SCALARS:
        return _SCALARS[plain], ()
    if get_origin(plain) is tuple:
        inner, _ = _kind_of(get_args(plain)[0])
        return ("texts" if inner == "text" else "floats"), ()
    return _kind_of(get_args(plain)[1])  # a mapping from class names


def _item_metadata(annotation: Any) -> list[Any]:
    """Return the limits of the items of a list or a mapping, also where lists are nested."""
    found: list[Any] = []
    for item in get_args(_without_metadata(annotation)):
        for info in getattr(item, "__metadata__", ()):
            found += info.metadata if isinstance(info, FieldInfo) else [info]
        found += _item_metadata(item)
    return found


def _without_metadata(annotation: Any) -> Any:
    return annotation.__origin__ if hasattr(annotation, "__metadata__") else annotation


def _limit(metadata: list[Any], name: str) -> float | None:
    return next((getattr(item, name) for item in metadata if hasattr(item, name)), None)
