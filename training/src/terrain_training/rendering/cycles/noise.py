"""Seeded noise that is a function of the place: the same at a place for every mesh around it."""

from __future__ import annotations

import numpy as np

from terrain_seg_ros.core.types import F32, F64
from terrain_training.rendering.cycles.arrays import I64

CRATER_CELL = 3.5
"""Side of the cell of a small crater, in units of the largest diameter in it."""
RIM_SHARE, RIM_WIDTH = 0.2, 0.3
"""Height of a small crater's rim over its depth (Pike 1977), and width in radii."""


def cell_hash(ix: I64, iy: I64, seed: int) -> F32:
    """Return a number in [0, 1] for each cell of a lattice."""
    with np.errstate(over="ignore"):
        value = ix.astype(np.uint32) * np.uint32(374761393)
        value += iy.astype(np.uint32) * np.uint32(668265263)
        value += np.uint32((seed * 2654435761) & 0xFFFFFFFF)
        value = (value ^ (value >> np.uint32(13))) * np.uint32(1274126177)
        value ^= value >> np.uint32(16)
        value = value * np.uint32(2246822519)
        value ^= value >> np.uint32(15)
    share: F32 = value.astype(np.float32) / np.float32(4294967295.0)
    return share


def value_noise(x: F64, y: F64, seed: int) -> F32:
    """Return smooth noise in [-1, 1] whose features are about 1 wide."""
    ix, iy = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    u, v = (x - ix).astype(np.float32), (y - iy).astype(np.float32)
    u = u * u * u * (u * (u * 6 - 15) + 10)
    v = v * v * v * (v * (v * 6 - 15) + 10)
    low, right = cell_hash(ix, iy, seed), cell_hash(ix + 1, iy, seed)
    up, both = cell_hash(ix, iy + 1, seed), cell_hash(ix + 1, iy + 1, seed)
    mixed: F32 = low + (right - low) * u + (up - low) * v + (low - right - up + both) * u * v
    return mixed * 2 - 1


def small_craters(x: F64, y: F64, seed: int, *, size_m: float, share: float) -> tuple[F32, F32]:
    """Return height (metres) and freshness of ejecta (0 to 1) of craters up to `size_m` wide.

    A share of the cells of a lattice has a crater each. Depth over diameter is log-uniform from
    0.02 to 0.2, as for craters that fade by diffusion.
    """
    cell = CRATER_CELL * size_m
    ix, iy = np.floor(x / cell).astype(np.int64), np.floor(y / cell).astype(np.int64)
    here = np.flatnonzero(cell_hash(ix, iy, seed).ravel() < share)
    height, fresh = np.zeros(x.size, np.float32), np.zeros(x.size, np.float32)
    jx, jy = ix.ravel()[here], iy.ravel()[here]
    radius = 0.5 * size_m * (0.45 + 0.55 * cell_hash(jx, jy, seed + 3))
    ratio = 0.02 * (0.2 / 0.02) ** cell_hash(jx, jy, seed + 4)
    dx = x.ravel()[here] - (jx + 0.3 + 0.4 * cell_hash(jx, jy, seed + 1)) * cell
    dy = y.ravel()[here] - (jy + 0.3 + 0.4 * cell_hash(jx, jy, seed + 2)) * cell
    distance = np.hypot(dx, dy) / radius
    depth = 2.0 * radius * ratio
    rim = RIM_SHARE * np.exp(-(((distance - 1.0) / RIM_WIDTH) ** 2))
    bowl = np.where(distance < 1.0, distance * distance - 1.0, 0.0)
    height[here] = depth * (bowl + rim)
    fresh[here] = (ratio / 0.2) ** 2 * np.exp(-np.maximum(distance - 0.9, 0.0) * 2.0)
    return height.reshape(x.shape), fresh.reshape(x.shape)


def clods(x: F64, y: F64, seed: int, *, size_m: float, share: float) -> F32:
    """Return the height in metres of lumps of soil up to `size_m` wide, one in a share of cells."""
    cell = 2.0 * size_m
    ix, iy = np.floor(x / cell).astype(np.int64), np.floor(y / cell).astype(np.int64)
    here = np.flatnonzero(cell_hash(ix, iy, seed).ravel() < share)
    height = np.zeros(x.size, np.float32)
    jx, jy = ix.ravel()[here], iy.ravel()[here]
    chance = cell_hash(jx, jy, seed + 3)
    radius = 0.5 * size_m * (0.4 + 0.6 * chance * chance)
    dx = x.ravel()[here] - (jx + 0.25 + 0.5 * cell_hash(jx, jy, seed + 1)) * cell
    dy = y.ravel()[here] - (jy + 0.25 + 0.5 * cell_hash(jx, jy, seed + 2)) * cell
    inside = 1.0 - (dx * dx + dy * dy) / (radius * radius)
    height[here] = 0.3 * radius * np.maximum(inside, 0.0)
    return height.reshape(x.shape)
