"""Shapes of rocks, in several levels of detail, and meshes of many rocks made of them."""

from __future__ import annotations

import io
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from terrain_seg_ros.core.types import F32, F64
from terrain_training.rendering.cycles.arrays import I32, I64, Bool

SHAPES_FILE = Path(__file__).with_name("rocks.npz")
LEVELS = (0, 8, 5, 3)
"""Cells per side in which the vertices of a level are merged; 0 keeps the shape as it is."""
STOOD = "polar_"
"""Names of shapes that were scanned where they stood: what is missing below was in the soil."""
Mesh = tuple[F32, I32]


@dataclass(frozen=True)
class PlacedRocks:
    """Hold rocks (N,) to be drawn: a shape stretched into a box.

    The box is 2 `a_m` by 2 `b_m`, turned by `yaw_rad`, and goes from `bottom_m` to `top_m` in the
    world's frame. `index` is what the label of the rock will be, `tone` its brightness relative
    to the mean rock, `level` its detail (0 is the finest).
    """

    x_m: F64
    y_m: F64
    bottom_m: F64
    top_m: F64
    a_m: F64
    b_m: F64
    yaw_rad: F64
    tone: F64
    shape: I64
    level: I64
    index: I64

    def __len__(self) -> int:
        """Return N."""
        return int(self.x_m.size)

    def chosen(self, which: Bool) -> PlacedRocks:
        """Return some of them."""
        return PlacedRocks(**{part.name: getattr(self, part.name)[which] for part in fields(self)})


@dataclass(frozen=True)
class RockMesh:
    """Hold triangles of many rocks: vertices (V, 3), faces (F, 3), and rock and tone of a face."""

    vertices: F32
    faces: I32
    index: I32
    tone: F32


class RockShapes:
    """Hold the shapes of the package, each in all `LEVELS`, scaled to the box from -1 to 1."""

    def __init__(self, data: bytes | None = None) -> None:
        """Read the shapes; None reads the file of this package."""
        file = np.load(io.BytesIO(SHAPES_FILE.read_bytes() if data is None else data))
        self.names = tuple(sorted({name[:-2] for name in file.files}))
        self.stood = np.array([name.startswith(STOOD) for name in self.names])
        self._levels: list[list[Mesh]] = [[] for _ in LEVELS]
        for name in self.names:
            vertices = file[f"{name}.v"].astype(np.float32)
            vertices = _fill_box(vertices)
            faces = file[f"{name}.f"].astype(np.int32)
            for level, cells in enumerate(LEVELS):
                self._levels[level].append(
                    _merge_vertices(vertices, faces, cells) if cells else (vertices, faces)
                )

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.names)

    def mesh_of(self, rocks: PlacedRocks) -> RockMesh:
        """Return one mesh of rocks."""
        parts: list[RockMesh] = []
        start = 0
        for level, shape in sorted(set(zip(rocks.level.tolist(), rocks.shape.tolist()))):
            some = rocks.chosen((rocks.level == level) & (rocks.shape == shape))
            part = _stretch(self._levels[level][shape], some, start)
            start += len(part.vertices)
            parts.append(part)
        if not parts:
            none = np.zeros(0)
            return RockMesh(
                np.zeros((0, 3), np.float32),
                np.zeros((0, 3), np.int32),
                none.astype(np.int32),
                none.astype(np.float32),
            )
        return RockMesh(
            *(np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(part))
        )


def _stretch(mesh: Mesh, rocks: PlacedRocks, start: int) -> RockMesh:
    """Return copies of one shape, one for each rock; vertices count from `start`."""
    vertices, faces = mesh
    cos, sin = np.cos(rocks.yaw_rad)[:, None], np.sin(rocks.yaw_rad)[:, None]
    u = vertices[:, 0] * rocks.a_m[:, None]
    v = vertices[:, 1] * rocks.b_m[:, None]
    share = 0.5 * (vertices[:, 2] + 1.0)
    z = rocks.bottom_m[:, None] + share * (rocks.top_m - rocks.bottom_m)[:, None]
    x, y = cos * u - sin * v + rocks.x_m[:, None], sin * u + cos * v + rocks.y_m[:, None]
    first = start + len(vertices) * np.arange(len(rocks), dtype=np.int32)
    return RockMesh(
        np.stack([x, y, z], axis=-1).reshape(-1, 3).astype(np.float32),
        (faces + first[:, None, None]).reshape(-1, 3).astype(np.int32),
        np.repeat(rocks.index, len(faces)).astype(np.int32),
        np.repeat(rocks.tone, len(faces)).astype(np.float32),
    )


def _merge_vertices(vertices: F32, faces: I32, cells: int) -> Mesh:
    """Return a coarser shape that fills the box again: vertices in one cell become one."""
    place = np.round((vertices + 1.0) * 0.5 * (cells - 1)).astype(np.int64)
    key = (place[:, 0] * 64 + place[:, 1]) * 64 + place[:, 2]
    _, merged = np.unique(key, return_inverse=True)
    number = np.bincount(merged)
    coarse = np.stack([np.bincount(merged, vertices[:, k]) / number for k in range(3)], axis=-1)
    corners = merged[faces]
    flat = (
        (corners[:, 0] == corners[:, 1])
        | (corners[:, 1] == corners[:, 2])
        | (corners[:, 0] == corners[:, 2])
    )
    corners = corners[~flat]
    _, first = np.unique(np.sort(corners, axis=1), axis=0, return_index=True)
    return _fill_box(coarse), corners[np.sort(first)].astype(np.int32)


def _fill_box(vertices: F32 | F64) -> F32:
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    filled: F32 = ((2.0 * vertices - low - high) / (high - low)).astype(np.float32)
    return filled
