"""Ground as a camera close to it sees it: a world's ground and what is finer than its posts."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from terrain_seg_ros.core.types import F32, F64
from terrain_seg_ros.worlds.world import World
from terrain_training.rendering.cycles.noise import clods, small_craters, value_noise

MOON_RADIUS_M = 1_737_400.0
FADE_SHARE, FADE_M = 0.25, 16.0
"""Width of the border where far hills replace a world's ground: of the half side, and at most."""
OCTAVE_RATIO = 0.55
HURST = 0.75
"""Relief of a wavelength goes with its power (Helfenstein and Shepard 1999: 0.5 to 0.8)."""
SMALLEST_WAVE_M = 0.012
CARRIED = 2.0
"""A wave shorter than so many spacings of the mesh is left out."""
CRATER_SHARE = 0.16
PATCHES = (
    (14.0, 0.5),
    (3.0, 0.35),
    (0.7, 0.4),
    (0.3, 0.5),
    (0.12, 0.7),
    (0.05, 0.8),
    (0.022, 0.8),
    (0.01, 0.8),
)
"""Widths of patches of brightness, metres, and how strong each is."""
CLEAT_M = 0.06
"""Distance between the grousers' prints in a wheel track."""


@dataclass(frozen=True)
class Track:
    """Hold the tracks of a rover: two wheel lines along a winding path.

    The path starts at `x_m`, `y_m`, heads along `heading_rad` and deviates sideways by
    `swing_m` sin(2 pi s / `wave_m`). The lines are `gauge_m` apart and `width_m` wide.
    """

    x_m: float
    y_m: float
    heading_rad: float
    swing_m: float
    wave_m: float
    gauge_m: float
    width_m: float
    depth_m: float


@dataclass(frozen=True)
class GroundStyle:
    """Hold how the ground below the size of a world's posts looks.

    `rough` scales the micro-relief (1 is an RMS height of about 6 mm over 0.8 m), `crater_share`
    and `clod_share` are shares of cells that have one, `hills` scales the far hills and `mottle`
    the variation of brightness.
    """

    rough: float
    crater_share: float
    clod_share: float
    hills: float
    mottle: float
    track: Track | None


class Relief:
    """Give the ground's height and relative brightness at any place."""

    def __init__(self, world: World, seed: int, style: GroundStyle) -> None:
        """Take the world, a seed for the detail and the style."""
        self._world = world
        self._seed = seed
        self._style = style
        ground, side_m = world.ground_m, 2.0 * world.half_side_m
        self._mean_m = float(ground.mean())
        self._tilt = (
            float(ground[:, -1].mean() - ground[:, 0].mean()) / side_m,
            float(ground[-1].mean() - ground[0].mean()) / side_m,
        )
        self._hills_m = float(self._far_hills(np.zeros(1), np.zeros(1))[0])

    def height_m(self, x_m: F64, y_m: F64, spacing_m: F64) -> F32:
        """Return the heights that `surface` gives."""
        return self.surface(x_m, y_m, spacing_m)[0]

    def surface(self, x_m: F64, y_m: F64, spacing_m: F64) -> tuple[F32, F32]:
        """Return heights in the world's frame and brightness relative to the soil's mean.

        Args:
            x_m: places.
            y_m: places.
            spacing_m: of the mesh at each; detail that it cannot carry is left out.
        """
        height = self._coarse(x_m, y_m) + self._micro(x_m, y_m, spacing_m)
        craters, fresh = self._small_craters(x_m, y_m, spacing_m)
        height += craters
        tone = 1.0 + 0.25 * fresh + 0.3 * self._ejecta(x_m, y_m)
        tone += self._style.mottle * self._patches(x_m, y_m, spacing_m)
        if self._style.track is not None:
            depth, cover = _track_print(self._style.track, x_m, y_m, spacing_m)
            height += depth
            tone -= 0.22 * cover
        return height.astype(np.float32), np.clip(tone, 0.4, 1.8).astype(np.float32)

    def _patches(self, x_m: F64, y_m: F64, spacing_m: F64) -> F32:
        """Return the variation of brightness, from patches of soil down to its grains."""
        total = np.zeros(x_m.size, np.float32)
        x, y, spacing = x_m.ravel(), y_m.ravel(), spacing_m.ravel()
        for number, (wave_m, share) in enumerate(PATCHES):
            near = np.flatnonzero(wave_m > CARRIED * spacing)
            noise = value_noise(x[near] / wave_m, y[near] / wave_m, self._seed + 700 + number)
            total[near] += np.float32(share) * noise
        return total.reshape(x_m.shape)

    def _coarse(self, x_m: F64, y_m: F64) -> F32:
        """Return the world's ground, and hills and the curved Moon beyond its border."""
        half = self._world.half_side_m - 2.0 * self._world.spacing_m
        true_m = true_half_side_m(self._world)
        beyond = np.maximum(np.maximum(np.abs(x_m), np.abs(y_m)) - true_m, 0.0)
        inner = np.clip(1.0 - beyond / (half - true_m), 0.0, 1.0)
        inner = inner * inner * (3.0 - 2.0 * inner)
        ground = _smooth_at_posts(self._world, np.clip(x_m, -half, half), np.clip(y_m, -half, half))
        far = self._plane(x_m, y_m) + self._far_hills(x_m, y_m) - self._hills_m
        sag = (x_m * x_m + y_m * y_m) / (2.0 * MOON_RADIUS_M)
        height: F32 = (inner * ground + (1.0 - inner) * far - sag).astype(np.float32)
        return height

    def _plane(self, x_m: F64, y_m: F64) -> F64:
        """Return the world's tilted plane, level in every direction from beyond its corners on."""
        reach = 1.5 * self._world.half_side_m / np.maximum(np.hypot(x_m, y_m), 1e-6)
        share = np.minimum(reach, 1.0)
        plane: F64 = self._mean_m + share * (self._tilt[0] * x_m + self._tilt[1] * y_m)
        return plane

    def _far_hills(self, x_m: F64, y_m: F64) -> F32:
        total = np.zeros(x_m.shape, np.float32)
        for number, (wave_m, high_m) in enumerate(
            ((1800.0, 18.0), (700.0, 6.0), (260.0, 2.0), (90.0, 0.6), (30.0, 0.2), (11.0, 0.07))
        ):
            noise = value_noise(x_m / wave_m, y_m / wave_m, self._seed + 300 + number)
            total += np.float32(self._style.hills * high_m) * noise
        return total

    def _micro(self, x_m: F64, y_m: F64, spacing_m: F64) -> F32:
        """Return fractal relief and clods of the sizes that the mesh can carry."""
        total = np.zeros(x_m.size, np.float32)
        x, y, spacing = x_m.ravel(), y_m.ravel(), spacing_m.ravel()
        wave_m, number = 0.8, 0
        while wave_m > SMALLEST_WAVE_M:
            near = np.flatnonzero(wave_m > CARRIED * spacing)
            weight = np.minimum(wave_m / (CARRIED * spacing[near]) - 1.0, 1.0)
            cos, sin = math.cos(1.3 * number), math.sin(1.3 * number)
            u = (cos * x[near] - sin * y[near]) / wave_m
            v = (cos * y[near] + sin * x[near]) / wave_m
            high_m = 0.013 * self._style.rough * (wave_m / 0.8) ** HURST
            total[near] += high_m * weight * value_noise(u, v, self._seed + number)
            wave_m *= OCTAVE_RATIO
            number += 1
        for number, size_m in enumerate((0.07, 0.033, 0.016)):
            near = np.flatnonzero(size_m > CARRIED * spacing)
            patch = value_noise(x[near] / 1.7, y[near] / 1.7, self._seed + 60) * 0.5 + 0.5
            lumps = clods(
                x[near], y[near], self._seed + 200 + 10 * number,
                size_m=size_m, share=self._style.clod_share,
            )  # fmt: skip
            total[near] += lumps * np.clip(1.6 * patch, 0.0, 1.0)
        return total.reshape(x_m.shape)

    def _small_craters(self, x_m: F64, y_m: F64, spacing_m: F64) -> tuple[F32, F32]:
        height, fresh = np.zeros(x_m.size, np.float32), np.zeros(x_m.size, np.float32)
        x, y, spacing = x_m.ravel(), y_m.ravel(), spacing_m.ravel()
        for number, size_m in enumerate((1.6, 0.8, 0.4, 0.2, 0.1)):
            near = np.flatnonzero(size_m > 4.0 * spacing)
            part = small_craters(
                x[near], y[near], self._seed + 100 + 10 * number,
                size_m=size_m, share=self._style.crater_share,
            )  # fmt: skip
            height[near] += part[0]
            fresh[near] = np.maximum(fresh[near], part[1])
        return height.reshape(x_m.shape), fresh.reshape(x_m.shape)

    def _ejecta(self, x_m: F64, y_m: F64) -> F32:
        """Return 0 to 1: how much fresh ejecta of the world's craters cover a place."""
        craters = self._world.craters
        ratio = craters.depth_m / craters.diameter_m if len(craters.x_m) else craters.depth_m
        total = np.zeros(x_m.shape, np.float32)
        for index in np.flatnonzero(ratio > 0.12)[:8]:
            distance = np.hypot(x_m - craters.x_m[index], y_m - craters.y_m[index])
            radii = distance / (0.5 * craters.diameter_m[index])
            total += np.exp(-1.5 * np.maximum(radii - 0.8, 0.0)).astype(np.float32)
        return np.minimum(total, 1.0)


def true_half_side_m(world: World) -> float:
    """Return the largest |x| and |y| up to which the ground is the world's own."""
    half = world.half_side_m - 2.0 * world.spacing_m
    return half - min(FADE_M, FADE_SHARE * half)


def _track_print(track: Track, x_m: F64, y_m: F64, spacing_m: F64) -> tuple[F64, F64]:
    """Return height of the track over the ground, metres, and how far a wheel covered it, 0..1."""
    side, along = _beside(track, x_m, y_m)
    across = side / (0.5 * track.width_m)
    cover = np.exp(-(across**4))
    bank = 0.5 * np.exp(-(((np.abs(across) - 1.3) / 0.3) ** 2))
    cleat = np.where(spacing_m < 0.4 * CLEAT_M, np.sin(2.0 * math.pi * along / CLEAT_M), 0.0)
    return track.depth_m * (bank - cover + 0.4 * cleat * cover), cover


def _beside(track: Track, x_m: F64, y_m: F64) -> tuple[F64, F64]:
    """Return the distance from the nearer wheel line and the way along the path, metres."""
    cos, sin = math.cos(track.heading_rad), math.sin(track.heading_rad)
    along = cos * (x_m - track.x_m) + sin * (y_m - track.y_m)
    side = cos * (y_m - track.y_m) - sin * (x_m - track.x_m)
    side = side - track.swing_m * np.sin(2.0 * math.pi * along / track.wave_m)
    return np.abs(side) - 0.5 * track.gauge_m, along


def _smooth_at_posts(world: World, x_m: F64, y_m: F64) -> F64:
    """Return the ground between the posts by Catmull-Rom splines; exact at the posts."""
    count = world.ground_m.shape[0]
    col, row = ((part + world.half_side_m) / world.spacing_m for part in (x_m, y_m))
    col0 = np.clip(np.floor(col), 1, count - 3).astype(np.intp)
    row0 = np.clip(np.floor(row), 1, count - 3).astype(np.intp)
    across, down = _spline_weights(col - col0), _spline_weights(row - row0)
    flat = world.ground_m.ravel()
    total = np.zeros(x_m.shape)
    for i in range(4):
        start = (row0 + (i - 1)) * count + col0
        line = sum(across[j] * flat[start + (j - 1)] for j in range(4))
        total += down[i] * line
    return total


def _spline_weights(t: F64) -> tuple[F64, F64, F64, F64]:
    return (
        0.5 * t * (t * (2.0 - t) - 1.0),
        0.5 * (t * t * (3.0 * t - 5.0) + 2.0),
        0.5 * t * (t * (4.0 - 3.0 * t) + 1.0),
        0.5 * t * t * (t - 1.0),
    )
