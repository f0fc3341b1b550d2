"""What follows from a tree of settings classes: the ROS parameters' names, checks and rows."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar, cast

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.settings import (
    PER_CLASS,
    Prefix,
    Setting,
    SettingError,
    fields_of,
    is_settings,
    setting_of,
)

Value = bool | int | float | str | tuple[str, ...] | tuple[float, ...]
T = TypeVar("T")
_Path = tuple[str, ...]


@dataclass(frozen=True)
class _Group:
    """One settings class of the tree; `names` are the ROS parameters of its own fields."""

    cls: type[Any]
    names: Mapping[str, str]
    groups: Mapping[str, _Group]


class Declaration(Generic[T]):
    """The ROS parameters of a settings class whose fields are settings and groups of settings."""

    def __init__(self, cls: type[T], *, removed: Mapping[str, str] | None = None) -> None:
        """Read the fields off the class.

        Args:
            cls: the root of the tree.
            removed: what to do instead, by the name of a parameter of earlier versions.
        """
        self._settings: dict[str, Setting] = {}
        self._paths: dict[str, _Path] = {}
        self._removed = removed or {}
        self._root = self._read(cls, (), "")

    @property
    def rows(self) -> tuple[Setting, ...]:
        """Return every parameter, those with a common prefix together."""
        place: dict[str, int] = {}
        for index, name in enumerate(self._settings):
            place.setdefault(self.group(name), index)
        return tuple(sorted(self._settings.values(), key=lambda row: place[self.group(row.name)]))

    def group(self, name: str) -> str:
        """Return the prefix of a declared parameter's name, or the title of its group."""
        prefix, dot, _ = name.rpartition(".")
        if dot and not self._settings[name].is_family:
            return f"{prefix}.*"
        owner = self._root.groups.get(self._paths[name][0], self._root)
        return (owner.cls.__doc__ or "").split("\n", 1)[0].rstrip(".")

    def setting(self, name: str) -> Setting:
        """Return what a parameter declares; one per class of the model has its family's.

        Raises:
            ConfigError: there is no such parameter; the message names the nearest ones, or what to
                do where an earlier version had it.
        """
        family, _ = self._family(name)
        if name in self._removed:
            raise ConfigError(f"parameter {name!r} was removed: {self._removed[name]}")
        if family in self._settings and (family != name or not self._settings[name].is_family):
            return self._settings[family]
        near = difflib.get_close_matches(name, list(self._settings), n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else "the reference lists all of them"
        raise ConfigError(f"parameter {name!r} is unknown; {hint}")

    def build(self, values: Mapping[str, Any]) -> T:
        """Return the settings that hold values by parameter name.

        Raises:
            ConfigError: a value is missing, unknown, of the wrong type or out of range, or
                contradicts another.
        """
        missing = [row.name for row in self.rows if not row.is_family and row.name not in values]
        nested = self._nested(values)
        if missing:
            raise ConfigError(
                f"parameter {missing[0]!r} has no value ({len(missing)} missing); "
                "load a shipped parameter file first"
            )
        made: T = self._make(self._root, nested)
        return made

    def check(self, values: Mapping[str, Any]) -> None:
        """Check some values, each by itself and those of one group together.

        Raises:
            ConfigError: a value is unknown, of the wrong type or out of range.
        """
        self._check(self._root, self._nested(values))

    def values(self, settings: T) -> dict[str, Value]:
        """Return the values of settings by parameter name."""
        found: dict[str, Value] = {}
        for name, path in self._paths.items():
            value: Any = settings
            for part in path:
                value = getattr(value, part)
            if self._settings[name].is_family:
                found.update({name.replace(PER_CLASS, key): item for key, item in value.items()})
            else:
                found[name] = _plain(value)
        return found

    def changed(self, settings: T, changes: Mapping[str, Any], *, running: bool = False) -> T:
        """Return settings with some values replaced.

        Args:
            settings: before.
            changes: values by parameter name.
            running: the node is active, so only dynamic parameters may change.

        Raises:
            ConfigError: a value is unknown, of the wrong type, out of range, contradicts another,
                or belongs to a static parameter while running.
        """
        before = self.values(settings)
        after = self.build({**before, **changes})
        new = self.values(after)
        for name in changes:
            if running and new[name] != before.get(name) and not self.setting(name).dynamic:
                raise ConfigError(
                    f"parameter {name!r} cannot change while running; set it and configure again"
                )
        return after

    def _read(self, cls: type[Any], path: _Path, prefix: str) -> _Group:
        names: dict[str, str] = {}
        groups: dict[str, _Group] = {}
        for field_name, field in fields_of(cls).items():
            here = (*path, field_name)
            if is_settings(field.annotation):
                within = next((m.text for m in field.metadata if isinstance(m, Prefix)), "")
                groups[field_name] = self._read(cast("type[Any]", field.annotation), here, within)
                continue
            row = setting_of(f"{prefix}.{field_name}" if prefix else field_name, field)
            if row.name in self._settings:
                raise ConfigError(f"parameter {row.name!r} is declared twice; rename one field")
            names[field_name] = row.name
            self._settings[row.name], self._paths[row.name] = row, here
        return _Group(cls, names, groups)

    def _family(self, name: str) -> tuple[str, str]:
        """Return the family's name and the class, or the name and nothing."""
        prefix, _, item = name.partition(".")
        family = f"{prefix}.{PER_CLASS}"
        return (family, item) if item and family in self._settings else (name, "")

    def _nested(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return values by field, nested as the groups are."""
        nested: dict[str, Any] = {}
        for name in sorted(set(self._settings) - set(values)):
            if self._settings[name].is_family:
                self._put(nested, self._paths[name], {})
        for name, value in values.items():
            self.setting(name)
            family, item = self._family(name)
            if item:
                self._put(nested, (*self._paths[family], item), value)
            else:
                self._put(nested, self._paths[name], value)
        return nested

    @staticmethod
    def _put(nested: dict[str, Any], path: _Path, value: Any) -> None:
        for part in path[:-1]:
            nested = nested.setdefault(part, {})
        nested[path[-1]] = value

    def _make(self, group: _Group, nested: Mapping[str, Any]) -> Any:
        values = dict(nested)
        for name, inner in group.groups.items():
            values[name] = self._make(inner, nested.get(name, {}))
        try:
            return group.cls(**values)
        except SettingError as error:
            raise ConfigError(_with_name(error, group)) from error

    def _check(self, group: _Group, nested: Mapping[str, Any]) -> None:
        own = {name: value for name, value in nested.items() if name in group.names}
        for name, inner in group.groups.items():
            if nested.get(name):
                self._check(inner, nested[name])
        try:
            if own:
                group.cls(**own)
        except SettingError as error:
            if not error.is_missing:
                raise ConfigError(_with_name(error, group)) from error

    def __iter__(self) -> Iterator[Setting]:
        """Iterate over the rows."""
        return iter(self.rows)


def _with_name(error: SettingError, group: _Group) -> str:
    name = group.names.get(error.name, error.name)
    return f"parameter {name.replace(PER_CLASS, error.item)!r} {error.fault}"


def _plain(value: Any) -> Value:
    """Return a value as ROS has it: no enums, and one list where corners are nested.

    A list of parameters cannot be empty in ROS: no corners are [0.0].
    """
    if isinstance(value, Enum):
        return str(value.value)
    if not isinstance(value, tuple):
        plain: Value = value
        return plain
    if not value:
        return (0.0,)
    flat = [item for part in value for item in (part if isinstance(part, tuple) else (part,))]
    return tuple(flat)
