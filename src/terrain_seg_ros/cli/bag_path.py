"""The name of a bag on a command line; light, as the doctor starts where little is installed."""

from __future__ import annotations

from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError


def bag_path(text: str) -> Path:
    """Return the path of a bag; `Path` alone takes an empty name as the current folder.

    Raises:
        ConfigError: the name is empty.
    """
    if not text.strip():
        raise ConfigError(
            f"the name of the bag is {text!r}, which is empty; name a bag's folder, or a .mcap or "
            ".db3 file, and check the variable that holds it"
        )
    return Path(text)
