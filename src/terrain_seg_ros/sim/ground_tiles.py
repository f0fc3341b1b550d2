"""The ground of a world as square tiles with several levels of detail."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from terrain_seg_ros.core.types import F32, F64
from terrain_seg_ros.worlds.world import World

TILE_CELLS = 64
MAX_TILES_PER_SIDE = 16
"""Keeps the number of textures within MuJoCo's limit of a thousand."""
LEVEL_STEPS = (1, 2, 4)
"""Step between posts of a level, in posts of the world."""
SUNK_M = 0.001
"""Tiles overlap by a post, lowered by this, to avoid gaps and to keep normals continuous."""
LEVEL_RANGES_M = (25.0, 60.0)
"""Largest distance from the camera at which each level but the last is drawn."""


@dataclass(frozen=True)
class Patch:
    """Heights (rows, cols) of a rectangle, row 0 the lowest y; the outermost are on its border."""

    x_m: float
    y_m: float
    half_x_m: float
    half_y_m: float
    height_m: F32

    @property
    def low_m(self) -> float:
        """Return the lowest height."""
        return float(self.height_m.min())

    @property
    def rise_m(self) -> float:
        """Return the difference of the highest and the lowest height, at least a millimetre."""
        return max(float(self.height_m.max()) - self.low_m, 1e-3)


@dataclass(frozen=True)
class Tile:
    """One square of ground in all levels, the finest first, and their bounding box."""

    levels: tuple[Patch, ...]
    middle_m: F64
    half_m: F64


def ground_tiles(world: World) -> tuple[Tile, ...]:
    """Return the tiles of a world, row by row from the lowest y.

    The finest level has the world's own posts, so it differs from the bilinear ground only inside
    cells, which are drawn as two triangles.
    """
    cells = world.ground_m.shape[0] - 1
    per_tile = max(TILE_CELLS, math.ceil(cells / MAX_TILES_PER_SIDE))
    starts = range(0, cells, per_tile)
    spans = [(start, min(start + per_tile, cells)) for start in starts]
    return tuple(_tile(world, rows, cols) for rows in spans for cols in spans)


def levels_to_draw(
    tiles: tuple[Tile, ...], eye_m: F64, planes: F64, *, end_m: float
) -> list[int | None]:
    """Return the level of each tile, None where it is outside the view.

    Args:
        tiles: the tiles of the world.
        eye_m: (3,) position of the camera.
        planes: (N, 4) inward normals and offsets: a point is in view if n . p + d >= 0.
        end_m: largest distance of tiles to draw.
    """
    centres = np.stack([tile.middle_m for tile in tiles])
    halves = np.stack([tile.half_m for tile in tiles])
    reach = halves @ np.abs(planes[:, :3]).T
    inside = (centres @ planes[:, :3].T + planes[:, 3] + reach >= 0.0).all(axis=1)
    gap = np.maximum(np.abs(centres - eye_m) - halves, 0.0)
    distance_m = np.linalg.norm(gap, axis=1)
    level = np.searchsorted(np.array(LEVEL_RANGES_M), distance_m)
    drawn = inside & (distance_m < end_m)
    return [int(item) if yes else None for item, yes in zip(level, drawn)]


def _tile(world: World, rows: tuple[int, int], cols: tuple[int, int]) -> Tile:
    levels = tuple(_patch(world, rows, cols, step) for step in LEVEL_STEPS)
    widest = levels[-1]
    low_m = min(level.low_m for level in levels)
    high_m = max(level.low_m + level.rise_m for level in levels)
    return Tile(
        levels,
        middle_m=np.array([widest.x_m, widest.y_m, 0.5 * (low_m + high_m)]),
        half_m=np.array([widest.half_x_m, widest.half_y_m, 0.5 * (high_m - low_m)]),
    )


def _patch(world: World, rows: tuple[int, int], cols: tuple[int, int], step: int) -> Patch:
    """Return the heights of a tile, including one more post on each side within the world."""
    y_post, x_post = (_posts(world, span, step) for span in (rows, cols))
    edge_m = world.half_side_m
    # Rounding must not move posts outside the world.
    y_m, x_m = (
        np.clip(posts * world.spacing_m - edge_m, -edge_m, edge_m) for posts in (y_post, x_post)
    )
    height = world.ground_height_m(x_m[np.newaxis, :], y_m[:, np.newaxis])
    over_y = (y_post < rows[0]) | (y_post > rows[1])
    over_x = (x_post < cols[0]) | (x_post > cols[1])
    height[over_y[:, np.newaxis] | over_x[np.newaxis, :]] -= step * SUNK_M
    return Patch(
        x_m=0.5 * float(x_m[0] + x_m[-1]),
        y_m=0.5 * float(y_m[0] + y_m[-1]),
        half_x_m=0.5 * float(x_m[-1] - x_m[0]),
        half_y_m=0.5 * float(y_m[-1] - y_m[0]),
        height_m=height.astype(np.float32),
    )


def _posts(world: World, span: tuple[int, int], step: int) -> F64:
    """Return the evenly spaced positions of a level's posts, in posts of the world."""
    low = max(span[0] - step, 0)
    high = min(span[1] + step, world.ground_m.shape[0] - 1)
    return np.linspace(low, high, math.ceil((high - low) / step) + 1)
