"""Read a YAML file of bounded size, without keys that are given twice."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.files.regular_file import read_regular_file

LIMIT_BYTES = 512 * 1024
"""Run and card keep a recipe with the names of removed samples; a card may have 1 MiB."""
SHOWN_CHARACTERS = 160


def read_yaml(path: Path, *, what: str) -> object:
    """Return the content of a file.

    Args:
        path: of the file.
        what: it should be, for messages.

    Raises:
        ConfigError: it is missing, too large, no text or no YAML, or gives a key twice.
    """
    try:
        content = parse_yaml(read_regular_file(path, LIMIT_BYTES).decode("utf-8"))
    except ConfigError as error:
        raise ConfigError(f"{what} {error}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{what} {path} is no YAML: {reason}") from error
    return content


def parse_yaml(text: str) -> object:
    """Return the content of a text.

    Raises:
        yaml.YAMLError: it is no YAML, or gives a key of one mapping twice.
        ValueError: a value is none, such as a date of month 13.
        RecursionError: it is nested too deep.
    """
    return yaml.load(text, _StrictLoader)  # noqa: S506  (a safe one)


class _StrictLoader(yaml.SafeLoader):
    """Refuse keys that are given twice, of which YAML would take the last in silence."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[object, int] = {}
        for key_node, _ in node.value:
            key = getattr(key_node, "value", None)
            line = key_node.start_mark.line + 1
            if isinstance(key, str) and key in lines:
                raise yaml.constructor.ConstructorError(
                    problem=f"{key!r} is given in line {lines[key]} and again in line {line}; the "
                    "first would be lost: put both into one"
                )
            if isinstance(key, str):
                lines[key] = line
        return super().construct_mapping(node, deep)


def as_yaml(value: object) -> str:
    """Return a value as a line of YAML, for messages; long ones are cut."""
    if isinstance(value, str):
        text = f"'{value}'"
    else:
        try:
            text = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False)
        except yaml.YAMLError:
            text = str(value)
        text = " ".join(text.removesuffix("\n").removesuffix("...").split())
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."
