"""The YAML files of training, by the strict reader of the vehicle; and values as YAML for messages.

Unlike ROS parameter files they may have aliases and merge keys, and may list removed samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from terrain_seg_ros.core.files import yaml_file

LIMIT_BYTES = 512 * 1024
"""Run and card keep a recipe with the names of removed samples; a card may have 1 MiB."""
NODE_LIMIT = 100_000
SHOWN_CHARACTERS = 160


def read_yaml(path: Path, *, expected: str) -> Mapping[Any, Any]:
    """Return the mapping in a file.

    Args:
        path: of the file.
        expected: what it should hold, for messages.

    Raises:
        ConfigError: it is missing, too large, or not valid YAML of a mapping without a key twice.
    """
    return yaml_file.read_yaml(
        path, expected, limit_bytes=LIMIT_BYTES, node_limit=NODE_LIMIT, aliases=True
    )


def parse_yaml(text: str, *, source: str) -> object:
    """Return the content of a text.

    Raises:
        ConfigError: it is not valid YAML, or gives a key of one mapping twice.
    """
    return yaml_file.parse_yaml(text, source, node_limit=NODE_LIMIT, aliases=True)


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
