"""Whether MuJoCo can draw here, and small simulations, for tests."""

from __future__ import annotations

import math

import pytest

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.sim.opengl import load_mujoco
from terrain_seg_ros.sim.simulator import SimSettings
from terrain_seg_ros.worlds.world import Body


def why_not():
    """Return why nothing can be drawn; empty if it can."""
    try:
        load_mujoco()
    except ConfigError as error:
        return str(error)
    return ""


needs_drawing = pytest.mark.skipif(bool(why_not()), reason=why_not())


def settings(mode="rover", **changes):
    """Return a short drive or descent in a small world."""
    values = {
        "mode": mode,
        "body": Body.MARS if mode == "rover" else Body.MOON,
        "seed": 3,
        "side_m": 30.0,
        "spacing_m": 0.1,
        "width_px": 160,
        "height_px": 120,
        "horizontal_fov_rad": math.radians(66.0),
        "encoding": "rgb8",
        "rate_hz": 2.0,
        "pictures": 4,
        "speed_mps": 0.5,
        "start_m": 15.0,
        "end_m": 8.0,
    }
    return SimSettings(**{**values, **changes})
