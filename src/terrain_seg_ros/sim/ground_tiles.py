"""The ground of a world in square tiles, each in several resolutions, so that few are drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from terrain_seg_ros.core.types import F32, F64
from terrain_seg_ros.worlds.world import World

TILE_CELLS = 64
MAX_TILES_PER_SIDE = 20
LEVEL_STEPS = (1, 2, 4)
"""Posts of the world from one post to the next, per level."""
LEVEL_RANGES_M = (25.0, 60.0)
"""The finest level is drawn up to the first distance from the camera, and so on."""


@dataclass(frozen=True)
class Tile:
    """Hold one rectangle of ground: its middle, half sides, lowest and highest ground.

    `levels` are heights (rows, cols), row 0 the lowest y, the finest first; the outermost posts
    lie on the border.
    """

    x_m: float
    y_m: float
    half_x_m: float
    half_y_m: float
    low_m: float
    high_m: float
    levels: tuple[F32, ...]


def ground_tiles(world: World) -> tuple[Tile, ...]:
    """Return the tiles of a world, row by row from the lowest y.

    The finest level has the world's own posts, so it differs from the bilinear ground only inside
    a cell, where two triangles stand for it.
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
        tiles: of the world.
        eye_m: (3,) position of the camera.
        planes: (N, 4) inward normals and offsets: a point is in view where n . p + d >= 0.
        end_m: what is farther is not drawn.
    """
    centres = np.array([[t.x_m, t.y_m, 0.5 * (t.low_m + t.high_m)] for t in tiles])
    halves = np.array([[t.half_x_m, t.half_y_m, 0.5 * (t.high_m - t.low_m)] for t in tiles])
    reach = halves @ np.abs(planes[:, :3]).T
    inside = (centres @ planes[:, :3].T + planes[:, 3] + reach >= 0.0).all(axis=1)
    gap = np.maximum(np.abs(centres - eye_m) - halves, 0.0)
    distance_m = np.linalg.norm(gap, axis=1)
    level = np.searchsorted(np.array(LEVEL_RANGES_M), distance_m)
    drawn = inside & (distance_m < end_m)
    return [int(item) if yes else None for item, yes in zip(level, drawn)]


def _tile(world: World, rows: tuple[int, int], cols: tuple[int, int]) -> Tile:
    def place(post: float) -> float:
        return post * world.spacing_m - world.half_side_m

    levels = []
    for step in LEVEL_STEPS:
        y_m, x_m = (
            place(np.linspace(low, high, math.ceil((high - low) / step) + 1))  # type: ignore[arg-type]
            for low, high in (rows, cols)
        )
        # At the border, rounding must not leave the world.
        x_m, y_m = (np.clip(p, -world.half_side_m, world.half_side_m) for p in (x_m, y_m))
        height = world.ground_height_m(x_m[np.newaxis, :], y_m[:, np.newaxis])
        levels.append(height.astype(np.float32))
    low_m = min(float(level.min()) for level in levels)
    high_m = max(float(level.max()) for level in levels)
    return Tile(
        x_m=place(0.5 * sum(cols)),
        y_m=place(0.5 * sum(rows)),
        half_x_m=0.5 * (cols[1] - cols[0]) * world.spacing_m,
        half_y_m=0.5 * (rows[1] - rows[0]) * world.spacing_m,
        low_m=low_m,
        high_m=high_m,
        levels=tuple(levels),
    )
