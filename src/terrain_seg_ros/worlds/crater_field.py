"""Craters: their size distribution, depth and shape."""

from __future__ import annotations

import math

import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.types import F32, F64
from terrain_seg_ros.worlds.relief import post_places
from terrain_seg_ros.worlds.settings import WorldSettings
from terrain_seg_ros.worlds.world import Craters

GEOMETRIC_SATURATION = 1.54
"""N(>= D) D^2 of the densest packing of craters (Gault 1970)."""
RIM_SHARE = 0.18
"""Rim height over depth: 0.036 D over 0.2 D (Pike 1977)."""
EJECTA_END = 3.0
"""Extent of the ejecta in radii; they thin out with distance^-3 (McGetchin et al. 1973)."""
FRESH_SOFTNESS, OLD_SOFTNESS = 0.01, 0.1
"""Roundness of the rim, as a share of the depth."""
MAX_CRATERS = 20_000


def crater_count_per_m2(diameter_m: float, saturation: float) -> float:
    """Return the number of craters per square metre with at least a diameter.

    Small craters are in equilibrium: N(>= D) falls with D^-2 and is a few percent of geometric
    saturation regardless of the surface's age (Gault 1970; Minton et al. 2019).
    """
    return saturation * GEOMETRIC_SATURATION / diameter_m**2


def draw_craters(
    rng: np.random.Generator, side_m: float, settings: WorldSettings, *, spacing_m: float
) -> Craters:
    """Draw craters whose rim or ejecta reach the world, the largest first.

    Their number has a Poisson distribution. Depth over diameter is log-uniform between old and
    fresh, as for a crater that loses a constant share of its depth per unit of time, seen at a
    random age (topographic diffusion, Fassett and Thomson 2014).

    Raises:
        ConfigError: there would be too many.
    """
    low = max(settings.min_crater_m, 6.0 * spacing_m)
    high = min(settings.max_crater_m, 0.7 * side_m)
    if settings.crater_saturation == 0.0 or low >= high:
        return Craters(*[np.zeros(0)] * 4)
    most, least = (crater_count_per_m2(value, settings.crater_saturation) for value in (low, high))
    reach = side_m + EJECTA_END * high
    expected = (most - least) * reach**2
    if expected > MAX_CRATERS:
        raise ConfigError(
            f"world of {side_m} m would have about {expected:.0f} craters, expected at most "
            f"{MAX_CRATERS}; raise min_crater_m {settings.min_crater_m} or lower "
            f"crater_saturation {settings.crater_saturation}"
        )
    count = int(rng.poisson(expected))
    x, y = rng.uniform(-0.5 * reach, 0.5 * reach, (2, count))
    share = rng.uniform(0.0, 1.0, count)
    diameter = (low**-2 + share * (high**-2 - low**-2)) ** -0.5
    ratio = np.exp(
        rng.uniform(math.log(settings.old_depth_ratio), math.log(settings.fresh_depth_ratio), count)
    )
    touches = np.maximum(np.abs(x), np.abs(y)) < 0.5 * (side_m + EJECTA_END * diameter)
    order = np.flatnonzero(touches)
    order = order[np.argsort(-diameter[order], kind="stable")]
    return Craters(x[order], y[order], diameter[order], (ratio * diameter)[order])


def crater_profile(distance: F64, depth_ratio: float, settings: WorldSettings) -> F64:
    """Return the height of a crater of depth 1 at distances in radii; 0 is the surrounding ground.

    The profile is a parabola up to the rim, a rim of height 0.18, and ejecta that thin out; older
    craters have rounder rims. The depth from the top of the rim to the floor is 1.
    """
    span = math.log(settings.fresh_depth_ratio / settings.old_depth_ratio)
    age = math.log(settings.fresh_depth_ratio / depth_ratio) / span if span > 0.0 else 0.0
    softness = FRESH_SOFTNESS + (OLD_SOFTNESS - FRESH_SOFTNESS) * min(max(age, 0.0), 1.0)
    around = np.linspace(0.8, 1.4, 121)
    drop = float(_shape(around, softness).max() - _shape(np.zeros(1), softness)[0])
    shape: F64 = _shape(distance, softness) / drop
    return shape


def dig_craters(ground_m: F32, spacing_m: float, craters: Craters, settings: WorldSettings) -> None:
    """Add craters to ground (n, n), in place."""
    places = post_places(ground_m.shape[0], spacing_m)
    parts = (craters.x_m, craters.y_m, craters.diameter_m, craters.depth_m)
    for x, y, diameter, depth in zip(*parts):
        reach = 0.5 * EJECTA_END * diameter
        cols = slice(*np.searchsorted(places, (x - reach, x + reach)))
        rows = slice(*np.searchsorted(places, (y - reach, y + reach)))
        dx, dy = places[np.newaxis, cols] - x, places[rows, np.newaxis] - y
        distance = np.hypot(dx, dy) / (0.5 * diameter)
        ground_m[rows, cols] += depth * crater_profile(distance, depth / diameter, settings)


def _shape(distance: F64, softness: float) -> F64:
    inner = distance * distance - (1.0 - RIM_SHARE)
    far = EJECTA_END**-3
    outer = RIM_SHARE * (np.maximum(distance, 0.5) ** -3 - far) / (1.0 - far)
    shape = -softness * np.logaddexp(-inner / softness, -outer / softness)
    return np.where(distance < EJECTA_END, np.minimum(shape, np.maximum(outer, 0.0)), 0.0)
