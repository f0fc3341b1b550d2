"""Small worlds made by hand."""

from __future__ import annotations

import numpy as np

from terrain_seg_ros.worlds.world import Body, Craters, Rocks, Sun, World

NONE = np.empty(0)


def small_world(*, slope=0.0, rocks=(), side_m=30.0, posts=61):
    """Return a plane, sloped along x, with rocks (x, y, half axis): half spheres at x, y."""
    spacing_m = side_m / (posts - 1)
    x_m = (np.arange(posts) - (posts - 1) / 2) * spacing_m
    places = np.array(rocks, dtype=float).reshape(-1, 3)
    half = places[:, 2]
    return World(
        body=Body.MARS,
        seed=0,
        spacing_m=spacing_m,
        ground_m=np.tile(slope * x_m, (posts, 1)).astype(np.float32),
        classes=np.zeros((posts, posts), np.uint8),
        albedo=np.full((posts, posts), 0.5, np.float32),
        rocks=Rocks(places[:, 0], places[:, 1], slope * places[:, 0], half, half, half, 0 * half),
        craters=Craters(NONE, NONE, NONE, NONE),
        sun=Sun(0.0, 0.5),
    )
