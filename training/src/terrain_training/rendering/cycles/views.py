"""What a picture shows, drawn at random: world, light, camera, ground, vehicle parts, sensor."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.geometry.frames import BODY_R_OPTICAL, rotation_from_rpy
from terrain_seg_ros.core.types import F64, Transform
from terrain_seg_ros.worlds.generate import generate_world
from terrain_seg_ros.worlds.settings import MOON, WorldSettings
from terrain_seg_ros.worlds.world import Body, Sun, World
from terrain_training.rendering.cycles.draws import log_uniform, random_of
from terrain_training.rendering.cycles.mars_views import (
    MarsLook,
    mars_look,
    mars_sensor,
    mars_settings,
    rock_colour,
)
from terrain_training.rendering.cycles.relief import GroundStyle, Track
from terrain_training.rendering.cycles.rock_cover import RockStyle, add_boulder_field
from terrain_training.rendering.cycles.sensor import SensorSettings, choose_sensor

Task = Literal["moon_rover", "moon_lander", "mars_rover"]
CameraKind = Literal["mast", "hazard", "lander"]
Range = tuple[float, float]

ROVER_SIDE_M, ROVER_SPACING_M = 90.0, 0.1
LANDER_POSTS = 1000
LANDER_SIDE = 2.8
"""Side of a lander's world over the highest camera's height."""
SUN_DEG: Range = (3.0, 75.0)
USUAL_SUN_SHARE, USUAL_SUN_DEG = 0.75, (15.0, 55.0)
"""Rovers work in the morning and the afternoon: noon is too hot, and dawn too dark."""
ABUNDANCE: Range = (0.004, 0.12)
MARS_VEHICLE_SHARE = 0.4
HAZARD_SHARE = 0.25
"""Of a rover's pictures."""
HEIGHT_M: dict[CameraKind, Range] = {
    "mast": (1.3, 2.3),
    "hazard": (0.35, 0.8),
    "lander": (10.0, 500.0),
}
FOV_DEG: dict[CameraKind, Range] = {
    "mast": (16.0, 62.0),
    "hazard": (60.0, 100.0),
    "lander": (30.0, 60.0),
}
PITCH_DEG: dict[CameraKind, Range] = {
    "mast": (-8.0, 30.0),
    "hazard": (8.0, 32.0),
    "lander": (40.0, 90.0),
}
ROLL_DEG: dict[CameraKind, float] = {"mast": 3.0, "hazard": 6.0, "lander": 6.0}
ASPECT: Range = (0.74, 1.0)
"""Vertical over horizontal size of a pixel on the ground: pictures stretched to a square."""
NADIR_SHARE = 0.5
"""Of a lander's pictures; the others are oblique."""
FIELD_SHARE, TRACK_SHARE, VEHICLE_SHARE = 0.6, 0.22, 0.25
EARTHSHINE_SHARE = 0.1
EARTHSHINE: Range = (2e-5, 1e-4)
"""Irradiance of a full or partial Earth over the sun's (Kieffer and Stone 2005: at most 1e-4)."""
MIDDLE_SHARE = 0.3
LOWEST_HORIZON = 0.5
"""How far below the middle the horizon may be, over half of the height: ground is always seen."""
CLEARANCE_M = 0.5


@dataclass(frozen=True)
class LookStyle:
    """Hold the materials' numbers: albedo of soil, of rocks over it, colour and fine relief."""

    albedo: float
    rock_albedo: float
    tint: tuple[float, float, float]
    rock_tint: tuple[float, float, float]
    bump_m: float
    rock_bump_m: float
    dust: float


@dataclass(frozen=True)
class View:
    """Hold all that one picture is made from; `seed` is of its smallest details."""

    seed: int
    kind: CameraKind
    camera: CameraModel
    world_T_camera: Transform  # noqa: N815
    sun: Sun
    earthshine: float
    ground: GroundStyle
    rocks: RockStyle
    look: LookStyle
    vehicle: bool
    sensor: SensorSettings
    mars: MarsLook | None = None


def choose_world(seed: int, task: Task) -> World:
    """Return the world of a seed; a share of a rover's worlds has a boulder field."""
    random = random_of(seed, 1)
    body = Body.MARS if task == "mars_rover" else Body.MOON
    settings = mars_settings(random) if body is Body.MARS else _world_settings(random, task)
    if task == "moon_lander":
        side_m = LANDER_SIDE * log_uniform(random, *HEIGHT_M["lander"])
        spacing_m = side_m / LANDER_POSTS
        settings = replace(
            settings,
            min_rock_m=max(0.12, 0.9 * spacing_m),
            max_rock_m=max(3.0, 4.0 * spacing_m),
            min_crater_m=max(0.5, 6.0 * spacing_m),
            max_crater_m=max(40.0, 0.2 * side_m),
            smooth_below_m=max(0.4, 3.0 * spacing_m),
        )
        return generate_world(
            Body.MOON, seed, side_m=side_m, spacing_m=spacing_m, settings=settings
        )
    world = generate_world(
        body, seed, side_m=ROVER_SIDE_M, spacing_m=ROVER_SPACING_M, settings=settings
    )
    if random.random() < FIELD_SHARE:
        x, y = random.uniform(-MIDDLE_SHARE, MIDDLE_SHARE, 2) * world.half_side_m
        world = add_boulder_field(
            world,
            random,
            x_m=float(x),
            y_m=float(y),
            radius_m=random.uniform(1.5, 7.0),
            count=int(log_uniform(random, 25.0, 260.0)),
        )
    return world


def _world_settings(random: np.random.Generator, task: Task) -> WorldSettings:
    tilted = random.random() < 0.4
    return replace(
        MOON,
        rms_slope_rad=MOON.rms_slope_rad * random.uniform(0.5, 2.2),
        hurst=random.uniform(0.6, 0.85),
        tilt_rad=math.radians(random.uniform(0.0, 9.0)) if tilted else 0.0,
        tilt_azimuth_rad=random.uniform(-math.pi, math.pi),
        crater_saturation=log_uniform(random, 0.004, 0.05),
        rock_abundance=log_uniform(random, *(ABUNDANCE if task == "moon_rover" else (0.004, 0.08))),
        rocks_near_craters=random.uniform(0.2, 0.8),
    )


def choose_view(world: World, task: Task, seed: int, number: int, *, size_px: int) -> View:
    """Return the `number`-th picture of a world; it depends on no other one.

    Args:
        world: that `choose_world` gave.
        task: which vehicle sees it.
        seed: of the world.
        number: 0 or more.
        size_px: of the square picture.
    """
    random = random_of(seed, 2, number)
    kind: CameraKind = "lander"
    if task != "moon_lander":
        kind = "hazard" if random.random() < HAZARD_SHARE else "mast"
    camera = _camera(random, kind, size_px)
    pose = _pose(random, world, kind, camera)
    high_deg = log_uniform(random, *SUN_DEG)
    if random.random() < USUAL_SUN_SHARE:
        high_deg = random.uniform(*USUAL_SUN_DEG)
    sun = Sun(float(random.uniform(-math.pi, math.pi)), math.radians(high_deg))
    ground = _ground_style(random, pose, tracks=kind != "lander")
    rocks = _rock_style(random, pebbles=kind != "lander")
    view = View(
        seed=int(random.integers(2**31)),
        kind=kind,
        camera=camera,
        world_T_camera=pose,
        sun=sun,
        earthshine=log_uniform(random, *EARTHSHINE) if random.random() < EARTHSHINE_SHARE else 0.0,
        ground=ground,
        rocks=rocks,
        look=_look(random),
        vehicle=bool(random.random() < VEHICLE_SHARE),
        sensor=choose_sensor(random, grey=kind != "mast"),
    )
    return view if task != "mars_rover" else _on_mars(view, random_of(seed, 4, number))


def _on_mars(view: View, random: np.random.Generator) -> View:
    """Return a view with Mars's look: hardly any small craters, dust on rocks, grey NavCams."""
    rock_albedo, rock_tint, dust = rock_colour(random)
    look = replace(
        view.look,
        albedo=random.uniform(0.14, 0.28),
        rock_albedo=rock_albedo,
        rock_tint=rock_tint,
        rock_bump_m=random.uniform(0.004, 0.016),
        dust=dust,
    )
    return replace(
        view,
        earthshine=0.0,
        ground=replace(
            view.ground,
            crater_share=random.uniform(0.0, 0.02),
            clod_share=0.5 * view.ground.clod_share,
            mottle=random.uniform(0.03, 0.14),
        ),
        look=look,
        vehicle=bool(random.random() < MARS_VEHICLE_SHARE),
        sensor=mars_sensor(random, view.sensor),
        mars=mars_look(random),
    )


def choose_style(
    random: np.random.Generator, kind: CameraKind, pose: Transform, *, tracks: bool
) -> tuple[GroundStyle, RockStyle, LookStyle]:
    """Return how the ground, stones and materials of a picture look."""
    ground = _ground_style(random, pose, tracks=tracks)
    return ground, _rock_style(random, pebbles=kind != "lander"), _look(random)


def _camera(random: np.random.Generator, kind: CameraKind, size_px: int) -> CameraModel:
    wide = math.tan(0.5 * math.radians(log_uniform(random, *FOV_DEG[kind])))
    aspect = random.uniform(*ASPECT) if random.random() < 0.7 else 1.0
    focal_px = 0.5 * size_px / wide
    return CameraModel(
        width_px=size_px,
        height_px=size_px,
        fx_px=focal_px,
        fy_px=focal_px / aspect,
        cx_px=0.5 * (size_px - 1),
        cy_px=0.5 * (size_px - 1),
        distortion_model="none",
        coefficients=(),
    )


def _pose(
    random: np.random.Generator, world: World, kind: CameraKind, camera: CameraModel
) -> Transform:
    yaw_rad = random.uniform(-math.pi, math.pi)
    roll_deg = random.normal(0.0, ROLL_DEG[kind])
    pitch_deg = random.uniform(*PITCH_DEG[kind])
    half_deg = math.degrees(math.atan(0.5 * camera.height_px / camera.fy_px))
    pitch_deg = max(pitch_deg, -LOWEST_HORIZON * half_deg)
    share = MIDDLE_SHARE
    height_m = random.uniform(*HEIGHT_M[kind])
    if kind == "lander":
        share = 0.1
        height_m = 2.0 * world.half_side_m / LANDER_SIDE
        if random.random() < NADIR_SHARE:
            pitch_deg = 90.0 + random.normal(0.0, 4.0)
    x_m, y_m = _free_place(random, world, share)
    body = rotation_from_rpy(math.radians(roll_deg), math.radians(pitch_deg), 0.0)
    rotation: F64 = rotation_from_rpy(0.0, 0.0, yaw_rad) @ body @ BODY_R_OPTICAL
    ground_m = float(world.ground_height_m(x_m, y_m))
    return Transform(rotation, np.array([x_m, y_m, ground_m + height_m]))


def _free_place(random: np.random.Generator, world: World, share: float) -> tuple[float, float]:
    """Return a place about the middle that is clear of rocks, or the clearest of some."""
    places = random.uniform(-share, share, (24, 2)) * world.half_side_m
    rocks = world.rocks
    if len(rocks) == 0:
        return float(places[0, 0]), float(places[0, 1])
    away = np.hypot(places[:, :1] - rocks.x_m[np.newaxis], places[:, 1:] - rocks.y_m[np.newaxis])
    free = (away - 0.5 * rocks.diameter_m).min(axis=1)
    clear = np.flatnonzero(free > CLEARANCE_M)
    best = int(clear[0]) if clear.size else int(np.argmax(free))
    return float(places[best, 0]), float(places[best, 1])


def _ground_style(random: np.random.Generator, pose: Transform, *, tracks: bool) -> GroundStyle:
    track = None
    if tracks and random.random() < TRACK_SHARE:
        ahead = math.atan2(pose.rotation[1, 2], pose.rotation[0, 2]) + random.normal(0.0, 0.25)
        away_m = random.uniform(2.5, 9.0)
        track = Track(
            x_m=float(pose.translation_m[0]) + away_m * math.cos(ahead),
            y_m=float(pose.translation_m[1]) + away_m * math.sin(ahead),
            heading_rad=random.uniform(-math.pi, math.pi),
            swing_m=random.uniform(0.0, 0.8),
            wave_m=random.uniform(6.0, 20.0),
            gauge_m=random.uniform(0.7, 1.4),
            width_m=random.uniform(0.12, 0.26),
            depth_m=random.uniform(0.006, 0.025),
        )
    return GroundStyle(
        rough=log_uniform(random, 0.4, 1.8),
        crater_share=random.uniform(0.02, 0.3),
        clod_share=random.uniform(0.1, 0.9),
        hills=log_uniform(random, 0.2, 1.5),
        mottle=random.uniform(0.05, 0.22),
        track=track,
    )


def _rock_style(random: np.random.Generator, *, pebbles: bool) -> RockStyle:
    return RockStyle(
        pebbles_per_m2=log_uniform(random, 60.0, 1100.0) if pebbles else 0.0,
        pebble_power=random.uniform(1.7, 2.5),
        clustering=random.uniform(0.1, 1.2),
        fillet=random.uniform(0.0, 0.25),
        stands=random.uniform(0.1, 0.7),
    )


def _look(random: np.random.Generator) -> LookStyle:
    red, blue = random.uniform(0.0, 0.12), random.uniform(0.12, 0.38)
    tint = (1.0 + red, 1.0, 1.0 - blue)
    return LookStyle(
        albedo=random.uniform(0.07, 0.16),
        rock_albedo=random.uniform(1.6, 3.4),
        tint=tint,
        rock_tint=(tint[0] * random.uniform(0.97, 1.02), 1.0, tint[2] * random.uniform(1.0, 1.15)),
        bump_m=log_uniform(random, 0.001, 0.005),
        rock_bump_m=random.uniform(0.003, 0.012),
        dust=random.uniform(0.0, 0.5),
    )
