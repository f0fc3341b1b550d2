"""Rocks: their size distribution, shape and placement."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.types import F64
from terrain_seg_ros.worlds.near_pairs import PointBins
from terrain_seg_ros.worlds.settings import WorldSettings
from terrain_seg_ros.worlds.world import Craters, Rocks

MAX_ROCKS = 100_000
TABLE_SIZE = 4096
ROUNDS = 30
"""Attempts to move a rock that overlaps a larger one before it is dropped."""
MAX_ELONGATION = 1.5
HEIGHT_DEVIATION = 0.1
"""Standard deviation of height over diameter."""
MAX_LIFT = 0.4
"""Largest height of a rock's centre above the ground, as a share of its half height."""
SAND_LEAVES = 0.2
"""Share of the rocks on sand that stays; the others are placed elsewhere."""
Places = Callable[[F64, F64], NDArray[np.bool_]]


def covered_share(diameter_m: F64, abundance: float) -> F64:
    """Return F_k(D), the share of ground under rocks of at least a diameter.

    F_k(D) = k exp(-q D) with q = 1.79 + 0.152 / k: Golombek and Rapp 1997 and Golombek et al.
    2003, from Viking and Pathfinder, confirmed at later sites. Chang'e 3 found the same form on
    the Moon (Di et al. 2016; Li and Wu 2018).
    """
    share: F64 = abundance * np.exp(-_steepness(abundance) * diameter_m)
    return share


def draw_rocks(
    rng: np.random.Generator,
    side_m: float,
    settings: WorldSettings,
    *,
    craters: Craters,
    is_sand: Places,
) -> Rocks:
    """Draw rocks on level ground at height 0, the largest first.

    Args:
        rng: the random generator.
        side_m: side of the world.
        settings: settings of the world.
        craters: the craters around which some rocks lie, more around fresh ones.
        is_sand: returns at which x, y there is sand, which buries most rocks.

    Raises:
        ConfigError: there would be too many.
    """
    diameter = _draw_diameters(rng, side_m, settings)
    reach = 0.5 * side_m - 0.5 * MAX_ELONGATION * diameter
    diameter, reach = diameter[reach > 0.0], reach[reach > 0.0]
    count = diameter.size
    x, y = rng.uniform(-1.0, 1.0, (2, count)) * reach
    thrown = np.flatnonzero(rng.uniform(size=count) < settings.rocks_near_craters)
    x[thrown], y[thrown] = _around_craters(rng, craters, x[thrown], y[thrown], reach[thrown])
    wrong = is_sand(x, y) & (rng.uniform(size=count) > SAND_LEAVES)
    wrong |= _lies_on_larger(x, y, diameter, settings.max_overlap)
    for _ in range(ROUNDS):
        if not wrong.any():
            break
        number = int(wrong.sum())
        x[wrong], y[wrong] = rng.uniform(-1.0, 1.0, (2, number)) * reach[wrong]
        buried = is_sand(x, y) & wrong & (rng.uniform(size=count) > SAND_LEAVES)
        wrong = buried | _lies_on_larger(x, y, diameter, settings.max_overlap)
    wrong |= _lies_on_larger(x, y, diameter, settings.max_overlap)
    return _shape_rocks(rng, x[~wrong], y[~wrong], diameter[~wrong], settings)


def _steepness(abundance: float) -> float:
    return 1.79 + 0.152 / abundance


def _count_table(low_m: float, high_m: float, abundance: float) -> tuple[F64, F64]:
    """Return diameters and the number per square metre from the largest down to each.

    dN = -dF / (pi D^2 / 4).
    """
    diameter: F64 = np.geomspace(high_m, low_m, TABLE_SIZE)
    middle = np.sqrt(diameter[1:] * diameter[:-1])
    area = np.diff(covered_share(diameter, abundance))
    number: F64 = np.concatenate([[0.0], np.cumsum(area / (0.25 * math.pi * middle**2))])
    return diameter, number


def _draw_diameters(rng: np.random.Generator, side_m: float, settings: WorldSettings) -> F64:
    """Draw diameters, largest first; their number has a Poisson distribution."""
    if settings.rock_abundance == 0.0:
        return np.zeros(0)
    diameter, number = _count_table(
        settings.min_rock_m, settings.max_rock_m, settings.rock_abundance
    )
    expected = float(number[-1]) * side_m**2
    if expected > MAX_ROCKS:
        raise ConfigError(
            f"world of {side_m} m would have about {expected:.0f} rocks, expected at most "
            f"{MAX_ROCKS}; raise min_rock_m {settings.min_rock_m} or lower rock_abundance "
            f"{settings.rock_abundance}"
        )
    share = np.sort(rng.uniform(0.0, number[-1], int(rng.poisson(expected))))
    return np.interp(share, number, diameter)


def _around_craters(
    rng: np.random.Generator, craters: Craters, x_m: F64, y_m: F64, reach_m: F64
) -> tuple[F64, F64]:
    """Return positions in and around craters if these are inside the world, else the given ones.

    Larger and deeper craters have more, as around Chang'e 4 (Wu et al. 2021).
    """
    if craters.diameter_m.size == 0:
        return x_m, y_m
    weight = craters.depth_m**2
    chosen = rng.choice(weight.size, x_m.size, p=weight / weight.sum())
    angle = rng.uniform(0.0, 2.0 * math.pi, x_m.size)
    distance = 0.5 * craters.diameter_m[chosen] * (0.3 + rng.exponential(0.7, x_m.size))
    x = craters.x_m[chosen] + distance * np.cos(angle)
    y = craters.y_m[chosen] + distance * np.sin(angle)
    inside = (np.abs(x) < reach_m) & (np.abs(y) < reach_m)
    return np.where(inside, x, x_m), np.where(inside, y, y_m)


def _lies_on_larger(x_m: F64, y_m: F64, diameter_m: F64, overlap: float) -> NDArray[np.bool_]:
    """Return which rocks, sorted with the largest first, overlap a larger one too much."""
    found = np.zeros(diameter_m.size, dtype=bool)
    first = 0
    while first < diameter_m.size:
        largest = diameter_m[first]
        end = int(np.searchsorted(-diameter_m, -0.5 * largest, side="right"))
        rest = slice(first, None)
        bins = PointBins(x_m[rest], y_m[rest], float(largest))
        reach = diameter_m[first:end]
        one, other = bins.pairs(x_m[first:end], y_m[first:end], reach, reach)
        one, other = one + first, other + first
        distance = np.hypot(x_m[one] - x_m[other], y_m[one] - y_m[other])
        near = distance < 0.5 * (1.0 - overlap) * (diameter_m[one] + diameter_m[other])
        found[other[near & (other > one)]] = True
        first = end
    return found


def _shape_rocks(
    rng: np.random.Generator, x_m: F64, y_m: F64, diameter_m: F64, settings: WorldSettings
) -> Rocks:
    """Return ellipsoids of given mean diameters whose centre is at or slightly above 0."""
    count = diameter_m.size
    long_share = rng.uniform(1.0, MAX_ELONGATION, count)
    long_share = long_share / (1.0 + long_share)
    ratio = settings.rock_height_ratio + HEIGHT_DEVIATION * rng.standard_normal(count)
    lift = rng.uniform(0.0, MAX_LIFT, count)
    half_height = np.clip(ratio, 0.2, 1.0) * diameter_m / (1.0 + lift)
    return Rocks(
        x_m=x_m,
        y_m=y_m,
        z_m=lift * half_height,
        a_m=long_share * diameter_m,
        b_m=(1.0 - long_share) * diameter_m,
        c_m=half_height,
        yaw_rad=rng.uniform(-math.pi, math.pi, count),
    )
