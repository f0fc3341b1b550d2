"""Load the node's settings: the shipped parameter files first, the user's on top."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.parameters.file import read_parameter_file
from terrain_seg_ros.parameters.node_settings import DECLARATION, NodeSettings
from terrain_seg_ros.parameters.shipped import MODES, shipped_parameter_file


def load_parameters(
    *paths: Path | str,
    overrides: Mapping[str, Any] | None = None,
    shipped: str = MODES[0],
    namespace: str | None = None,
) -> NodeSettings:
    """Return the shipped values with those of the user's files and of overrides on top.

    Args:
        paths: the user's files, the last one wins.
        overrides: values by dotted name, such as those of command line options.
        shipped: the vehicle, one of MODES; its differences are on top of the first one's values.
        namespace: of the node, by which the blocks of a file are selected; None where there is
            no node.

    Raises:
        ConfigError: a file cannot be read, or a value is unknown, of the wrong type, out of range
            or missing.
    """
    values: dict[str, Any] = {}
    layers = dict.fromkeys((MODES[0], shipped))
    for path in (*map(shipped_parameter_file, layers), *paths):
        values.update(_checked_file(path, namespace))
    given = dict(overrides or {})
    DECLARATION.check(given)
    try:
        return DECLARATION.build({**values, **given})
    except ConfigError as error:
        if not paths:
            raise
        with_options = " with the options given" if given else ""
        names = ", ".join(map(str, paths))
        raise ConfigError(f"{names}{with_options}: {error}") from error


def _checked_file(path: Path | str, namespace: str | None) -> dict[str, Any]:
    """Return the values of a file; the message of a wrong one names the file."""
    content = read_parameter_file(path, namespace)
    try:
        DECLARATION.check(content)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return content
