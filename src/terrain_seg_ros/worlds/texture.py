"""Fine texture of the ground: repeating tiles of light and shade, with mipmaps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.types import F32, F64

SIDE_PX = 512
SHADOW_STEPS = 48
MAX_BRIGHTNESS = 3.0
PEBBLE_BRIGHTER = 0.25
"""Added brightness of pebbles, which carry less dust than the soil."""


@dataclass(frozen=True)
class Tile:
    """A square texture that repeats in both directions, as a mipmap.

    All levels are in `values` one after the other; level k has `SIDE_PX` / 2^k pixels along a
    side, and its texels are `texel_m` x 2^k wide.
    """

    values: F32
    offsets: NDArray[np.int64]
    texel_m: float

    def sample(self, x_m: F64, y_m: F64, footprint_m: F64) -> F32:
        """Return values (N,) at points, averaged over about a footprint (trilinear)."""
        top = self.offsets.size - 1
        level = np.log2(np.maximum(footprint_m / self.texel_m, 1e-6))
        level = np.clip(np.nan_to_num(level), 0.0, top)
        low = np.minimum(level.astype(np.int64), top - 1)
        share = (level - low).astype(np.float32)
        fine, coarse = (self._bilinear(x_m, y_m, low + step) for step in (0, 1))
        return np.asarray(fine + share * (coarse - fine), dtype=np.float32)

    def _bilinear(self, x_m: F64, y_m: F64, level: NDArray[np.int64]) -> F32:
        side = SIDE_PX >> level
        scale = 1.0 / (self.texel_m * (1 << level))
        # The value of a coarse texel is that at its centre.
        col, row = x_m * scale - 0.5, y_m * scale - 0.5
        left, low = np.floor(col).astype(np.int64), np.floor(row).astype(np.int64)
        u, v = (col - left).astype(np.float32), (row - low).astype(np.float32)
        last = side - 1
        base = self.offsets[level]
        rows = base + (low & last) * side, base + ((low + 1) & last) * side
        cols = left & last, (left + 1) & last
        one, two, three, four = (self.values[r + c] for r in rows for c in cols)
        lower, upper = one + u * (two - one), three + u * (four - three)
        return np.asarray(lower + v * (upper - lower), dtype=np.float32)


def build_tile(image: F32, texel_m: float) -> Tile:
    """Return the tile of a square image of side `SIDE_PX` whose opposite borders match."""
    levels = [image]
    while levels[-1].shape[0] > 1:
        part = levels[-1]
        levels.append(
            0.25 * (part[::2, ::2] + part[1::2, ::2] + part[::2, 1::2] + part[1::2, 1::2])
        )
    sizes = np.array([part.size for part in levels], dtype=np.int64)
    return Tile(
        values=np.concatenate([part.ravel() for part in levels]).astype(np.float32),
        offsets=np.cumsum(sizes) - sizes,
        texel_m=texel_m,
    )


@lru_cache(maxsize=8)
def noise_tile(seed: int, *, texel_m: float, power: float) -> Tile:
    """Return noise of mean 0 and standard deviation 1 with amplitudes of wavenumber^-power."""
    rng = np.random.Generator(np.random.PCG64(seed))
    return build_tile(_noise(rng, power), texel_m)


@lru_cache(maxsize=16)
def relief_tile(
    seed: int,
    *,
    texel_m: float,
    rms_slope: float,
    pebbles_per_m2: float,
    pebble_m: tuple[float, float],
    sun: tuple[float, float],
) -> Tile:
    """Return the brightness of fine relief with pebbles and shadows, relative to level ground.

    Args:
        seed: seed of the relief.
        texel_m: width of the finest texel.
        rms_slope: RMS slope of the relief between texels.
        pebbles_per_m2: number of pebbles per square metre.
        pebble_m: smallest and largest diameter of the pebbles; their density falls with D^-2.
        sun: azimuth and elevation of the light.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    height = _noise(rng, 1.5) * texel_m
    step = np.diff(height, axis=1, append=height[:, :1]) / texel_m
    height *= rms_slope / float(step.std())
    stones = _pebbles(rng, texel_m, pebbles_per_m2, pebble_m)
    light = _light(height + stones, texel_m, *sun)
    light *= 1.0 + PEBBLE_BRIGHTER * (stones > 0.0)
    light /= float(light.mean())
    return build_tile(np.minimum(light, MAX_BRIGHTNESS).astype(np.float32), texel_m)


def _noise(rng: np.random.Generator, power: float) -> F32:
    spectrum = np.fft.rfft2(rng.standard_normal((SIDE_PX, SIDE_PX)))
    along = np.fft.rfftfreq(SIDE_PX)[np.newaxis, :]
    wavenumber = np.hypot(np.fft.fftfreq(SIDE_PX)[:, np.newaxis], along)
    wavenumber[0, 0] = np.inf
    field = np.fft.irfft2(spectrum * wavenumber**-power, (SIDE_PX, SIDE_PX))
    return np.asarray(field / field.std(), dtype=np.float32)


def _pebbles(
    rng: np.random.Generator, texel_m: float, per_m2: float, bounds_m: tuple[float, float]
) -> F32:
    """Return the height of pebbles lying on a plane; 0 between them."""
    height: F32 = np.zeros((SIDE_PX, SIDE_PX), dtype=np.float32)
    count = int(rng.poisson(per_m2 * (SIDE_PX * texel_m) ** 2))
    share = rng.uniform(size=count)
    low, high = bounds_m
    diameter = 1.0 / (1.0 / low - share * (1.0 / low - 1.0 / high))
    for size in np.sort(diameter)[::-1]:
        x, y, turn = rng.uniform(0.0, (SIDE_PX, SIDE_PX, math.pi))
        reach = max(2, math.ceil(0.7 * size / texel_m))
        places = np.arange(-reach, reach + 1)
        col, row = int(x) + places, int(y) + places
        dx, dy = np.meshgrid(col - x, row - y)
        a, b = 0.6 * size / texel_m, 0.42 * size / texel_m
        u = (math.cos(turn) * dx + math.sin(turn) * dy) / a
        v = (math.cos(turn) * dy - math.sin(turn) * dx) / b
        bump = 0.5 * size * np.sqrt(np.maximum(1.0 - u * u - v * v, 0.0))
        where = np.ix_(row % SIDE_PX, col % SIDE_PX)
        height[where] = np.maximum(height[where], bump * rng.uniform(0.6, 1.1))
    return height


def _light(height: F32, texel_m: float, azimuth_rad: float, elevation_rad: float) -> F32:
    """Return the Lambertian brightness of a height tile relative to that of level ground."""
    slope_x, slope_y = (
        (np.roll(height, -1, axis) - np.roll(height, 1, axis)) / (2.0 * texel_m) for axis in (1, 0)
    )
    flat, up = math.cos(elevation_rad), math.sin(elevation_rad)
    toward = math.cos(azimuth_rad), math.sin(azimuth_rad)
    cosine = up - flat * (toward[0] * slope_x + toward[1] * slope_y)
    light = np.maximum(cosine, 0.0) / np.sqrt(1.0 + slope_x**2 + slope_y**2) / up
    hidden = np.zeros(height.shape, dtype=bool)
    highest = float(height.max() - height.min())
    rise_m = texel_m * math.tan(elevation_rad)
    for step in range(1, SHADOW_STEPS):
        if step * rise_m > highest:
            break
        shift = (-round(step * toward[1]), -round(step * toward[0]))
        hidden |= np.roll(height, shift, (0, 1)) > height + step * rise_m
    lit = cv2.GaussianBlur(np.where(hidden, 0.0, 1.0).astype(np.float32), (3, 3), 0)
    return np.asarray(light * lit, dtype=np.float32)
