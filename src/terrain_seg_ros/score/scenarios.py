"""The scenarios of the score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.score.paths import DescentSettings, DriveSettings
from terrain_seg_ros.worlds.cast_rays import RayCast
from terrain_seg_ros.worlds.world import WORLD_TAXONOMY, Body, World

MODES = ("rover", "lander")
IMAGE_PX = 256
"""Images have the size of the network's input, so that masks are not resampled."""
MIN_HAZARD_M = 0.2
"""A rock of at least this mean diameter is a hazard."""
ROVER_FOV_RAD = (math.radians(66.0), math.radians(52.0))
LANDER_FOV_RAD = (math.radians(50.0), math.radians(50.0))
WIDE_LENS = (-0.28, 0.09, 0.0008, -0.0006, 0.0)
"""Barrel distortion of a common wide lens: k1 k2 p1 p2 k3 of plumb_bob."""


@dataclass(frozen=True)
class Scenario:
    """One scenario.

    `ground` overrides settings of the body's world, `overrides` overrides parameters of the shipped
    file of the mode; `with_depth` adds true depth to each image; `lens` are coefficients of
    plumb_bob.
    """

    name: str
    mode: str
    text: str
    ground: Mapping[str, float]
    overrides: Mapping[str, Any]
    with_depth: bool = False
    lens: tuple[float, ...] = ()
    drive: DriveSettings = field(default_factory=DriveSettings)
    descent: DescentSettings = field(default_factory=DescentSettings)


LANDING_GROUND = {"rock_abundance": 0.01}
"""Landing areas are selected to have few rocks."""
FLAT = {"rms_slope_rad": 0.0, "crater_saturation": 0.0}
SCENARIOS = (
    Scenario(
        "flat_tilt",
        "rover",
        "level ground under a body that rolls and pitches by 10 degrees, gravity_plane",
        FLAT,
        {"ground.plane": "gravity_plane"},
        drive=DriveSettings(body_tilt_rad=math.radians(10.0)),
    ),
    Scenario(
        "slope",
        "rover",
        "a slope of 15 degrees, vehicle_plane",
        {**FLAT, "tilt_rad": math.radians(15.0)},
        {"ground.plane": "vehicle_plane"},
    ),
    Scenario(
        "rough_depth",
        "rover",
        "rough ground with craters, aligned depth",
        {},
        {"ground.source": "depth", "depth.source": "image"},
        with_depth=True,
    ),
    Scenario(
        "wide_lens",
        "rover",
        "level ground through a lens with distortion, gravity_plane",
        FLAT,
        {"ground.plane": "gravity_plane"},
        lens=WIDE_LENS,
    ),
    Scenario(
        "descent",
        "lander",
        "level ground with rocks, from a camera that looks down, altitude from TF",
        {**FLAT, **LANDING_GROUND},
        {"ground.plane": "grid_plane"},
    ),
    Scenario(
        "descent_depth",
        "lander",
        "rough ground with craters and rocks, aligned depth",
        LANDING_GROUND,
        {"ground.source": "depth", "depth.source": "image"},
        with_depth=True,
    ),
)


def scenarios_of(mode: str, names: tuple[str, ...] = ()) -> tuple[Scenario, ...]:
    """Return the scenarios of a mode, optionally only those with the given names.

    Raises:
        ConfigError: a name is not a scenario of the mode.
    """
    all_of_mode = tuple(scenario for scenario in SCENARIOS if scenario.mode == mode)
    known = {scenario.name: scenario for scenario in all_of_mode}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(
            f"scenario {unknown[0]!r} does not exist in mode {mode}, expected one of "
            f"{sorted(known)}"
        )
    return tuple(known[name] for name in dict.fromkeys(names)) or all_of_mode


def camera_of(scenario: Scenario) -> CameraModel:
    """Return the camera of a scenario; its pixels are not square, like those of a resized image."""
    wide_rad, high_rad = ROVER_FOV_RAD if scenario.mode == "rover" else LANDER_FOV_RAD
    return CameraModel(
        width_px=IMAGE_PX,
        height_px=IMAGE_PX,
        fx_px=0.5 * IMAGE_PX / math.tan(0.5 * wide_rad),
        fy_px=0.5 * IMAGE_PX / math.tan(0.5 * high_rad),
        cx_px=0.5 * (IMAGE_PX - 1),
        cy_px=0.5 * (IMAGE_PX - 1),
        distortion_model="plumb_bob" if scenario.lens else "none",
        coefficients=scenario.lens,
    )


def perfect_mask(world: World, cast: RayCast, *, min_hazard_m: float) -> U8:
    """Return the mask (H, W) of a perfect network; rocks below the hazard size count as ground."""
    small = np.append(world.rocks.diameter_m < min_hazard_m, False)[cast.rock]
    mask: U8 = cast.mask.copy()
    points = cast.points_world()[small]
    mask[small] = world.class_at(points[:, 0], points[:, 1])
    return mask


def body_of(
    scenario: Scenario, seed: int, *, taxonomy: Taxonomy, bodies: Sequence[str] = ()
) -> Body:
    """Return the body of a world: Moon and Mars alternately, for landers only the Moon.

    A model is scored on the bodies that its card names. Where it names none, a model whose
    classes differ from those of the worlds was trained on Mars only and is scored on Mars.

    Args:
        scenario: the scenario of the world.
        seed: the seed of the world.
        taxonomy: the classes of the model.
        bodies: `training.bodies` of the model's card.
    """
    known = [body for body in Body if body.value in bodies]
    if known and scenario.mode == "lander" and Body.MOON in known:
        return Body.MOON
    if known:
        return known[seed % len(known)]
    if taxonomy.fingerprint() != WORLD_TAXONOMY.fingerprint():
        return Body.MARS
    if scenario.mode == "lander":
        return Body.MOON
    return (Body.MOON, Body.MARS)[seed % 2]
