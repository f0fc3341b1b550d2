"""The appearance of a world: light, sky, haze, and textures made from albedo and classes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from terrain_seg_ros.core.types import F32, U8
from terrain_seg_ros.sim.ground_tiles import Patch
from terrain_seg_ros.worlds.world import BEDROCK, SAND, SOIL, Body, World

TEXTURE_PX = 256
"""Side of the texture of one tile and of the faces of the rocks' texture."""
LEVEL_GROUND = 0.62
"""Brightness of sunlit level ground without texture; leaves headroom for slopes facing the sun."""
GRAIN_SCALES_PX = (1, 3)
GRAIN_PX_PER_POST = 4

Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class Look:
    """The colours and light of a body.

    `tints` are the colours of each class of ground at mean albedo, 0..1; `ambient` is the light in
    shadow as a share of full light; `haze_m` is the distance at which dust hides everything, 0 for
    no atmosphere.
    """

    tints: dict[int, Rgb]
    rock_tint: Rgb
    grain: float
    ambient: float
    sun_rgb: Rgb
    sky_rgb: Rgb
    zenith_rgb: Rgb
    haze_m: float


MOON = Look(
    tints={SOIL: (0.62, 0.61, 0.60), BEDROCK: (0.70, 0.69, 0.68), SAND: (0.55, 0.54, 0.53)},
    rock_tint=(0.74, 0.73, 0.71),
    grain=0.10,
    ambient=0.03,
    sun_rgb=(1.0, 0.99, 0.97),
    sky_rgb=(0.0, 0.0, 0.0),
    zenith_rgb=(0.0, 0.0, 0.0),
    haze_m=0.0,
)
MARS = Look(
    tints={SOIL: (0.78, 0.56, 0.40), BEDROCK: (0.80, 0.66, 0.54), SAND: (0.60, 0.44, 0.33)},
    rock_tint=(0.78, 0.62, 0.50),
    grain=0.14,
    ambient=0.30,
    sun_rgb=(1.0, 0.94, 0.86),
    sky_rgb=(0.84, 0.70, 0.55),
    zenith_rgb=(0.66, 0.56, 0.47),
    haze_m=900.0,
)


def look_of(body: Body) -> Look:
    """Return the look of a body."""
    return {Body.MOON: MOON, Body.MARS: MARS}[body]


def sun_strength(world: World) -> float:
    """Return the strength of the light at which level ground has `LEVEL_GROUND` brightness."""
    look = look_of(world.body)
    return (LEVEL_GROUND - look.ambient) / max(0.1, math.sin(world.sun.elevation_rad))


def patch_texture(world: World, patch: Patch, *, side_px: int = TEXTURE_PX) -> U8:
    """Return the texture (px, px, 3) RGB of ground; row 0 is the highest y, as MuJoCo expects."""
    look = look_of(world.body)
    steps = (np.arange(side_px) + 0.5) / side_px * 2.0 - 1.0
    cols, rows = (
        (middle + half * steps + world.half_side_m) / world.spacing_m
        for middle, half in ((patch.x_m, patch.half_x_m), (patch.y_m, patch.half_y_m))
    )
    map_col, map_row = (part.astype(np.float32) for part in np.meshgrid(cols, rows[::-1]))
    # Tints are blended between posts; albedo is bilinear like the ground.
    table = np.array([look.tints[key] for key in (SOIL, BEDROCK, SAND)], dtype=np.float32)
    colour = cv2.remap(
        table[world.classes], map_col, map_row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    albedo = cv2.remap(
        world.albedo, map_col, map_row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    share = albedo / max(1e-6, float(world.albedo.mean()))
    light = np.sqrt(share) * (1.0 + look.grain * _ground_grain(world.seed, map_col, map_row))
    return _bytes(colour * light[..., np.newaxis])


def rock_texture(world: World) -> U8:
    """Return the six faces (6 px, px, 3) RGB of the texture shared by all rocks."""
    look = look_of(world.body)
    grain = _grain((6 * TEXTURE_PX, TEXTURE_PX), world.seed + 7919)
    light = 1.0 + 1.6 * look.grain * grain
    return _bytes(np.array(look.rock_tint, dtype=np.float32) * light[..., np.newaxis])


@lru_cache(maxsize=4)
def _grain(shape: tuple[int, int], seed: int) -> F32:
    """Return seamless noise of several scales with a standard deviation of about 1."""
    random = np.random.default_rng([seed, 3])
    total: F32 = np.zeros(shape, dtype=np.float32)
    for scale in GRAIN_SCALES_PX:
        noise = random.standard_normal(shape, dtype=np.float32)
        if scale > 1:
            edge = 4 * scale
            wrapped = cv2.GaussianBlur(np.pad(noise, edge, mode="wrap"), (0, 0), scale)
            noise = np.asarray(wrapped[edge:-edge, edge:-edge], dtype=np.float32)
            noise /= float(noise.std())
        total += noise
    return np.asarray(total / math.sqrt(len(GRAIN_SCALES_PX)), dtype=np.float32)


def _ground_grain(seed: int, col: F32, row: F32) -> F32:
    """Return the grain at positions given in posts, identical in all tiles that share them."""
    noise = _grain((TEXTURE_PX, TEXTURE_PX), seed)
    u, v = (part * np.float32(GRAIN_PX_PER_POST) for part in (col, row))
    sampled = cv2.remap(noise, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return np.asarray(sampled, dtype=np.float32)


def _bytes(colour: F32) -> U8:
    return np.asarray(np.clip(np.rint(255.0 * colour), 0, 255), dtype=np.uint8)
