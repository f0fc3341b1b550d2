"""A strict reader for small YAML files: bounded, without aliases or duplicate keys."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.files.regular_file import read_regular_file

FILE_LIMIT_BYTES = 256 * 1024
NODE_LIMIT = 5000
"""Limit of keys, values, lists and mappings in one file; shipped files have about two hundred."""
YAML_DEPTH_LIMIT = 24


def read_yaml(path: Path, expected: str) -> Mapping[Any, Any]:
    """Return the mapping in a YAML file of bounded size, depth and count, without aliases.

    A duplicate key in a mapping is an error, because the first value would be lost silently.

    Args:
        path: the file.
        expected: the expected content, for the error.

    Raises:
        ConfigError: the file cannot be read or contains something else.
    """
    text = _read_text(path)
    try:
        _check_events(path, text)
        loader = _StrictLoader(text, str(path))
        try:
            content = loader.get_single_data()
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: is not valid YAML: {reason}") from error
    if not isinstance(content, Mapping):
        raise ConfigError(f"{path}: does not contain a mapping; expected {expected}")
    return content


def _read_text(path: Path) -> str:
    data = read_regular_file(path, FILE_LIMIT_BYTES)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not valid YAML: {error}") from error


def _check_events(path: Path, text: str) -> None:
    """Check depth and count while parsing, so that reading stops at the first violation."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, yaml.SafeLoader)):
        line = 1 if event.start_mark is None else event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise ConfigError(
                f"{path}: contains a YAML alias in line {line}, which ROS does not support; "
                "write it out"
            )
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > YAML_DEPTH_LIMIT:
            raise ConfigError(
                f"{path}: is not valid YAML for parameters: nested more than {YAML_DEPTH_LIMIT} "
                f"deep in line {line}"
            )
        if count > 2 * NODE_LIMIT:
            raise ConfigError(
                f"{path}: contains more than {NODE_LIMIT} keys and values by line {line}; "
                "check that this is the right file"
            )


class _StrictLoader(yaml.SafeLoader):
    """A loader that rejects duplicate keys, and merge keys, which ROS does not support."""

    def __init__(self, text: str, source: str) -> None:
        super().__init__(text)
        self._source = source

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[Hashable, int] = {}
        for key_node, _ in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == "tag:yaml.org,2002:merge":
                raise ConfigError(
                    f"{self._source}: has a merge key `<<` in line {line}, which ROS does not "
                    "support; write it out"
                )
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise ConfigError(f"{self._source}: the key in line {line} is not a name")
            if key in lines:
                raise ConfigError(
                    f"{self._source}: {key!r} occurs in line {lines[key]} and again in line "
                    f"{line}, and the first would be lost; merge them into one"
                )
            lines[key] = line
        return super().construct_mapping(node, deep)
