"""Worlds and views made by hand, for tests."""

import math

import numpy as np

from terrain_seg_ros.core.types import Transform
from terrain_seg_ros.worlds.world import Body, Craters, Rocks, Sun, World


def rocks(*rows):
    """Return rocks of rows x, y, z, a, b, c, yaw."""
    table = np.array(rows, dtype=np.float64).reshape(-1, 7)
    return Rocks(*table.T)


def world(ground_m, spacing_m, *rock_rows, classes=None):
    """Return a world over posts (n, n)."""
    ground_m = np.asarray(ground_m, dtype=np.float32)
    return World(
        body=Body.MOON,
        seed=0,
        spacing_m=spacing_m,
        ground_m=ground_m,
        classes=np.zeros(ground_m.shape, np.uint8) if classes is None else classes,
        albedo=np.full(ground_m.shape, 0.5, dtype=np.float32),
        rocks=rocks(*rock_rows),
        craters=Craters(*[np.zeros(0)] * 4),
        sun=Sun(azimuth_rad=0.5, elevation_rad=0.5),
    )


def flat(side_m, spacing_m, *rock_rows, height_m=0.0):
    """Return level ground."""
    count = round(side_m / spacing_m) + 1
    return world(np.full((count, count), height_m), spacing_m, *rock_rows)


def rough(seed, *, side_m=8.0, spacing_m=0.1, rock_count=30, height_m=0.4):
    """Return rolling ground with rocks of any shape."""
    rng = np.random.default_rng(seed)
    count = round(side_m / spacing_m) + 1
    across = np.fft.fftfreq(count)
    wavenumber = np.hypot(*np.meshgrid(across, across))
    wavenumber[0, 0] = np.inf
    spectrum = np.fft.fft2(rng.standard_normal((count, count))) * wavenumber**-1.7
    ground = np.fft.ifft2(spectrum).real
    bare = world(height_m * ground / ground.std(), spacing_m)
    x, y = rng.uniform(-0.45 * side_m, 0.45 * side_m, (2, rock_count))
    a, b, c = rng.uniform(0.05, 0.4, (3, rock_count))
    z = bare.ground_height_m(x, y) + rng.uniform(-0.5, 0.5, rock_count) * c
    yaw = rng.uniform(-math.pi, math.pi, rock_count)
    return world(bare.ground_m, spacing_m, *np.stack([x, y, z, a, b, c, yaw], axis=1))


def look(x_m, y_m, z_m, *, yaw_rad=0.0, pitch_rad=0.0, roll_rad=0.0):
    """Return world_T_camera of an optical frame that looks along yaw, pitched down."""
    cos, sin = math.cos(yaw_rad), math.sin(yaw_rad)
    ahead = np.array([cos * math.cos(pitch_rad), sin * math.cos(pitch_rad), -math.sin(pitch_rad)])
    right = np.array([sin, -cos, 0.0])
    down = np.cross(ahead, right)
    turn = np.array(
        [
            [math.cos(roll_rad), -math.sin(roll_rad), 0.0],
            [math.sin(roll_rad), math.cos(roll_rad), 0.0],
            [0.0, 0.0, 1.0],
        ]
    )
    return Transform(
        np.stack([right, down, ahead], axis=1) @ turn, np.array([x_m, y_m, z_m], dtype=float)
    )
