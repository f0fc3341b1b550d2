"""Generation of a world from a seed."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.types import F32, U8
from terrain_seg_ros.worlds.crater_field import dig_craters, draw_craters
from terrain_seg_ros.worlds.relief import (
    bedrock_plates,
    fractal_ground,
    post_places,
    sand_ripples,
    smooth_noise,
)
from terrain_seg_ros.worlds.rock_field import draw_rocks
from terrain_seg_ros.worlds.settings import WorldSettings, default_settings
from terrain_seg_ros.worlds.world import BEDROCK, SAND, SOIL, Body, Rocks, Sun, World

MAX_SIDE_POSTS = 4001
MAX_SIDE_M = 2000.0
ALBEDO_OF_CLASS = {SOIL: 1.0, BEDROCK: 1.35, SAND: 0.75}
"""Relative to soil: in rover images bedrock plates are brighter and wind-blown sand is darker."""
PLATE_M = 0.7
SAND_SMOOTH_M = 0.4
"""Sand fills depressions narrower than this."""


def generate_world(
    body: Body,
    seed: int,
    *,
    side_m: float,
    spacing_m: float,
    settings: WorldSettings | None = None,
) -> World:
    """Generate the world of a seed; the same arguments always give the same world.

    Each part has its own random stream, so that a different rock abundance does not change the
    ground. docs/worlds.md describes the underlying models.

    Args:
        body: the Moon or Mars.
        seed: 0 or more.
        side_m: side of the square; rounded to whole spacings.
        spacing_m: distance between posts of the ground.
        settings: the properties of the world; None uses the body's defaults.

    Raises:
        ConfigError: the world would be too large, or a number is out of range.
    """
    count = _count_posts(seed, side_m, spacing_m)
    side_m = (count - 1) * spacing_m
    settings = default_settings(body) if settings is None else settings
    relief, crater, rock, surface = (
        np.random.Generator(np.random.PCG64(child))
        for child in np.random.SeedSequence(seed).spawn(4)
    )
    ground_m: F32 = np.zeros((count, count), dtype=np.float32)
    if settings.rms_slope_rad > 0.0:
        fractal = fractal_ground(
            relief,
            count,
            spacing_m,
            hurst=settings.hurst,
            smooth_below_m=settings.smooth_below_m,
        )
        ground_m += math.tan(settings.rms_slope_rad) * fractal
    craters = draw_craters(crater, side_m, settings, spacing_m=spacing_m)
    dig_craters(ground_m, spacing_m, craters, settings)
    classes, albedo = _cover(surface, ground_m, spacing_m, settings)
    _tilt(ground_m, spacing_m, settings)
    world = World(
        body=body,
        seed=seed,
        spacing_m=spacing_m,
        ground_m=ground_m,
        classes=classes,
        albedo=albedo,
        rocks=Rocks(*[np.zeros(0)] * 7),
        craters=craters,
        sun=Sun(settings.sun_azimuth_rad, settings.sun_elevation_rad),
    )
    rocks = draw_rocks(
        rock,
        side_m,
        settings,
        craters=craters,
        is_sand=lambda x, y: world.class_at(x, y) == SAND,
    )
    height = world.ground_height_m(rocks.x_m, rocks.y_m)
    return replace(world, rocks=replace(rocks, z_m=rocks.z_m + height))


def _count_posts(seed: int, side_m: float, spacing_m: float) -> int:
    if seed < 0:
        raise ConfigError(f"world seed is {seed}, expected 0 or more")
    if not (0.0 < spacing_m < side_m <= MAX_SIDE_M):
        raise ConfigError(
            f"world has side_m {side_m} and spacing_m {spacing_m}, expected 0 < spacing_m < "
            f"side_m <= {MAX_SIDE_M:.0f}"
        )
    count = round(side_m / spacing_m) + 1
    if not 2 <= count <= MAX_SIDE_POSTS:
        raise ConfigError(
            f"world of {side_m} m with posts {spacing_m} m apart has {count} posts along a side, "
            f"expected 2 to {MAX_SIDE_POSTS}; raise spacing_m"
        )
    return count


def _tilt(ground_m: F32, spacing_m: float, settings: WorldSettings) -> None:
    places = post_places(ground_m.shape[0], spacing_m)
    grade = math.tan(settings.tilt_rad)
    ground_m += (grade * math.cos(settings.tilt_azimuth_rad) * places).astype(np.float32)
    across = grade * math.sin(settings.tilt_azimuth_rad) * places
    ground_m += across.astype(np.float32)[:, np.newaxis]


def _cover(
    rng: np.random.Generator, ground_m: F32, spacing_m: float, settings: WorldSettings
) -> tuple[U8, F32]:
    """Return classes and albedo of the posts; add ripples and plates to the ground, in place."""
    count = ground_m.shape[0]
    classes: U8 = np.full((count, count), SOIL, dtype=np.uint8)
    albedo = np.ones((count, count), dtype=np.float32)
    patches = smooth_noise(rng, count, spacing_m, length_m=settings.patch_m)
    patches += 0.3 * smooth_noise(rng, count, spacing_m, length_m=0.25 * settings.patch_m)
    if settings.sand_share > 0.0:
        _lay_sand(rng, patches, ground_m, (classes, albedo), spacing_m, settings)
    if settings.bedrock_share > 0.0:
        _lay_bedrock(rng, patches, ground_m, (classes, albedo), spacing_m, settings)
    for length_m, strength in ((8.0, 0.06), (1.0, 0.04), (0.25, 0.03)):
        albedo *= 1.0 + strength * smooth_noise(rng, count, spacing_m, length_m=length_m)
    return classes, np.clip(settings.albedo * albedo, 0.01, 1.0)


def _lay_sand(
    rng: np.random.Generator,
    patches: F32,
    ground_m: F32,
    cover: tuple[U8, F32],
    spacing_m: float,
    settings: WorldSettings,
) -> None:
    classes, albedo = cover
    limit = float(np.quantile(patches, settings.sand_share))
    classes[patches <= limit] = SAND
    fade = _fade(limit - patches)
    albedo *= 1.0 + fade * (ALBEDO_OF_CLASS[SAND] - 1.0)
    fade = _fade(0.25 * (limit - patches))
    if settings.rms_slope_rad > 0.0:
        smooth = cv2.GaussianBlur(ground_m, (0, 0), max(SAND_SMOOTH_M / spacing_m, 0.1))
        ground_m += fade * (smooth - ground_m)
    if settings.ripple_m > 0.0 and settings.rms_slope_rad > 0.0:
        count = ground_m.shape[0]
        ground_m += fade * sand_ripples(rng, count, spacing_m, ripple_m=settings.ripple_m)


def _lay_bedrock(
    rng: np.random.Generator,
    patches: F32,
    ground_m: F32,
    cover: tuple[U8, F32],
    spacing_m: float,
    settings: WorldSettings,
) -> None:
    classes, albedo = cover
    limit = float(np.quantile(patches, 1.0 - settings.bedrock_share))
    classes[patches > limit] = BEDROCK
    fade = _fade(patches - limit)
    height, cracks = bedrock_plates(rng, ground_m.shape[0], spacing_m, plate_m=PLATE_M)
    albedo *= 1.0 + fade * (ALBEDO_OF_CLASS[BEDROCK] * (1.0 - 0.45 * cracks) - 1.0)
    if settings.rms_slope_rad > 0.0:
        ground_m += fade * height


def _fade(inside: F32) -> F32:
    """Return 0 outside a patch, rising to 1 a little inside its border."""
    rise = np.clip(inside / 0.15, 0.0, 1.0)
    return np.asarray(rise * rise * (3.0 - 2.0 * rise), dtype=np.float32)
