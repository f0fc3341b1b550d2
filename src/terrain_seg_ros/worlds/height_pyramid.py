"""Exact first intersection of rays with a bilinear height field, using a pyramid of maxima."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.types import F32, F64

START_LEVEL = 3
"""Level at which rays start: blocks of 2^3 cells."""
TINY = 1e-12
"""Smallest component of a direction across grid lines, in cells per unit of t."""
COMPACT_BELOW = 0.75
"""Finished rays are removed once less than this share is still active."""

AT_ONCE = 32_768
"""Number of rays traced together, so that their data stays in the processor's cache."""


@dataclass(frozen=True)
class HeightPyramid:
    """Posts (n, n), and per level the highest post of each square block of cells.

    Level 0 is one cell (four posts), level k has blocks of 2^k x 2^k cells. All levels are in
    `maxima`, level k from `offsets[k]` with `strides[k]` blocks in a row.
    """

    posts: F64
    maxima: F64
    offsets: NDArray[np.int64]
    strides: NDArray[np.int64]

    @property
    def cells(self) -> int:
        """Return the number of cells along a side."""
        return int(self.posts.shape[0]) - 1

    @property
    def levels(self) -> int:
        """Return the number of levels; the last has a single block."""
        return int(self.offsets.size)


@dataclass
class _Rays:
    """Active rays; x and y in cells from post (0, 0), all (N,)."""

    number: NDArray[np.int64]
    fixed: F64  # (9, N): x, y, z, dx, dy, dz, 1 / dx, 1 / dy, end
    t: F64
    col: NDArray[np.int64]
    row: NDArray[np.int64]
    level: NDArray[np.int64]

    def keep(self, which: NDArray[np.bool_]) -> _Rays:
        """Return the rays selected by `which`."""
        return _Rays(
            self.number[which],
            self.fixed[:, which],
            self.t[which],
            self.col[which],
            self.row[which],
            self.level[which],
        )


def build_pyramid(ground_m: F32) -> HeightPyramid:
    """Return the pyramid of posts (n, n), n >= 2."""
    posts = np.asarray(ground_m, dtype=np.float64)
    level = np.maximum(posts[:-1], posts[1:])
    level = np.maximum(level[:, :-1], level[:, 1:])
    levels = [level]
    while level.shape[0] > 1:
        pad = level.shape[0] % 2
        level = np.pad(level, ((0, pad), (0, pad)), constant_values=-np.inf)
        level = np.maximum(level[::2], level[1::2])
        level = np.maximum(level[:, ::2], level[:, 1::2])
        levels.append(level)
    sizes = np.array([part.size for part in levels], dtype=np.int64)
    return HeightPyramid(
        posts=posts,
        maxima=np.concatenate([part.ravel() for part in levels]),
        offsets=np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64),
        strides=np.array([part.shape[1] for part in levels], dtype=np.int64),
    )


def first_hits(pyramid: HeightPyramid, origins: F64, directions: F64, end: F64) -> F64:
    """Return the smallest t (N,) at which origin + t direction meets the field.

    Blocks of cells whose maximum is below the ray are skipped in one step (maximum mipmaps, Tevs,
    Ihrke and Seidel 2008); in a cell the bilinear surface along a ray is a parabola, so the
    intersection is exact. The field is solid down to any depth and ends at its outer posts.

    Args:
        pyramid: the pyramid of the field.
        origins: (3,) or (N, 3); x, y in cells from post (0, 0), z in the posts' unit.
        directions: (N, 3) in the same units; NaN never hits.
        end: (N,) largest t; may be infinite.

    Returns:
        (N,): t, infinite where nothing is hit before the end.
    """
    hits = np.full(len(directions), np.inf)
    origins = np.broadcast_to(np.asarray(origins, dtype=np.float64), directions.shape)
    for first in range(0, len(directions), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        _trace(pyramid, _enter(pyramid, origins[part], directions[part], end[part]), hits[part])
    return hits


def _trace(pyramid: HeightPyramid, rays: _Rays, hits: F64) -> None:
    """Write the t of each ray's first hit into `hits` at the ray's number."""
    while rays.number.size:
        alive = np.ones(rays.number.size, dtype=bool)
        while np.count_nonzero(alive) > COMPACT_BELOW * alive.size:
            _step(pyramid, rays, alive, hits)
        rays = rays.keep(alive)


def _enter(pyramid: HeightPyramid, origins: F64, directions: F64, end: F64) -> _Rays:
    """Return the rays that reach the bounding box of the field, at their entry points."""
    start = origins.T
    along = np.array(directions.T)
    small = np.abs(along[:2]) < TINY
    along[:2][small] = TINY
    with np.errstate(divide="ignore", invalid="ignore"):
        near = (np.array([[0.0], [0.0]]) - start[:2]) / along[:2]
        far = (np.array([[pyramid.cells], [pyramid.cells]]) - start[:2]) / along[:2]
        to_top = (pyramid.maxima[-1] - start[2]) / along[2]
    enter = np.maximum(np.minimum(near, far).max(axis=0), 0.0)
    leave = np.minimum(np.maximum(near, far).min(axis=0), end)
    above = start[2] > pyramid.maxima[-1]
    enter = np.where(above, np.fmax(enter, np.where(along[2] < 0.0, to_top, np.inf)), enter)
    number = np.flatnonzero(enter <= leave)
    start, along, t = start[:, number], along[:, number], enter[number]
    inverse = 1.0 / along[:2]
    top = pyramid.cells - 1
    col, row = (
        np.clip(np.floor(start[axis] + t * along[axis]), 0, top).astype(np.int64) for axis in (0, 1)
    )
    fixed = np.concatenate([start, along, inverse, end[number][np.newaxis]])
    level = np.full(number.size, min(START_LEVEL, pyramid.levels - 1), dtype=np.int64)
    return _Rays(number, fixed, t, col, row, level)


def _step(pyramid: HeightPyramid, rays: _Rays, alive: NDArray[np.bool_], hits: F64) -> None:
    """Advance every ray: skip its block, descend into it, or intersect a single cell."""
    x, y, z, dx, dy, dz, inverse_x, inverse_y, end = rays.fixed
    level = rays.level
    block_col, block_row = rays.col >> level, rays.row >> level
    right, up = dx > 0.0, dy > 0.0
    edge_x, edge_y = (block_col + right) << level, (block_row + up) << level
    t_x, t_y = (edge_x - x) * inverse_x, (edge_y - y) * inverse_y
    leave = np.maximum(np.minimum(t_x, t_y), rays.t)
    last = np.minimum(leave, end)
    lowest = z + dz * np.where(dz < 0.0, last, rays.t)
    where = pyramid.offsets[level] + block_row * pyramid.strides[level] + block_col
    passes = lowest > pyramid.maxima[where]
    look = np.flatnonzero(~passes & (level == 0) & alive)
    if look.size:
        found = _cell_hits(pyramid, rays, look, last)
        met = np.isfinite(found)
        hits[rays.number[look[met]]] = found[met]
        alive[look[met]] = False
        passes[look[~met]] = True
    over_x = t_x <= t_y
    low_col, low_row = block_col << level, block_row << level
    size = (1 << level) - 1
    ahead_col = np.where(over_x, edge_x - ~right, np.floor(x + leave * dx).astype(np.int64))
    ahead_row = np.where(over_x, np.floor(y + leave * dy).astype(np.int64), edge_y - ~up)
    np.clip(ahead_col, low_col - over_x, low_col + size + over_x, out=ahead_col)
    np.clip(ahead_row, low_row - ~over_x, low_row + size + ~over_x, out=ahead_row)
    cells = pyramid.cells
    inside = (ahead_col >= 0) & (ahead_col < cells) & (ahead_row >= 0) & (ahead_row < cells)
    alive &= ~passes | (inside & (leave < end))
    parent = level + 1
    risen = (ahead_col >> parent != rays.col >> parent) | (
        ahead_row >> parent != rays.row >> parent
    )
    rays.level = np.where(
        passes, np.minimum(level + risen, pyramid.levels - 1), np.maximum(level - 1, 0)
    )
    rays.t = np.where(passes, leave, rays.t)
    rays.col = np.where(passes & inside, ahead_col, rays.col)
    rays.row = np.where(passes & inside, ahead_row, rays.row)


def _cell_hits(pyramid: HeightPyramid, rays: _Rays, which: NDArray[np.intp], last: F64) -> F64:
    """Return the t of hits with the surface of the rays' cells, up to `last`, else inf."""
    x, y, z, dx, dy, dz = rays.fixed[:6, which]
    col, row, t = rays.col[which], rays.row[which], rays.t[which]
    posts = pyramid.posts
    base = posts[row, col]
    slope_x, slope_y = posts[row, col + 1] - base, posts[row + 1, col] - base
    twist = posts[row + 1, col + 1] - base - slope_x - slope_y
    u, v = x + t * dx - col, y + t * dy - row
    gap = z + t * dz - (base + slope_x * u + slope_y * v + twist * u * v)
    linear = dz - (slope_x * dx + slope_y * dy + twist * (u * dy + v * dx))
    square = -twist * dx * dy
    length = last[which] - t
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.sqrt(linear * linear - 4.0 * square * gap)
        half = -0.5 * (linear + np.copysign(root, linear))
        first, second = half / square, gap / half
    first, second = (
        np.where((part >= 0.0) & (part <= length), part, np.inf) for part in (first, second)
    )
    step = np.minimum(first, second)
    end_gap = gap + length * (linear + square * length)
    step = np.where(np.isinf(step) & (end_gap <= 0.0), length, step)
    step = np.where(gap <= 0.0, 0.0, step)
    return t + step
