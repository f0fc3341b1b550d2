"""Read a ROS parameter file and select the values for this node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.files.yaml_file import read_yaml

NODE_NAME = "terrain_seg"
NAMESPACE = "/terrain"
DEPTH_LIMIT = 8
PATTERN_LIMIT = 12
"""Longest name of a block, in parts; a longer one matches no node."""
ROS_OWN = ("use_sim_time", "start_type_description_service", "qos_overrides.")
"""Parameters that ROS itself declares for every node; the ROS node applies them."""


class _Section(NamedTuple):
    """One block of a file: the name of its nodes, which may hold wildcards, and their values."""

    node: str
    values: Mapping[Any, Any]


def read_parameter_file(path: Path | str, namespace: str | None = None) -> dict[str, Any]:
    """Return the values of a ROS parameter file for this node, by dotted name.

    Blocks whose name matches the node's full name are merged as ROS merges them: a later block
    replaces values of an earlier one. In names `*` stands for one part and `**` for any number of
    parts. A plain `terrain_seg` matches in every namespace.

    Args:
        path: the parameter file.
        namespace: of the node. If None, the file may hold blocks for one node of this name only.

    Raises:
        ConfigError: the file is not a readable parameter file, is keyed to other nodes only or to
            several nodes of this name, or gives a parameter in a specific block and again in a
            more general one below it.
    """
    sections = parameter_sections(path)
    if namespace is None:
        namespace = _only_namespace(sections, str(path))
    ours = [item for item in sections if is_for(item.node, namespace)]
    if not ours:
        others = [item.node for item in sections]
        found = f"is keyed to {others}" if others else "holds no `ros__parameters`"
        raise ConfigError(
            f"{path}: the file {found}, expected `/**:`, `{NODE_NAME}:` or "
            f"`{namespace.rstrip('/')}/{NODE_NAME}:` with `ros__parameters:` below it"
        )
    values: dict[str, Any] = {}
    given_by: dict[str, str] = {}
    for node, section in ours:
        flat: dict[str, Any] = {}
        _flatten(section, "", flat, str(path))
        for name in flat:
            before = given_by.get(name)
            if before is not None and _literal_parts(node) < _literal_parts(before):
                raise ConfigError(
                    f"{path}: parameter {name!r} is given to {before!r} and again below it to "
                    f"{node!r}, and ROS takes the last one; put the general block first"
                )
            given_by[name] = node
        values.update(flat)
    return values


def parameter_sections(path: Path | str) -> list[_Section]:
    """Return the blocks of a ROS parameter file, in their order.

    Raises:
        ConfigError: the file is not a readable YAML mapping, or gives a key or a parameter twice.
    """
    content = read_yaml(Path(path), "`/**:` with `ros__parameters:`")
    sections: list[_Section] = []
    _find_sections(content, "", sections, str(path))
    _check_once(sections, str(path))
    return sections


def _check_once(sections: Iterable[_Section], source: str) -> None:
    """Check that no parameter is given twice to nodes of one name, however it is spelled.

    Names may be nested or written with slashes, parameters nested or with dots. Blocks for other
    nodes are not checked.
    """
    given: dict[tuple[str, ...], set[str]] = {}
    for node, section in sections:
        if NODE_NAME not in node and "*" not in node:
            continue
        flat: dict[str, Any] = {}
        _flatten(section, "", flat, source)
        before = given.setdefault(tuple(_parts(node)), set())
        for name in flat:
            if name in before:
                raise ConfigError(
                    f"{source}: parameter {name!r} is given in two blocks for {node!r}; the first "
                    "would be lost; put both into one"
                )
        before.update(flat)


def _only_namespace(sections: Iterable[_Section], source: str) -> str:
    """Return the namespace of the one node of this name for which a file has blocks."""
    full = [item.node for item in sections if _parts(item.node)[-1:] == [NODE_NAME]]
    found = sorted({name.rpartition("/")[0] for name in full if "*" not in name} - {""})
    if len(found) > 1:
        raise ConfigError(
            f"{source}: holds blocks for {NODE_NAME!r} in several namespaces {found}, and this "
            "command uses those of one node; give a file with one of them, or the namespace"
        )
    return found[0] if found else NAMESPACE


def is_for(name: str, namespace: str) -> bool:
    """Return whether a block's name, with wildcards, matches the node in a namespace."""
    parts = _parts(name)
    return parts == [NODE_NAME] or _matches(parts, [*_parts(namespace), NODE_NAME])


def _parts(name: str) -> list[str]:
    return [part for part in name.split("/") if part]


def _literal_parts(name: str) -> int:
    return sum("*" not in part for part in _parts(name))


def _matches(pattern: Sequence[str], parts: Sequence[str]) -> bool:
    if len(pattern) > PATTERN_LIMIT:
        return False
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches(pattern[1:], parts[at:]) for at in range(len(parts) + 1))
    if not parts or pattern[0] not in {"*", parts[0]}:
        return False
    return _matches(pattern[1:], parts[1:])


def _find_sections(
    content: Mapping[Any, Any],
    prefix: str,
    sections: list[_Section],
    source: str,
) -> None:
    """Collect (node name, its parameters), also where namespaces are nested."""
    if prefix.count("/") > DEPTH_LIMIT:
        raise ConfigError(f"{source}: is nested too deeply; expected node, ros__parameters, values")
    for key, value in content.items():
        if key == "ros__parameters":
            if not isinstance(value, Mapping):
                raise ConfigError(f"{source}: `ros__parameters` of {prefix!r} holds no values")
            sections.append(_Section(prefix or "/", value))
        elif isinstance(value, Mapping):
            _find_sections(value, f"{prefix}/{str(key).strip('/')}", sections, source)


def _flatten(section: Mapping[Any, Any], prefix: str, flat: dict[str, Any], source: str) -> None:
    if prefix.count(".") > DEPTH_LIMIT:
        raise ConfigError(f"{source}: parameters are nested too deeply at {prefix!r}")
    for key, value in section.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            _flatten(value, f"{name}.", flat, source)
        elif name in flat:
            raise ConfigError(f"{source}: parameter {name!r} is given twice; remove one")
        elif not name.startswith(ROS_OWN):
            flat[name] = value
