"""The rows of the reference table of parameters, in plain Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from terrain_seg_ros.core.settings import Setting
from terrain_seg_ros.parameters.declaration import Declaration, Value

HEADER = ("parameter", "type", "range", "shipped value", "while running", "meaning")


def reference_groups(
    declaration: Declaration[Any], shipped: Mapping[str, Mapping[str, Value]]
) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    """Give the title and the rows of each group of parameters, with the columns of HEADER.

    Args:
        declaration: of the settings.
        shipped: values by name, by vehicle; the first vehicle's are shown for all, the others'
            where they differ.
    """
    groups: dict[str, list[tuple[str, ...]]] = {}
    for setting in declaration.rows:
        groups.setdefault(declaration.group(setting.name), []).append(_row(setting, shipped))
    yield from groups.items()


def _row(setting: Setting, shipped: Mapping[str, Mapping[str, Value]]) -> tuple[str, ...]:
    return (
        f"`{setting.name}`",
        setting.kind,
        ", ".join(setting.choices) or setting.range,
        "" if setting.is_family else _shipped_values(setting.name, shipped),
        "yes" if setting.dynamic else "",
        setting.text,
    )


def _shipped_values(name: str, shipped: Mapping[str, Mapping[str, Value]]) -> str:
    base, *others = shipped
    differing = [
        f"{vehicle} `{_text(shipped[vehicle][name])}`"
        for vehicle in others
        if shipped[vehicle][name] != shipped[base][name]
    ]
    return ", ".join([f"`{_text(shipped[base][name])}`", *differing])


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(str(item) for item in value) + "]"
    return str(value)
