"""The ground of a world as a triangle mesh with a texture, for other simulators."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.types import F64, U8
from terrain_seg_ros.worlds.relief import post_places
from terrain_seg_ros.worlds.world import World

TEXTURE_M = 8.0
"""Side of the texture, which repeats."""
TEXTURE_PX = 512
ROUGHEST = 0.15
"""Standard deviation of the texture's brightness relative to its mean."""


def triangles(world: World) -> tuple[NDArray[np.intp], U8]:
    """Return two triangles for each cell of the ground, anticlockwise as seen from above.

    The vertices are the posts. Between them a triangle deviates from the bilinear ground by at
    most a quarter of the cell's twist `|z00 - z01 - z10 + z11|`.

    Returns:
        The indices of the corners' posts (m, 3), row by row, and the class (m,) of the ground at
        the centre of each triangle.
    """
    count = world.ground_m.shape[0]
    first = (np.arange(count - 1)[:, np.newaxis] * count + np.arange(count - 1)).ravel()
    lower = np.stack([first, first + 1, first + count + 1], axis=1)
    upper = np.stack([first, first + count + 1, first + count], axis=1)
    corners = np.stack([lower, upper], axis=1).reshape(-1, 3)
    places = post_places(count, world.spacing_m)
    middle_x, middle_y = (places[part].mean(axis=1) for part in (corners % count, corners // count))
    return corners, world.class_at(middle_x, middle_y)


def obj_text(world: World, corners: NDArray[np.intp]) -> str:
    """Return a Wavefront OBJ of some of the triangles, in the world's frame.

    Heights are rounded to a tenth of a millimetre. Normals are smooth; the texture repeats every
    `TEXTURE_M`.
    """
    used, numbers = np.unique(corners, return_inverse=True)
    points = _points(world)[used]
    normals = world.ground_normals(points[:, 0], points[:, 1])
    lines = [f"v {x:.4f} {y:.4f} {z:.4f}" for x, y, z in points.tolist()]
    lines += [f"vt {x:.5f} {y:.5f}" for x, y in (points[:, :2] / TEXTURE_M).tolist()]
    lines += [f"vn {x:.4f} {y:.4f} {z:.4f}" for x, y, z in normals.tolist()]
    lines += [
        f"f {a}/{a}/{a} {b}/{b}/{b} {c}/{c}/{c}"
        for a, b, c in (numbers.reshape(-1, 3) + 1).tolist()
    ]
    return "\n".join(lines) + "\n"


def texture(seed: int, colour: tuple[float, float, float]) -> U8:
    """Return a seamless image (h, w, 3) in BGR order, as OpenCV writes it.

    Args:
        seed: seed of the grain.
        colour: mean red, green and blue, 0 to 1.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    across = np.fft.fftfreq(TEXTURE_PX)
    wavenumber = np.hypot(across[:, np.newaxis], across)
    wavenumber[0, 0] = np.inf
    spectrum = np.fft.fft2(rng.standard_normal((TEXTURE_PX, TEXTURE_PX))) / wavenumber
    grain = np.fft.ifft2(spectrum).real
    bright = 1.0 + ROUGHEST * grain / grain.std()
    picture = 255.0 * bright[:, :, np.newaxis] * np.array(colour[::-1])
    rounded: U8 = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return rounded


def _points(world: World) -> F64:
    places = post_places(world.ground_m.shape[0], world.spacing_m)
    x, y = np.meshgrid(places, places)
    return np.stack([x.ravel(), y.ravel(), world.ground_m.ravel().astype(np.float64)], axis=1)
