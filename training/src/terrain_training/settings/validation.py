"""Check decoded YAML against a declared type, and name the key, value and remedy where it fails."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import types
import typing
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import annotated_types
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.settings.fields import Flag, Number, Text, Whole
from terrain_training.yaml_file import as_yaml

_Built = TypeVar("_Built")
_LISTS = (list, Sequence, Collection)
_MAPPINGS = (dict, Mapping)
_STRICT = {float: Number, int: Whole, str: Text, bool: Flag}
_WORDS = {
    str: "text",
    float: "a number",
    int: "a whole number",
    bool: "true or false",
    types.NoneType: "null",
}
_PLURALS = {str: "texts", float: "numbers", int: "whole numbers", bool: "true or false"}
_UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden")


def build(kind: type[_Built], values: object, *, key: str) -> _Built:
    """Return a settings model made of decoded YAML.

    Args:
        kind: a model of `settings.recipe`.
        values: a mapping with exactly its fields.
        key: where the mapping stands, for messages; empty at the top.

    Raises:
        ConfigError: a key is missing or unknown, or its value is of another type or out of range.
    """
    built: _Built = _validated(kind, values, key)
    return built


def checked(kind: Any, value: Any, key: str) -> Any:
    """Return a value of a type, such as that of a function's argument.

    Raises:
        ConfigError: it is of another type.
    """
    return _validated(_strict(kind), value, key)


def expected_of(kind: Any, metadata: Iterable[Any] = ()) -> str:
    """Return what a type with its limits accepts, in YAML's words.

    Args:
        kind: an annotation of a settings model.
        metadata: its limits, such as `annotated_types.Gt(0)`.
    """
    kind, limits = _unwrapped(kind, metadata)
    text = _type_words(kind)
    span = _range_words(limits)
    return ", ".join(part for part in (text, span) if part)


def unknown_key(name: str, known: Sequence[str], *, of: str = "known are") -> str:
    """Return the rest of a message on a key that does not exist: the nearest, and all known."""
    near = nearest(name, known)
    meant = f"did you mean {near}? " if near else ""
    return f"is unknown; {meant}{of} {', '.join(sorted(known)) or 'none'}"


def unknown_value(value: object, known: Sequence[str]) -> str:
    """Return the rest of a message on a name that does not exist, as `unknown_key` for values."""
    near = nearest(value, known) if isinstance(value, str) else None
    meant = f"did you mean {near}? " if near else ""
    return f"is {as_yaml(value)}; {meant}expected one of {', '.join(known)}"


def nearest(name: str, known: Sequence[str]) -> str | None:
    """Return the known name that is spelt most like another one; None where none is near."""
    near = difflib.get_close_matches(name, known, n=1)
    return near[0] if near else None


def check_names(
    given: Iterable[str],
    wanted: Sequence[str],
    *,
    key: str,
    taker: str,
    optional: Collection[str] = (),
) -> None:
    """Check that exactly the options of a function are given.

    Args:
        given: names in the recipe.
        wanted: names of the function's options.
        key: where they stand.
        taker: name of the function, for messages.
        optional: names that may be missing.

    Raises:
        ConfigError: one is unknown or missing.
    """
    unknown = sorted(set(given) - set(wanted))
    missing = sorted(set(wanted) - set(given) - set(optional))
    if unknown:
        rest = unknown_key(unknown[0], wanted, of=f"{taker} takes")
        raise ConfigError(f"recipe key {key}.{unknown[0]} {rest}")
    if missing:
        names = ", ".join(wanted)
        raise ConfigError(f"recipe key {key}.{missing[0]} is missing; {taker} takes {names}")


def _validated(kind: Any, values: Any, key: str) -> Any:
    try:
        return _adapter(kind).validate_python(values)
    except ValidationError as error:
        details = error.errors(include_url=False)
        # A misspelt key is both unknown and missing: the first says more.
        first = min(details, key=lambda item: item["type"] not in _UNKNOWN)
        raise ConfigError(_message(first, kind, values, key)) from error


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _message(error: ErrorDetails, kind: Any, values: Any, key: str) -> str:
    """Return a message on the innermost place that a user can name: unions count as one."""
    metadata: tuple[Any, ...] = ()
    meaning = ""
    for place, part in enumerate(error["loc"]):
        bare, _ = _unwrapped(kind, ())
        if dataclasses.is_dataclass(bare):
            fields = _fields(bare)
            if part not in fields:
                inside = _inside(fields, str(part))
                rest = f"is unknown; did you mean {_joined(key, inside)}?" if inside else None
                rest = rest or unknown_key(str(part), list(fields))
                return f"recipe key {_joined(key, part)} {rest}"
            kind, metadata = fields[part].annotation, tuple(fields[part].metadata)
            meaning = f" ({fields[part].description})"
        elif typing.get_origin(bare) is list and isinstance(part, int):
            kind, metadata = typing.get_args(bare)[0], ()
        elif typing.get_origin(bare) is dict and isinstance(part, str) and part in values:
            if "[key]" in error["loc"][place:]:
                break
            kind, metadata = typing.get_args(bare)[1], ()
        else:
            break
        key = _joined(key, part)
        if error["type"] == "missing" and place == len(error["loc"]) - 1:
            return f"recipe key {key} is missing; add it"
        values = values[part]
    finite = "a finite number: " if error["type"] == "finite_number" else ""
    return (
        f"recipe key {key or 'top'} is {as_yaml(values)}, expected "
        f"{finite}{expected_of(kind, metadata)}{meaning}"
    )


def _inside(fields: Mapping[str, Any], name: str) -> str | None:
    """Return where a name stands one level deeper, such as `training.epochs` for `epochs`."""
    deeper = [
        f"{section}.{name}"
        for section, field in fields.items()
        if dataclasses.is_dataclass(field.annotation) and name in _fields(field.annotation)
    ]
    return deeper[0] if deeper else None


def _joined(key: str, part: int | str) -> str:
    if isinstance(part, int):
        return f"{key}[{part}]"
    return f"{key}.{part}" if key else part


def _fields(kind: Any) -> dict[Any, Any]:
    fields: dict[Any, Any] = kind.__pydantic_fields__
    return fields


def _strict(kind: Any) -> Any:
    """Return a type whose scalars are not converted: 3 is not text, and true is not 1."""
    if kind in _STRICT:
        return _STRICT[kind]
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in _LISTS:
        return types.GenericAlias(list, (_strict(arguments[0]),))
    if origin in _MAPPINGS:
        return types.GenericAlias(dict, (str, _strict(arguments[1])))
    if origin in (typing.Union, types.UnionType):
        return typing.Union[tuple(_strict(each) for each in arguments)]  # noqa: UP007
    return kind


def _unwrapped(kind: Any, metadata: Iterable[Any]) -> tuple[Any, list[Any]]:
    limits = list(metadata)
    while typing.get_origin(kind) is typing.Annotated:
        limits += kind.__metadata__
        kind = kind.__origin__
    flat: list[Any] = []
    for item in limits:
        inner = getattr(item, "metadata", None)
        flat += inner if isinstance(inner, list) else [item]
    return kind, flat


def _type_words(kind: Any) -> str:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        parts = [expected_of(each) for each in arguments]
        return (", or " if any("," in part for part in parts) else " or ").join(parts)
    if origin is typing.Literal:
        return f"one of {', '.join(as_yaml(each).strip(chr(39)) for each in arguments)}"
    if origin in _LISTS:
        return _of_many("a list", arguments[0])
    if origin in _MAPPINGS or kind in _MAPPINGS:
        return _of_many("a mapping", arguments[1] if arguments else Any)
    if dataclasses.is_dataclass(kind):
        return "a mapping of settings"
    return _WORDS.get(kind, "another value")


def _of_many(container: str, item: Any) -> str:
    bare, limits = _unwrapped(item, ())
    if bare not in _PLURALS:
        return container
    join = "to" if container == "a mapping" else "of"
    span = _range_words(limits)
    names = " of names" if container == "a mapping" else ""
    return f"{container}{names} {join} {_PLURALS[bare]}{f', each {span}' if span else ''}"


def _range_words(limits: Sequence[Any]) -> str:
    low = high = count = ""
    above = False
    for item in limits:
        if isinstance(item, annotated_types.Ge):
            low = f"{item.ge}"
        elif isinstance(item, annotated_types.Gt):
            low, above = f"{item.gt}", True
        elif isinstance(item, annotated_types.Le):
            high = f"{item.le}"
        elif isinstance(item, annotated_types.Lt):
            high = f"below {item.lt}"
        elif isinstance(item, annotated_types.MinLen):
            count = f"at least {item.min_length} of them"
    if low and high and not above:
        return f"{low} to {high}"
    parts = [f"more than {low}" if above else f"{low} or more"] if low else []
    parts += [high if high.startswith("below") else f"at most {high}"] if high else []
    return ", ".join(part for part in (" and ".join(parts), count) if part)
