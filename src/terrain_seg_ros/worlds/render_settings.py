"""Settings of rendered images, and the defaults for each body."""

from __future__ import annotations

import math
from dataclasses import dataclass

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.worlds.world import Body

MAX_SAMPLES = 4


@dataclass(frozen=True)
class RenderSettings:
    """The settings of a rendered image.

    `samples` x `samples` rays are averaged per pixel, `blur_px` is the standard deviation of the
    lens's blur. `exposure` is the mean brightness of the ground, 0 to 1, `noise` the standard
    deviation of the noise at half brightness, 0 to 1, half of its variance being shot noise.

    `haze_m` is the distance at which dust attenuates light to 1 / e (infinite: no haze),
    `sky_share` the light of the sky relative to that of the sun, `fill_share` the light that the
    surrounding ground reflects into shadows. `pebbles_per_m2` counts pebbles too small to be rocks
    of the world; `relief_slope` is the RMS slope of relief finer than the world's posts.
    """

    colour: bool
    samples: int
    blur_px: float
    exposure: float
    noise: float
    haze_m: float
    sky_share: float
    fill_share: float
    pebbles_per_m2: float
    relief_slope: float

    def __post_init__(self) -> None:
        """Check the ranges."""
        self._check("samples", 1 <= self.samples <= MAX_SAMPLES, f"1 to {MAX_SAMPLES}")
        self._check("blur_px", 0.0 <= self.blur_px <= 10.0, "0 to 10")
        self._check("exposure", 0.01 <= self.exposure <= 0.9, "0.01 to 0.9")
        self._check("noise", 0.0 <= self.noise <= 0.5, "0 to 0.5")
        self._check("haze_m", self.haze_m > 0.0, "more than 0")
        self._check("pebbles_per_m2", 0.0 <= self.pebbles_per_m2 <= 500.0, "0 to 500")
        for name in ("sky_share", "fill_share", "relief_slope"):
            self._check(name, 0.0 <= getattr(self, name) <= 1.0, "0 to 1")

    def _check(self, name: str, good: bool, expected: str) -> None:
        if not good:
            raise ConfigError(f"render {name} is {getattr(self, name)}, expected {expected}")


MOON_CAMERA = RenderSettings(
    colour=False,
    samples=2,
    blur_px=0.4,
    exposure=0.4,
    noise=0.01,
    haze_m=math.inf,
    sky_share=0.0,
    fill_share=0.02,
    pebbles_per_m2=30.0,
    relief_slope=0.2,
)
MARS_CAMERA = RenderSettings(
    colour=False,
    samples=2,
    blur_px=0.4,
    exposure=0.24,
    noise=0.01,
    haze_m=1500.0,
    sky_share=0.3,
    fill_share=0.05,
    pebbles_per_m2=90.0,
    relief_slope=0.12,
)


def default_camera(body: Body) -> RenderSettings:
    """Return the settings of a body's camera; for Mars, similar to Curiosity's Navcams."""
    return {Body.MOON: MOON_CAMERA, Body.MARS: MARS_CAMERA}[body]
