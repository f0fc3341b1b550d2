"""What a rendered picture shows, drawn at random: world, vehicle, camera and light."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.geometry.frames import BODY_R_OPTICAL, rotation_from_rpy
from terrain_seg_ros.core.types import F64, Transform
from terrain_seg_ros.worlds.render_settings import RenderSettings, default_camera
from terrain_seg_ros.worlds.settings import WorldSettings, default_settings
from terrain_seg_ros.worlds.world import Body, World

Vehicle = Literal["rover", "lander"]
Range = tuple[float, float]

SPACING_M = 0.1
SIDE_M: dict[Vehicle, Range] = {"rover": (60.0, 90.0), "lander": (90.0, 110.0)}
HEIGHT_M: dict[Vehicle, Range] = {"rover": (1.0, 2.5), "lander": (15.0, 50.0)}
ABUNDANCE: dict[Vehicle, Range] = {"rover": (0.01, 0.15), "lander": (0.005, 0.08)}
FOV_DEG: dict[Vehicle, Range] = {"rover": (40.0, 75.0), "lander": (40.0, 60.0)}
SUN_DEG: Range = (8.0, 70.0)
LEVEL_SHARE = 0.25
"""Share of worlds without relief and craters; another share of worlds is tilted."""
TILTED_SHARE, MAX_TILT_DEG = 0.4, 18.0
RELIEF: Range = (0.5, 2.0)
"""Slope and craters over the body's own."""
ASPECT: Range = (0.75, 1.0)
"""Vertical over horizontal field of view: pixels are not square where an image was stretched."""
LENS_SHARE, BARREL = 0.25, -0.3
ROVER_PITCH_DEG: Range = (5.0, 38.0)
ROVER_ROLL_DEG, LANDER_ROLL_DEG = 12.0, 4.0
MAX_OFF_NADIR_DEG = 30.0
NADIR_SHARE = 0.5
"""Of the landers' pictures; the others look ahead as well."""
MIDDLE_SHARE = 0.5
"""Vehicles stay within this share of the half side, so that the world's end is far."""
PLAIN_SHARE = 0.3
"""Share of pictures that the body's own camera takes, as the simulator does."""
SAMPLES = (1, 1, 2)
"""Of a camera that looks ahead (REP-103)."""
FOOTING_M = 0.6


@dataclass(frozen=True)
class View:
    """How a picture is taken."""

    camera: CameraModel
    world_T_camera: Transform  # noqa: N815
    settings: RenderSettings


def choose_vehicle(random: np.random.Generator, *, lander_share: float) -> Vehicle:
    """Return whose camera sees a world."""
    return "lander" if random.random() < lander_share else "rover"


def choose_world(
    random: np.random.Generator, body: Body, vehicle: Vehicle
) -> tuple[float, WorldSettings]:
    """Return the side of a world, metres, and what the world is like."""
    settings = default_settings(body)
    relief = 0.0 if random.random() < LEVEL_SHARE else random.uniform(*RELIEF)
    tilted = random.random() < TILTED_SHARE
    return random.uniform(*SIDE_M[vehicle]), replace(
        settings,
        rms_slope_rad=relief * settings.rms_slope_rad,
        crater_saturation=relief * settings.crater_saturation,
        tilt_rad=math.radians(random.uniform(0.0, MAX_TILT_DEG)) if tilted else 0.0,
        tilt_azimuth_rad=random.uniform(-math.pi, math.pi),
        rock_abundance=_log_uniform(random, ABUNDANCE[vehicle]),
        bedrock_share=settings.bedrock_share * random.uniform(0.0, 2.0),
        sand_share=settings.sand_share * random.uniform(0.0, 2.0),
        albedo=settings.albedo * random.uniform(0.7, 1.4),
        sun_azimuth_rad=random.uniform(-math.pi, math.pi),
        sun_elevation_rad=math.radians(random.uniform(*SUN_DEG)),
    )


def choose_view(
    random: np.random.Generator, world: World, vehicle: Vehicle, *, size_px: int
) -> View:
    """Return a camera somewhere about the middle of a world; it may be inside a rock.

    Args:
        random: numbers.
        world: to be seen.
        vehicle: a rover's camera looks ahead and down, a lander's down.
        size_px: of the square picture.
    """
    camera = _camera(random, vehicle, size_px)
    x_m, y_m = random.uniform(-MIDDLE_SHARE, MIDDLE_SHARE, 2) * world.half_side_m
    height_m = random.uniform(*HEIGHT_M[vehicle])
    yaw_rad = random.uniform(-math.pi, math.pi)
    if vehicle == "rover":
        roll_deg = random.uniform(-ROVER_ROLL_DEG, ROVER_ROLL_DEG)
        pitch_deg = random.uniform(*ROVER_PITCH_DEG)
        upright = _standing(world, float(x_m), float(y_m), yaw_rad)
    else:
        # From high up the world is small, so that landers stay near its middle.
        x_m, y_m = 0.25 * x_m, 0.25 * y_m
        off = 0.0 if random.random() < NADIR_SHARE else random.uniform(0.0, MAX_OFF_NADIR_DEG)
        roll_deg, wobble_deg = random.uniform(-LANDER_ROLL_DEG, LANDER_ROLL_DEG, 2)
        pitch_deg = 90.0 - off + wobble_deg
        upright = rotation_from_rpy(0.0, 0.0, yaw_rad)
    body = rotation_from_rpy(math.radians(roll_deg), math.radians(pitch_deg), 0.0)
    ground_m = float(world.ground_height_m(x_m, y_m))
    position_m = np.array([x_m, y_m, ground_m]) + height_m * upright[:, 2]
    return View(
        camera,
        Transform(upright @ body @ BODY_R_OPTICAL, position_m),
        _picture(random, world.body),
    )


def _camera(random: np.random.Generator, vehicle: Vehicle, size_px: int) -> CameraModel:
    wide_deg = random.uniform(*FOV_DEG[vehicle])
    high_deg = wide_deg * random.uniform(*ASPECT)
    bent = random.random() < LENS_SHARE
    barrel = BARREL * random.random()
    return CameraModel(
        width_px=size_px,
        height_px=size_px,
        fx_px=0.5 * size_px / math.tan(math.radians(0.5 * wide_deg)),
        fy_px=0.5 * size_px / math.tan(math.radians(0.5 * high_deg)),
        cx_px=0.5 * (size_px - 1),
        cy_px=0.5 * (size_px - 1),
        distortion_model="plumb_bob" if bent else "none",
        # The ratio of common wide lenses; without the second term corners would fold over.
        coefficients=(barrel, -0.3 * barrel, 0.0, 0.0) if bent else (),
    )


def _standing(world: World, x_m: float, y_m: float, yaw_rad: float) -> F64:
    """Return the rotation of a body that stands on the slope below it and heads somewhere."""
    steps = FOOTING_M * np.array([(0, 0), (1, 1), (1, -1), (-1, 1), (-1, -1)])
    up: F64 = world.ground_normals(x_m + steps[:, 0], y_m + steps[:, 1]).mean(axis=0)
    up = up / np.linalg.norm(up)
    left = np.cross(up, [math.cos(yaw_rad), math.sin(yaw_rad), 0.0])
    left /= np.linalg.norm(left)
    rotation: F64 = np.column_stack([np.cross(left, up), left, up])
    return rotation


def _picture(random: np.random.Generator, body: Body) -> RenderSettings:
    settings = default_camera(body)
    if random.random() < PLAIN_SHARE:
        return settings
    haze = random.uniform(0.2, 2.0)
    return replace(
        settings,
        samples=SAMPLES[int(random.integers(len(SAMPLES)))],
        blur_px=random.uniform(0.2, 0.9),
        exposure=random.uniform(0.18, 0.5),
        noise=_log_uniform(random, (0.003, 0.025)),
        haze_m=settings.haze_m * haze,
        sky_share=min(settings.sky_share * random.uniform(0.5, 1.6), 1.0),
        fill_share=settings.fill_share * random.uniform(0.3, 2.0),
        pebbles_per_m2=random.uniform(0.0, 1.5) * settings.pebbles_per_m2,
        relief_slope=random.uniform(0.4, 1.5) * settings.relief_slope,
    )


def _log_uniform(random: np.random.Generator, between: Range) -> float:
    low, high = between
    return math.exp(random.uniform(math.log(low), math.log(high)))
