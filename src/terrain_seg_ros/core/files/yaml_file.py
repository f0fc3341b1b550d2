"""Read YAML of small files strictly: bounded in size, depth and count, and no key twice."""

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


def read_yaml(
    path: Path,
    expected: str,
    *,
    limit_bytes: int = FILE_LIMIT_BYTES,
    node_limit: int = NODE_LIMIT,
    aliases: bool = False,
) -> Mapping[Any, Any]:
    """Return the mapping in a YAML file of bounded size, depth and count.

    A duplicate key in a mapping is an error, because the first value would be lost silently.

    Args:
        path: of the file.
        expected: what it should hold, for the error.
        limit_bytes: largest size of the file.
        node_limit: most keys and values.
        aliases: whether aliases and merge keys are accepted; ROS does not read them.

    Raises:
        ConfigError: the file cannot be read or contains something else.
    """
    text = _read_text(path, limit_bytes)
    content = parse_yaml(text, str(path), node_limit=node_limit, aliases=aliases)
    if not isinstance(content, Mapping):
        raise ConfigError(f"{path}: does not contain a mapping; expected {expected}")
    return content


def parse_yaml(
    text: str, source: str, *, node_limit: int = NODE_LIMIT, aliases: bool = False
) -> object:
    """Return the content of YAML text; the limits are those of `read_yaml`.

    Args:
        text: of the document.
        source: where it stands, for the error.
        node_limit: most keys and values.
        aliases: whether aliases and merge keys are accepted.

    Raises:
        ConfigError: it is not valid YAML or beyond a limit.
    """
    try:
        _check_events(source, text, node_limit=node_limit, aliases=aliases)
        loader = _StrictLoader(text, source, merges=aliases)
        try:
            content: object = loader.get_single_data()
        finally:
            loader.dispose()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{source}: is not valid YAML: {reason}") from error
    return content


TAG_PREFIX = "tag:yaml.org,2002:"
PLAIN_TAGS = frozenset(
    [*(TAG_PREFIX + name for name in ("str", "int", "float", "bool", "null", "seq", "map")), "!"]
)
"""Tags of values that are plain; others make objects that have no place in a file of ours."""


def _read_text(path: Path, limit_bytes: int) -> str:
    data = read_regular_file(path, limit_bytes)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not valid YAML: {error}") from error


def _check_events(source: str, text: str, *, node_limit: int, aliases: bool) -> None:
    """Check depth and count while the text is read, so that no time is lost on the rest."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, yaml.SafeLoader)):
        line = 1 if event.start_mark is None else event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent) and not aliases:
            raise ConfigError(
                f"{source}: holds a YAML alias in line {line}, which ROS does not read; "
                "write it out"
            )
        tag = getattr(event, "tag", None)
        if tag is not None and tag not in PLAIN_TAGS:
            short = tag.replace(TAG_PREFIX, "!!")[:40]
            raise ConfigError(
                f"{source}: has the YAML tag {short!r} in line {line}; write a plain value, list "
                "or mapping"
            )
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > YAML_DEPTH_LIMIT:
            raise ConfigError(
                f"{source}: is not valid YAML for parameters: nested more than {YAML_DEPTH_LIMIT} "
                f"deep in line {line}"
            )
        if count > 2 * node_limit:
            raise ConfigError(
                f"{source}: holds more than {node_limit} keys and values by line {line}; "
                "is it the right one?"
            )


class _StrictLoader(yaml.SafeLoader):
    """Refuse keys that are given twice and what ROS reads differently.

    That is merge keys, unless allowed, and numbers that only YAML 1.1 knows.
    """

    def __init__(self, text: str, source: str, *, merges: bool) -> None:
        super().__init__(text)
        self._source = source
        self._merges = merges

    def construct_yaml_int(self, node: Any) -> int:
        self._check_number(node)
        return super().construct_yaml_int(node)

    def construct_yaml_float(self, node: Any) -> float:
        self._check_number(node)
        return super().construct_yaml_float(node)

    def _check_number(self, node: Any) -> None:
        """Refuse 1:30, 1_000 and 0b1, which are numbers in YAML 1.1 and text in ROS."""
        if any(mark in node.value for mark in ("_", ":", "0b")):
            raise ConfigError(
                f"{self._source}: {node.value!r} in line {node.start_mark.line + 1} is a number in "
                "YAML 1.1 and text in ROS; write plain digits, or text in quotes"
            )

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[Hashable, int] = {}
        for key_node, _ in node.value:
            line = key_node.start_mark.line + 1
            merge = key_node.tag == "tag:yaml.org,2002:merge"
            if merge and self._merges:
                continue
            if merge:
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


_StrictLoader.add_constructor("tag:yaml.org,2002:int", _StrictLoader.construct_yaml_int)
_StrictLoader.add_constructor("tag:yaml.org,2002:float", _StrictLoader.construct_yaml_float)
