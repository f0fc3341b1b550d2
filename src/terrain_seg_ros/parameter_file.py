"""Read a ROS parameter file and pick what is meant for this node."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.regular_file import read_regular_file

NODE_NAME = "terrain_seg"
FILE_LIMIT_BYTES = 256 * 1024
DEPTH_LIMIT = 8
ROS_OWN = ("use_sim_time", "start_type_description_service", "qos_overrides.")
"""Parameters that ROS itself declares for every node; its rim honours them."""


def read_parameter_file(path: Path | str) -> dict[str, Any]:
    """Return the values of a ROS parameter file that are meant for this node, by dotted name.

    Raises:
        ConfigError: it is no readable parameter file, or keyed to other nodes only.
    """
    content = read_yaml(Path(path), "`/**:` with `ros__parameters:`")
    sections: list[tuple[str, Mapping[Any, Any]]] = []
    _find_sections(content, "", sections, str(path))
    ours = [item for item in sections if item[0].rsplit("/", 1)[-1] in {"**", NODE_NAME}]
    if not ours:
        others = [name for name, _ in sections]
        found = f"is keyed to {others}" if others else "holds no `ros__parameters`"
        raise ConfigError(
            f"{path}: the file {found}, expected `/**:` or `{NODE_NAME}:` with "
            "`ros__parameters:` below it"
        )
    ours.sort(key=lambda item: not item[0].endswith("**"))
    values: dict[str, Any] = {}
    for _, section in ours:
        flat: dict[str, Any] = {}
        _flatten(section, "", flat, str(path))
        values.update(flat)
    return values


def read_yaml(path: Path, expected: str) -> Mapping[Any, Any]:
    """Return the mapping in a YAML file of bounded size, without aliases.

    Args:
        path: of the file.
        expected: what it should hold, for the error.

    Raises:
        ConfigError: it cannot be read or holds something else.
    """
    data = read_regular_file(path, FILE_LIMIT_BYTES)
    try:
        text = data.decode("utf-8")
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)):
            raise ConfigError(f"{path}: holds a YAML alias, which ROS does not read; write it out")
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{path}: is not valid YAML: {reason}") from error
    if not isinstance(content, Mapping):
        raise ConfigError(f"{path}: holds no mapping; expected {expected}")
    return content


def _find_sections(
    content: Mapping[Any, Any],
    prefix: str,
    sections: list[tuple[str, Mapping[Any, Any]]],
    source: str,
) -> None:
    """Collect (node name, its parameters), also where namespaces are nested."""
    if prefix.count("/") > DEPTH_LIMIT:
        raise ConfigError(f"{source}: is nested too deeply; expected node, ros__parameters, values")
    for key, value in content.items():
        if key == "ros__parameters":
            if not isinstance(value, Mapping):
                raise ConfigError(f"{source}: `ros__parameters` of {prefix!r} holds no values")
            sections.append((prefix or "/", value))
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
