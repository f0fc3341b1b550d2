"""Settings of generated worlds, and the defaults for each body."""

from __future__ import annotations

import math
from dataclasses import dataclass

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.worlds.world import Body

SHARES = (
    "hurst",
    "crater_saturation",
    "rocks_near_craters",
    "max_overlap",
    "bedrock_share",
    "sand_share",
    "albedo",
)


@dataclass(frozen=True)
class WorldSettings:
    """The settings of a generated world; docs/worlds.md gives the sources of the numbers.

    Relief is fractal: its RMS slope over 1 m is `rms_slope_rad` (0 for level ground) and its RMS
    deviation grows with the distance to the power `hurst`; below `smooth_below_m` it is smooth.
    `tilt_rad` tilts the whole world upwards towards `tilt_azimuth_rad` (from x towards y).

    Craters: `crater_saturation` is the share of geometric saturation, 0 for no craters; diameters
    range from `min_crater_m` to `max_crater_m`, depth over diameter from `old_depth_ratio` to
    `fresh_depth_ratio`.

    Rocks: `rock_abundance` is k, the share of the ground covered by rocks of all sizes; those with
    a mean diameter between `min_rock_m` and `max_rock_m` are generated. `rock_height_ratio` is the
    mean of height over diameter. `rocks_near_craters` is the share of rocks ejected by craters,
    `max_overlap` the largest overlap of two rocks as a share of the sum of their radii.

    `bedrock_share` and `sand_share` are the shares of the ground covered by patches about `patch_m`
    wide; sand has ripples `ripple_m` apart (0 for none). `albedo` is the mean of the soil.
    """

    rms_slope_rad: float
    hurst: float
    smooth_below_m: float
    tilt_rad: float
    tilt_azimuth_rad: float
    crater_saturation: float
    min_crater_m: float
    max_crater_m: float
    fresh_depth_ratio: float
    old_depth_ratio: float
    rock_abundance: float
    min_rock_m: float
    max_rock_m: float
    rock_height_ratio: float
    rocks_near_craters: float
    max_overlap: float
    bedrock_share: float
    sand_share: float
    patch_m: float
    ripple_m: float
    albedo: float
    sun_azimuth_rad: float
    sun_elevation_rad: float

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, value in vars(self).items():
            if not math.isfinite(value):
                raise ConfigError(f"world {name} is {value}, expected a finite number")
            if value < 0.0 and "azimuth" not in name:
                raise ConfigError(f"world {name} is {value}, expected 0 or more")
        for name in SHARES:
            self._check(name, getattr(self, name) <= 1.0, "0 to 1")
        self._check("rock_abundance", self.rock_abundance <= 0.5, "0 to 0.5")
        self._check("bedrock_share", self.bedrock_share + self.sand_share <= 1.0, "1 with sand")
        self._check("hurst", self.hurst > 0.0, "more than 0")
        self._check("rms_slope_rad", self.rms_slope_rad < 1.0, "less than 1")
        self._check("tilt_rad", self.tilt_rad < 1.0, "less than 1")
        self._check("min_rock_m", 0.0 < self.min_rock_m < self.max_rock_m, "0 to max_rock_m")
        self._check("min_crater_m", 0.0 < self.min_crater_m < self.max_crater_m, "0 to max")
        self._check(
            "old_depth_ratio",
            0.0 < self.old_depth_ratio <= self.fresh_depth_ratio <= 0.4,
            "0 to fresh_depth_ratio, which is at most 0.4",
        )
        self._check("rock_height_ratio", 0.1 <= self.rock_height_ratio <= 1.0, "0.1 to 1")
        self._check("patch_m", self.patch_m > 0.0, "more than 0")
        self._check(
            "sun_elevation_rad", 0.0 < self.sun_elevation_rad <= 0.5 * math.pi, "0 to pi / 2"
        )

    def _check(self, name: str, good: bool, expected: str) -> None:
        if not good:
            raise ConfigError(f"world {name} is {getattr(self, name)}, expected {expected}")


MOON = WorldSettings(
    rms_slope_rad=math.radians(2.0),
    hurst=0.7,
    smooth_below_m=0.4,
    tilt_rad=0.0,
    tilt_azimuth_rad=0.0,
    crater_saturation=0.03,
    min_crater_m=0.5,
    max_crater_m=40.0,
    fresh_depth_ratio=0.2,
    old_depth_ratio=0.03,
    rock_abundance=0.03,
    min_rock_m=0.1,
    max_rock_m=3.0,
    rock_height_ratio=0.5,
    rocks_near_craters=0.4,
    max_overlap=0.2,
    bedrock_share=0.0,
    sand_share=0.0,
    patch_m=4.0,
    ripple_m=0.0,
    albedo=0.12,
    sun_azimuth_rad=math.radians(130.0),
    sun_elevation_rad=math.radians(25.0),
)
MARS = WorldSettings(
    rms_slope_rad=math.radians(3.5),
    hurst=0.65,
    smooth_below_m=0.4,
    tilt_rad=0.0,
    tilt_azimuth_rad=0.0,
    crater_saturation=0.002,
    min_crater_m=1.0,
    max_crater_m=40.0,
    fresh_depth_ratio=0.15,
    old_depth_ratio=0.02,
    rock_abundance=0.06,
    min_rock_m=0.1,
    max_rock_m=3.0,
    rock_height_ratio=0.5,
    rocks_near_craters=0.1,
    max_overlap=0.2,
    bedrock_share=0.15,
    sand_share=0.2,
    patch_m=5.0,
    ripple_m=1.4,
    albedo=0.22,
    sun_azimuth_rad=math.radians(130.0),
    sun_elevation_rad=math.radians(45.0),
)


def default_settings(body: Body) -> WorldSettings:
    """Return the settings of a body."""
    return {Body.MOON: MOON, Body.MARS: MARS}[body]
