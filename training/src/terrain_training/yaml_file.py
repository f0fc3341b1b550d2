"""Read a YAML file of bounded size."""

from __future__ import annotations

from pathlib import Path

import yaml

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.regular_file import read_regular_file

LIMIT_BYTES = 256 * 1024
SHOWN_CHARACTERS = 160


def read_yaml(path: Path, *, what: str) -> object:
    """Return the content of a file.

    Args:
        path: of the file.
        what: it should be, for messages.

    Raises:
        ConfigError: it is missing, too large, no text or no YAML.
    """
    try:
        content: object = yaml.safe_load(read_regular_file(path, LIMIT_BYTES).decode("utf-8"))
    except ConfigError as error:
        raise ConfigError(f"{what} {error}") from error
    except (UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"{what} {path} is no YAML: {reason}") from error
    return content


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
