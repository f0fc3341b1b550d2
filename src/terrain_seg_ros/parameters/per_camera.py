"""Checks of settings that name topics or hold one value per camera."""

from __future__ import annotations

import re
from typing import Any

from terrain_seg_ros.core.errors import ConfigError

_TOPIC = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*$")


def check_topic(name: str) -> None:
    """Check that a name is a relative topic name."""
    if not _TOPIC.match(name):
        raise ConfigError(
            f"{name!r} is not a relative topic name; use letters, digits, _ and /, and remap the "
            "topic where its full name differs"
        )


def check_count(name: str, values: tuple[Any, ...], cameras: tuple[str, ...]) -> None:
    """Check that a list has one value for all cameras or one for each."""
    if len(values) not in {1, len(cameras)}:
        raise ConfigError(
            f"parameter {name!r} has {len(values)} values for {len(cameras)} cameras; give one for "
            "all or one for each"
        )
