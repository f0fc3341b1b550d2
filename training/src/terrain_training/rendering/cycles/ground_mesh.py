"""Ground as a mesh: about as fine as the pixels that see it, coarse where nothing looks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.types import F32, F64, Transform
from terrain_training.rendering.cycles.arrays import I32
from terrain_training.rendering.cycles.relief import Relief

STEP_PX = 0.65
"""Distance of neighbouring vertices as the camera sees level ground."""
MARGIN = 1.12
FAR_M = 4000.0
MAX_RATIO = 1.1
"""Between the radii of rings."""
MAX_RINGS = 760
NEAR_SHARE = 0.12
"""Radius of the first ring over the camera's height."""
CANDIDATES, LINES = 1600, 12
"""Radii and azimuths at which the ground is looked at to place the rings."""
BEHIND = 80
"""Sectors beside and behind the view: they only cast shadows."""
MAX_POSTS = 560
"""Vertices along a side of a lander's grid."""
TAIL = 22
TAIL_RATIO = 1.25


@dataclass(frozen=True)
class GroundMesh:
    """Hold a sheet of (rows, cols) vertices in the world's frame, metres.

    `quads` (F, 4) are indices of vertices counted row by row. `ring` says that the last column
    joins the first. `spacing_m` (rows, cols) is about the distance across the view of
    neighbouring vertices, `tone` the brightness relative to the soil's mean.
    """

    x_m: F64
    y_m: F64
    z_m: F32
    tone: F32
    spacing_m: F64
    quads: I32
    centre_m: tuple[float, float] | None
    """Of rings; None for a grid with `x_m` the same in each column."""
    first_angle_rad: float = 0.0

    def vertices(self) -> F32:
        """Return (V, 3)."""
        return np.stack([self.x_m, self.y_m, self.z_m], axis=-1).reshape(-1, 3).astype(np.float32)

    def window(self, x_m: float, y_m: float, reach_m: float) -> tuple[slice, slice]:
        """Return rows and columns that hold every fine vertex within a reach of a place."""
        if self.centre_m is None:
            cols = np.searchsorted(self.x_m[0], (x_m - reach_m, x_m + reach_m))
            rows = np.searchsorted(self.y_m[:, 0], (y_m - reach_m, y_m + reach_m))
            return slice(*rows), slice(*cols)
        dx, dy = x_m - self.centre_m[0], y_m - self.centre_m[1]
        radius = math.hypot(dx, dy)
        radii = np.hypot(self.x_m[:, 0] - self.centre_m[0], self.y_m[:, 0] - self.centre_m[1])
        rows = np.searchsorted(radii, (radius - reach_m, radius + reach_m))
        half = math.pi if radius <= reach_m else math.asin(reach_m / radius)
        angle = (math.atan2(dy, dx) - self.first_angle_rad + 0.3) % (2.0 * math.pi) - 0.3
        angles = np.arctan2(self.y_m[-1] - self.centre_m[1], self.x_m[-1] - self.centre_m[0])
        angles = (angles - self.first_angle_rad + 1e-9) % (2.0 * math.pi)
        cols = np.searchsorted(angles, (angle - half, angle + half))
        return slice(*rows), slice(*cols)


def ground_mesh(relief: Relief, camera: CameraModel, world_T_camera: Transform) -> GroundMesh:
    """Return the ground as a camera sees it.

    A camera that looks down gets a grid of its footprint, any other one rings around the place
    below it, evenly spaced in depression, in fine sectors where it looks.
    """
    rays = _border_rays(camera) @ world_T_camera.rotation.T
    x, y, z = (float(value) for value in world_T_camera.translation_m)
    here = np.array([x]), np.array([y])
    height_m = max(z - float(relief.height_m(*here, np.array([1.0]))[0]), 0.05)
    steepest = float((-rays[:, 2]).max())
    lowest = float((-rays[:, 2]).min())
    if lowest > 0.35 and steepest > 0.9:
        return _grid(relief, camera, rays, (x, y), height_m)
    return _rings(relief, camera, rays, (x, y), z)


def _border_rays(camera: CameraModel) -> F64:
    """Return unit rays (N, 3) in the camera's frame around the picture with a margin."""
    line = np.linspace(-MARGIN, MARGIN, 33)
    one = np.ones_like(line) * MARGIN
    u = np.concatenate([line, line, one, -one, [0.0]]) * 0.5 * camera.width_px / camera.fx_px
    v = np.concatenate([one, -one, line, line, [0.0]]) * 0.5 * camera.height_px / camera.fy_px
    rays = np.stack([u, v, np.ones_like(u)], axis=-1)
    unit: F64 = rays / np.linalg.norm(rays, axis=1, keepdims=True)
    return unit


def _rings(
    relief: Relief, camera: CameraModel, rays: F64, here: tuple[float, float], eye_z_m: float
) -> GroundMesh:
    pixel_rad = STEP_PX / camera.fx_px
    centre = math.atan2(float(rays[-1, 1]), float(rays[-1, 0]))
    below = rays[rays[:, 2] < 0.3]
    turn = np.arctan2(below[:, 1], below[:, 0]) - centre
    turn = np.abs((turn + math.pi) % (2.0 * math.pi) - math.pi)
    half = min(float(turn.max()), 0.8 * math.pi)
    steepest = min(float(np.arcsin(np.clip(-rays[:, 2], -1.0, 1.0)).max()), math.radians(86.0))
    fine = int(np.clip(2.0 * half / pixel_rad, 64, 900))
    inside = np.linspace(-half, half, fine)
    outside = np.linspace(half, 2.0 * math.pi - half, BEHIND)[1:-1]
    angle = centre + np.concatenate([inside, outside])
    shallowest = float(np.arcsin(np.clip(-rays[:, 2], -1.0, 1.0)).min())
    eye_m = np.array([*here, eye_z_m])
    seen = shallowest, steepest
    radius = _ring_radii(relief, eye_m, inside + centre, seen, STEP_PX / camera.fy_px)
    r, a = np.meshgrid(radius, angle, indexing="ij")
    x, y = here[0] + r * np.cos(a), here[1] + r * np.sin(a)
    slant = np.hypot(r, eye_z_m - relief.height_m(x[:1, :1], y[:1, :1], r[:1, :1] + 1.0)[0, 0])
    spacing = np.maximum(r * 2.0 * half / fine, slant * pixel_rad)
    spacing[:, fine:] = np.maximum(spacing[:, fine:], r[:, fine:] * float(outside[1] - outside[0]))
    z, tone = relief.surface(x, y, spacing)
    z[0] = z[0].mean()
    x[0], y[0] = here
    quads = _quads(*x.shape, ring=True)
    return GroundMesh(x, y, z, tone, spacing, quads, here, first_angle_rad=centre - half)


def _ring_radii(
    relief: Relief, eye_m: F64, angle_rad: F64, seen_rad: tuple[float, float], step_rad: float
) -> F64:
    """Return the radii of the rings, about a step of depression apart where they are seen.

    Args:
        relief: the ground.
        eye_m: (3,) the camera.
        angle_rad: azimuths of the view; the ground is followed along some of them.
        seen_rad: depression of the top and of the bottom of the view.
        step_rad: wanted between rings.
    """
    low_m = NEAR_SHARE * (eye_m[2] - relief.height_m(eye_m[:1], eye_m[1:2], np.ones(1))[0])
    radius = np.geomspace(max(low_m, 0.02), FAR_M, CANDIDATES)
    r, a = np.meshgrid(radius, angle_rad[:: max(len(angle_rad) // LINES, 1)], indexing="ij")
    x, y = eye_m[0] + r * np.cos(a), eye_m[1] + r * np.sin(a)
    depression = np.arctan2(eye_m[2] - relief.height_m(x, y, 0.05 * r + 0.1), r)
    middle = 0.5 * (depression[1:] + depression[:-1])
    seen = (middle > seen_rad[0] - 0.01) & (middle < seen_rad[1] + 0.03)
    moved = np.where(seen, np.abs(np.diff(depression, axis=0)), 0.0).max(axis=1) / step_rad
    moved = np.maximum(moved, np.diff(np.log(radius)) / math.log(MAX_RATIO))
    total = np.concatenate([[0.0], np.cumsum(moved)])
    count = min(math.ceil(total[-1]), MAX_RINGS)
    rings = np.interp(np.linspace(0.0, total[-1], count), total, radius)
    return np.concatenate([[0.0], rings])


def _grid(
    relief: Relief, camera: CameraModel, rays: F64, here: tuple[float, float], height_m: float
) -> GroundMesh:
    reach = rays[:, :2] / -rays[:, 2:] * height_m
    low, high = reach.min(axis=0), reach.max(axis=0)
    step = max(STEP_PX * height_m / camera.fx_px, float((high - low).max()) / MAX_POSTS)
    tail = step * TAIL_RATIO ** np.arange(1, TAIL)
    sides = []
    for axis in range(2):
        middle = np.arange(low[axis], high[axis], step)
        sides.append(
            here[axis]
            + np.concatenate(
                [middle[0] - np.cumsum(tail)[::-1], middle, middle[-1] + np.cumsum(tail)]
            )
        )
    x, y = np.meshgrid(*sides)
    gaps = [np.gradient(side) for side in sides]
    spacing = np.maximum(*np.meshgrid(*gaps))
    z, tone = relief.surface(x, y, spacing)
    return GroundMesh(x, y, z, tone, spacing, _quads(*x.shape, ring=False), None)


def _quads(rows: int, cols: int, *, ring: bool) -> I32:
    row = np.arange(rows - 1, dtype=np.int32)[:, np.newaxis] * cols
    col = np.arange(cols if ring else cols - 1, dtype=np.int32)[np.newaxis]
    after = (col + 1) % cols
    corners = [row + col, row + cols + col, row + cols + after, row + after]
    if not ring:
        corners = corners[::-1]
    return np.stack(np.broadcast_arrays(*corners), axis=-1).reshape(-1, 4).astype(np.int32)
