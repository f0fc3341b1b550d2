"""How a picture of Mars looks, drawn at random: worlds, ground, colours, sky and dust."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from terrain_seg_ros.worlds.render import TINTS
from terrain_seg_ros.worlds.settings import MARS, WorldSettings
from terrain_seg_ros.worlds.world import BEDROCK, ROCK, SAND, SKY, SOIL, Body
from terrain_training.rendering.cycles.draws import log_uniform
from terrain_training.rendering.cycles.martian import MarsGround
from terrain_training.rendering.cycles.sensor import SensorSettings

Colour = tuple[float, float, float]
NAVCAM_SHARE, GREY_SHARE = 0.65, 0.3
"""Share of pictures like Curiosity's NavCam at a quarter of its size; of grey ones among others."""
NAVCAM_STORED, STORED = (0.09, 0.36), (0.16, 0.5)
"""Median of lit ground as stored, over white: Curiosity's NavCam exposes for its own deck."""


@dataclass(frozen=True)
class MarsLook:
    """Hold what Mars adds to a picture.

    `ambient` is the irradiance of the sky over that of the sun on a surface that faces it, as dust
    of an optical depth of 0.3 to 1.5 scatters it. `sky_seen` is the brightness of the sky at the
    horizon in the picture over that of level soil in the sun, `haze_m` the distance at which the
    haze leaves 1 / e of a contrast. `bedrock_albedo` and `sand_albedo` are over the soil's.
    """

    ground: MarsGround
    soil_tint: Colour
    bedrock_tint: Colour
    sand_tint: Colour
    sky_tint: Colour
    bedrock_albedo: float
    sand_albedo: float
    ambient: float
    sky_seen: float
    haze_m: float


def mars_settings(random: np.random.Generator) -> WorldSettings:
    """Return the settings of a world: from plains of sand to bedrock, smooth to strewn."""
    tilted = random.random() < 0.4
    bedrock = float(random.choice([0.0, random.uniform(0.05, 0.65)], p=[0.25, 0.75]))
    sand = float(random.choice([0.0, random.uniform(0.05, 0.5)], p=[0.3, 0.7]))
    return replace(
        MARS,
        rms_slope_rad=MARS.rms_slope_rad * random.uniform(0.4, 2.0),
        hurst=random.uniform(0.55, 0.8),
        tilt_rad=math.radians(random.uniform(0.0, 10.0)) if tilted else 0.0,
        tilt_azimuth_rad=random.uniform(-math.pi, math.pi),
        rock_abundance=log_uniform(random, 0.008, 0.16),
        rocks_near_craters=random.uniform(0.0, 0.3),
        rock_height_ratio=random.uniform(0.4, 0.6),
        bedrock_share=bedrock,
        sand_share=min(sand, 0.95 - bedrock),
        patch_m=log_uniform(random, 2.5, 16.0),
        ripple_m=float(random.choice([0.0, random.uniform(0.7, 2.5)])),
    )


def mars_look(random: np.random.Generator) -> MarsLook:
    """Return the look of a picture."""
    slab_m = log_uniform(random, 0.2, 1.6)
    return MarsLook(
        ground=MarsGround(
            slab_m=slab_m,
            slab_high_m=min(log_uniform(random, 0.015, 0.09), 0.14 * slab_m),
            layer_m=random.uniform(0.008, 0.035),
            gap_share=log_uniform(random, 0.008, 0.13),
            shown_share=random.uniform(0.6, 1.0),
            ripple_m=log_uniform(random, 0.07, 0.4),
            ripple_rad=random.uniform(-math.pi, math.pi),
        ),
        soil_tint=_near(random, TINTS[Body.MARS][SOIL]),
        bedrock_tint=_near(random, TINTS[Body.MARS][BEDROCK]),
        sand_tint=_near(random, TINTS[Body.MARS][SAND]),
        sky_tint=_near(random, TINTS[Body.MARS][SKY]),
        bedrock_albedo=random.uniform(1.0, 1.9),
        sand_albedo=random.uniform(0.5, 1.25),
        ambient=log_uniform(random, 0.12, 0.8),
        sky_seen=random.uniform(0.8, 1.9),
        haze_m=log_uniform(random, 400.0, 12_000.0),
    )


def mars_sensor(random: np.random.Generator, sensor: SensorSettings) -> SensorSettings:
    """Return a camera: mostly a grey one of little noise, as four by four pixels in one have.

    Args:
        random: numbers.
        sensor: any camera, from which the others differ little.
    """
    if random.random() >= NAVCAM_SHARE:
        return replace(
            sensor,
            grey=bool(random.random() < GREY_SHARE),
            exposure=random.uniform(*STORED) ** sensor.gamma,
        )
    return replace(
        sensor,
        grey=True,
        exposure=random.uniform(*NAVCAM_STORED) ** sensor.gamma,
        toe=0.0,
        blur_px=random.uniform(0.45, 0.8),
        sharpen=float(random.choice([0.0, random.uniform(0.0, 0.4)])),
        shot=random.uniform(0.002, 0.007),
        read=random.uniform(0.0005, 0.002),
        hot_pixels=0.0,
        quality=int(random.choice([0, *range(85, 98, 3)])),
    )


def rock_colour(random: np.random.Generator) -> tuple[float, Colour, float]:
    """Return a rock's albedo over the soil's, its tint, and how much dust lies on it."""
    return (
        random.uniform(0.45, 1.3),
        _near(random, TINTS[Body.MARS][ROCK]),
        random.uniform(0.1, 0.85),
    )


def _near(random: np.random.Generator, colour: Colour) -> Colour:
    red, green, blue = colour
    warm = random.normal(0.0, 0.05)
    return red, green * (1.0 - 0.5 * warm), blue * (1.0 - warm)
