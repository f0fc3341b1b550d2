"""Analytic intersection of the rays of a camera with rocks, within each rock's bounding pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.types import F64, Transform
from terrain_seg_ros.worlds.world import Rocks

MAX_PAIRS = 2_000_000
"""Pairs of ray and rock computed at once; bounds the memory."""
Ints = NDArray[np.int64]


def rock_shapes(rocks: Rocks) -> F64:
    """Return matrices (N, 3, 3) from the world's axes to those where a rock is the unit sphere."""
    cos, sin = np.cos(rocks.yaw_rad), np.sin(rocks.yaw_rad)
    shapes = np.zeros((len(rocks), 3, 3))
    shapes[:, 0, 0], shapes[:, 0, 1] = cos / rocks.a_m, sin / rocks.a_m
    shapes[:, 1, 0], shapes[:, 1, 1] = -sin / rocks.b_m, cos / rocks.b_m
    shapes[:, 2, 2] = 1.0 / rocks.c_m
    return shapes


def rock_spreads(shapes: F64) -> F64:
    """Return S (N, 3, 3): a rock extends sqrt(n S n) from its centre in the unit direction n."""
    inverse = np.linalg.inv(shapes)
    spreads: F64 = inverse @ inverse.transpose(0, 2, 1)
    return spreads


def camera_rock_hits(rocks: Rocks, rays: F64, world_T_camera: Transform) -> tuple[F64, Ints]:
    """Return the depth along the optical axis and the index of the first rock of every ray.

    Args:
        rocks: the rocks of the world.
        rays: (H, W, 3) in the optical frame, z = 1, NaN where there is no ray.
        world_T_camera: the pose of the optical frame.

    Returns:
        (H, W) depth, infinite without a rock, and (H, W) index, -1 without one.
    """
    height, width = rays.shape[:2]
    depth: F64 = np.full(height * width, np.inf)
    index: Ints = np.full(height * width, -1, dtype=np.int64)
    shapes = rock_shapes(rocks) @ world_T_camera.rotation
    centres = np.stack([rocks.x_m, rocks.y_m, rocks.z_m], axis=1) - world_T_camera.translation_m
    centres = centres @ world_T_camera.rotation
    near, boxes = _pixel_boxes(centres, rock_spreads(shapes), rays)
    starts = -np.einsum("nij,nj->ni", shapes[near], centres[near])
    flat = rays.reshape(-1, 3)
    for part in _parts((boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2])):
        pair_rock, pair_pixel = _pairs(boxes[part], width)
        t = _sphere_hits(shapes[near[part]], starts[part], pair_rock, flat[pair_pixel])
        met = np.isfinite(t)
        t, pixel, rock = t[met], pair_pixel[met], near[part][pair_rock[met]]
        before = depth.copy()
        np.minimum.at(depth, pixel, t)
        first = (t == depth[pixel]) & (t < before[pixel])
        index[pixel[first]] = rock[first]
    return depth.reshape(height, width), index.reshape(height, width)


def _pixel_boxes(centres: F64, spreads: F64, rays: F64) -> tuple[NDArray[np.intp], Ints]:
    """Return the potentially visible rocks, and the pixels (first, end) x (col, row) of each."""
    deepest = centres[:, 2] + np.sqrt(spreads[:, 2, 2])
    near = np.flatnonzero(deepest > 0.0)
    boxes = np.zeros((near.size, 4), dtype=np.int64)
    for axis in (0, 1):
        low, high = _outline(centres[near], spreads[near], axis)
        least, most = _envelopes(rays[..., axis], axis)
        boxes[:, 2 * axis] = np.searchsorted(most, low, side="left")
        boxes[:, 2 * axis + 1] = np.searchsorted(least, high, side="right")
    seen = (boxes[:, 0] < boxes[:, 1]) & (boxes[:, 2] < boxes[:, 3])
    return near[seen], boxes[seen]


def _outline(centres: F64, spreads: F64, axis: int) -> tuple[F64, F64]:
    """Return the bounds of x / z (axis 0) or y / z (1) of rocks (N,) where z is positive.

    They are given by the two planes through the camera that touch the ellipsoid. An ellipsoid that
    extends behind the camera has a single bound, on the side where it does not; one that surrounds
    the camera in the plane of the axis has none.
    """
    across, ahead = centres[:, axis], centres[:, 2]
    deep, mixed = spreads[:, 2, 2], spreads[:, axis, 2]
    before = ahead * ahead > deep
    square = np.where(before, ahead * ahead - deep, np.minimum(ahead * ahead - deep, -1e-300))
    middle = across * ahead - mixed
    rest = across * across - spreads[:, axis, axis]
    inside = middle * middle - square * rest
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        sum_ = middle + np.copysign(np.sqrt(np.maximum(inside, 0.0)), middle)
        roots = np.stack([sum_ / square, rest / sum_])
    low, high = roots.min(axis=0), roots.max(axis=0)
    side = across * deep - mixed * ahead
    none = np.isnan(low) | (~before & (inside <= 0.0))
    left = np.where(before, low, np.where(side > 0.0, high, -np.inf))
    right = np.where(before, high, np.where(side > 0.0, np.inf, low))
    return np.where(none, -np.inf, left), np.where(none, np.inf, right)


def _envelopes(values: F64, axis: int) -> tuple[F64, F64]:
    """Return increasing bounds of x / z per column (axis 0) or y / z per row (1).

    The values of column k lie between the k-th element of the first and of the second array for
    any lens, so the pixels of a box in x / z and y / z are found by bisection.
    """
    empty = np.isnan(values)
    least = np.where(empty, np.inf, values).min(axis=axis)
    most = np.where(empty, -np.inf, values).max(axis=axis)
    return np.minimum.accumulate(least[::-1])[::-1], np.maximum.accumulate(most)


def _parts(counts: Ints) -> list[slice]:
    """Split the rocks into runs of at most `MAX_PAIRS` pairs; a single rock is never split."""
    parts, first = [], 0
    total = np.cumsum(counts)
    while first < counts.size:
        done = total[first - 1] if first else 0
        end = max(first + 1, int(np.searchsorted(total, done + MAX_PAIRS, side="right")))
        parts.append(slice(first, end))
        first = end
    return parts


def _pairs(boxes: Ints, width: int) -> tuple[Ints, Ints]:
    """Return the box index and the flat pixel index of every pixel in every box."""
    columns = boxes[:, 1] - boxes[:, 0]
    counts = columns * (boxes[:, 3] - boxes[:, 2])
    rock = np.repeat(np.arange(len(boxes), dtype=np.int64), counts)
    place = np.arange(rock.size, dtype=np.int64) - np.repeat(np.cumsum(counts) - counts, counts)
    row, col = np.divmod(place, columns[rock])
    return rock, (boxes[rock, 2] + row) * width + boxes[rock, 0] + col


def _sphere_hits(shapes: F64, starts: F64, rock: Ints, directions: F64) -> F64:
    """Return the smallest positive t at which start + t shape direction has length 1, else inf.

    Args:
        shapes: (N, 3, 3) matrices to the axes of the unit sphere.
        starts: (N, 3) the rays' origin in those axes.
        rock: (P,) the index, below N, of the rock of each pair.
        directions: (P, 3) the rays.
    """
    forms = shapes.transpose(0, 2, 1) @ shapes
    linear = np.einsum("nij,ni->nj", shapes, starts)
    x, y, z = directions.T
    xx, yy, zz, xy, xz, yz = (
        forms[:, i, j][rock] for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
    )
    square = x * (xx * x + 2.0 * (xy * y + xz * z)) + y * (yy * y + 2.0 * yz * z) + zz * z * z
    half = linear[rock, 0] * x + linear[rock, 1] * y + linear[rock, 2] * z
    rest = (np.einsum("ni,ni->n", starts, starts) - 1.0)[rock]
    with np.errstate(invalid="ignore"):
        root = np.sqrt(half * half - square * rest)
        t = rest / (root - half)  # the nearer one, without cancellation
        return np.where((t > 0.0) & (half < 0.0), t, np.inf)
