"""The shipped parameter files; launch files import this with ROS's interpreter alone."""

from __future__ import annotations

import importlib.resources
from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError

MODES = ("rover", "lander")
"""The vehicles with a shipped file; the first one's holds every value, the others' what differs."""


def shipped_parameter_file(name: str = MODES[0]) -> Path:
    """Return the path of a shipped file, in an installed package or in a checkout.

    Raises:
        ConfigError: there is none of this name.
    """
    package = Path(str(importlib.resources.files("terrain_seg_ros")))
    folders = [package / "config", package.parents[1] / "config"]
    for folder in folders:
        path = folder / f"{name}.param.yaml"
        if path.is_file():
            return path
    known = sorted(p.name.split(".")[0] for f in folders for p in f.glob("*.param.yaml"))
    raise ConfigError(f"no shipped parameter file is called {name!r}; there are {known}")
