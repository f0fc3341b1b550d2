"""Parts of a rover or a lander that a camera sees, built of boxes, tubes and wheels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.geometry.frames import rotation_from_rpy
from terrain_seg_ros.core.types import F32, F64, Transform
from terrain_training.rendering.cycles.arrays import I32
from terrain_training.rendering.cycles.relief import Relief

MATERIALS = ("gold", "grey", "dark", "panel", "white")
SIDES = 20
OWN_PARTS = {"panel": 0.35, "deck": 0.2, "mast": 0.08, "wheel": 0.17, "foil": 0.2}
"""Kinds of parts of the camera's own vehicle, and how often each is drawn."""


@dataclass(frozen=True)
class Part:
    """Hold triangles of one material: vertices (V, 3) in the world's frame, faces (F, 3)."""

    material: str
    vertices: F32
    faces: I32


def vehicle_parts(
    random: np.random.Generator,
    camera: CameraModel,
    world_T_camera: Transform,
    relief: Relief,
) -> list[Part]:
    """Return parts at the picture's border, or another vehicle that stands some metres away."""
    if random.random() < 0.3 and world_T_camera.rotation[2, 2] > -0.75:
        return _standing_vehicle(random, world_T_camera, relief)
    parts: list[Part] = []
    for _ in range(int(random.integers(1, 4))):
        kind = random.choice(list(OWN_PARTS), p=list(OWN_PARTS.values()))
        parts += _own_part(random, str(kind), camera, world_T_camera)
    return parts


def own_body(random: np.random.Generator, world_T_camera: Transform, height_m: float) -> list[Part]:
    """Return a body behind the camera and the mast below it: out of view, but not their shadow.

    Args:
        random: numbers.
        world_T_camera: where the camera is.
        height_m: of the camera above the ground.
    """
    ahead = world_T_camera.rotation[:, 2]
    yaw_rad = math.atan2(ahead[1], ahead[0])
    half = random.uniform(0.35, 0.8), random.uniform(0.35, 0.8), random.uniform(0.1, 0.3)
    top_m = min(0.65 * height_m, 1.1) if height_m > 1.0 else height_m + 0.3
    behind_m = half[0] + (0.05 if height_m > 1.0 else 0.35)
    shapes = [_box("gold", half).moved(-behind_m, 0.0, top_m - half[2])]
    if height_m > 1.0:
        long = 0.5 * (height_m - top_m)
        shapes.append(_tube("grey", 0.04, long).moved(-0.2, 0.0, top_m + long))
        shapes.append(_box("white", (0.06, 0.2, 0.06)).moved(-0.15, 0.0, height_m))
    x, y, z = world_T_camera.translation_m
    ground = Transform(rotation_from_rpy(0.0, 0.0, yaw_rad), np.array([x, y, z - height_m]))
    return [shape.placed(ground, Transform(np.eye(3), np.zeros(3))) for shape in shapes]


def _own_part(
    random: np.random.Generator, kind: str, camera: CameraModel, pose: Transform
) -> list[Part]:
    """Return a part of the vehicle that carries the camera, reaching into the picture."""
    away_m = random.uniform(0.5, 1.6)
    tangent = 0.5 * np.array([camera.width_px / camera.fx_px, camera.height_px / camera.fy_px])
    side = random.uniform(-1.1, 1.1)
    down = random.uniform(0.75, 1.15)
    if kind in ("wheel", "panel") and random.random() < 0.5:
        side, down = math.copysign(random.uniform(0.85, 1.15), side), random.uniform(-0.1, 1.0)
    centre = away_m * np.array([side * tangent[0], down * tangent[1], 1.0])
    turn = rotation_from_rpy(*random.uniform(-0.5, 0.5, 3))
    size = away_m * float(tangent[0])
    tilt = _tilted_up(pose)
    local = Transform(turn @ tilt, centre)
    made = {
        "panel": lambda: [
            _box("panel", (0.9 * size, 0.6 * size, 0.01)),
            _box("gold", (0.93 * size, 0.02 * size, 0.02)).moved(0.0, 0.6 * size, 0.0),
        ],
        "deck": lambda: [
            _box(
                str(random.choice(["gold", "white", "dark"])), (0.7 * size, 0.3 * size, 0.15 * size)
            ),
            _tube("grey", 0.03 * size, 0.5 * size).moved(0.2 * size, 0.0, 0.3 * size),
        ],
        "mast": lambda: [
            _tube(str(random.choice(["grey", "dark", "white"])), 0.035 * size, 0.9 * size),
            _box("gold", (0.1 * size, 0.1 * size, 0.08 * size)).moved(0.0, 0.0, 0.9 * size),
        ],
        "wheel": lambda: _wheel(0.35 * size),
        "foil": lambda: [_crumpled(random, "gold", 0.45 * size)],
    }[kind]()
    return [part.placed(pose, local) for part in made]


def _standing_vehicle(random: np.random.Generator, pose: Transform, relief: Relief) -> list[Part]:
    """Return a rover or a lander on the ground in front of the camera."""
    heading = math.atan2(pose.rotation[1, 2], pose.rotation[0, 2]) + random.uniform(-0.35, 0.35)
    away_m = random.uniform(5.0, 18.0)
    x = float(pose.translation_m[0]) + away_m * math.cos(heading)
    y = float(pose.translation_m[1]) + away_m * math.sin(heading)
    z = float(relief.height_m(np.array([x]), np.array([y]), np.array([0.1]))[0])
    place = Transform(
        rotation_from_rpy(0.0, 0.0, random.uniform(-math.pi, math.pi)), np.array([x, y, z])
    )
    shapes = _lander(random) if random.random() < 0.5 else _rover(random)
    return [part.placed(place, Transform(np.eye(3), np.zeros(3))) for part in shapes]


@dataclass(frozen=True)
class _Shape:
    material: str
    vertices: F64
    faces: I32

    def moved(self, x_m: float, y_m: float, z_m: float) -> _Shape:
        """Return the shape shifted."""
        return _Shape(self.material, self.vertices + np.array([x_m, y_m, z_m]), self.faces)

    def turned(self, rotation: F64) -> _Shape:
        """Return the shape rotated about the origin."""
        return _Shape(self.material, self.vertices @ rotation.T, self.faces)

    def placed(self, outer: Transform, inner: Transform) -> Part:
        """Return the shape in the world's frame."""
        there = self.vertices @ inner.rotation.T + inner.translation_m
        there = there @ outer.rotation.T + outer.translation_m
        return Part(self.material, there.astype(np.float32), self.faces)


def _rover(random: np.random.Generator) -> list[_Shape]:
    body = [
        _box("gold", (0.55, 0.4, 0.25)).moved(0.0, 0.0, 0.65),
        _box("panel", (0.5, 0.75, 0.015))
        .turned(rotation_from_rpy(random.uniform(0.0, 0.6), 0.0, 0.0))
        .moved(0.0, 0.95, 1.05),
        _box("panel", (0.5, 0.75, 0.015)).moved(0.0, -1.15, 0.95),
        _tube("white", 0.04, 0.45).moved(0.35, 0.0, 1.3),
        _box("white", (0.08, 0.2, 0.07)).moved(0.35, 0.0, 1.8),
    ]
    for x in (-0.55, 0.0, 0.55):
        for y in (-0.55, 0.55):
            body += [part.moved(x, y, 0.15) for part in _wheel(0.15)]
    return body


def _lander(random: np.random.Generator) -> list[_Shape]:
    size = random.uniform(0.8, 1.4)
    parts = [
        _box("gold", (1.0 * size, 1.0 * size, 0.55 * size)).moved(0.0, 0.0, 1.5 * size),
        _tube("grey", 0.35 * size, 0.2 * size).moved(0.0, 0.0, 0.8 * size),
        _box("panel", (0.9 * size, 0.9 * size, 0.02)).moved(0.0, 1.9 * size, 2.0 * size),
        _tube("white", 0.03, 0.5 * size).moved(0.5 * size, 0.0, 2.5 * size),
    ]
    for corner in range(4):
        turn = rotation_from_rpy(0.0, 0.0, 0.25 * math.pi + 0.5 * math.pi * corner)
        lean = rotation_from_rpy(0.0, -0.55, 0.0)
        parts += [
            _tube("gold", 0.06 * size, 0.9 * size)
            .turned(lean)
            .moved(1.5 * size, 0.0, 0.8 * size)
            .turned(turn),
            _tube("grey", 0.25 * size, 0.05 * size)
            .moved(1.95 * size, 0.0, 0.06 * size)
            .turned(turn),
        ]
    return parts


def _wheel(radius_m: float) -> list[_Shape]:
    """Return a wheel whose axis is y."""
    across = rotation_from_rpy(0.5 * math.pi, 0.0, 0.0)
    tyre = _tube("grey", radius_m, 0.45 * radius_m).turned(across)
    hub = _tube("dark", 0.35 * radius_m, 0.5 * radius_m).turned(across)
    parts = [tyre, hub]
    for number in range(SIDES):
        turn = rotation_from_rpy(0.0, 2.0 * math.pi * number / SIDES, 0.0)
        grouser = _box("grey", (0.05 * radius_m, 0.45 * radius_m, 0.05 * radius_m))
        parts.append(grouser.moved(0.0, 0.0, 1.03 * radius_m).turned(turn))
    return parts


def _box(material: str, half_m: tuple[float, float, float]) -> _Shape:
    corners = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float)
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    faces = [(q[0], q[k], q[k + 1]) for q in quads for k in (1, 2)]
    return _Shape(material, corners * np.array(half_m), np.array(faces, np.int32))


def _tube(material: str, radius_m: float, half_m: float) -> _Shape:
    """Return a closed cylinder along z."""
    angle = 2.0 * math.pi * np.arange(SIDES) / SIDES
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius_m
    low = np.column_stack([ring, np.full(SIDES, -half_m)])
    high = np.column_stack([ring, np.full(SIDES, half_m)])
    ends = np.array([(0.0, 0.0, -half_m), (0.0, 0.0, half_m)])
    faces = []
    for a in range(SIDES):
        b = (a + 1) % SIDES
        faces += [(a, b, SIDES + b), (a, SIDES + b, SIDES + a)]
        faces += [(2 * SIDES, b, a), (2 * SIDES + 1, SIDES + a, SIDES + b)]
    return _Shape(material, np.vstack([low, high, ends]), np.array(faces, np.int32))


def _crumpled(random: np.random.Generator, material: str, half_m: float) -> _Shape:
    """Return a bulging sheet of foil with creases, seen from above."""
    count = 14
    u, v = np.meshgrid(np.linspace(-1, 1, count), np.linspace(-1, 1, count))
    crease = random.normal(0.0, 0.07, u.shape)
    bulge = 0.5 * (1.0 - 0.5 * (u * u + v * v)) + crease
    vertices = half_m * np.stack([u, v, bulge], axis=-1).reshape(-1, 3)
    a = (np.arange(count - 1)[:, None] * count + np.arange(count - 1)[None]).ravel()
    faces = np.concatenate(
        [
            np.stack([a, a + 1, a + count + 1], axis=1),
            np.stack([a, a + count + 1, a + count], axis=1),
        ]
    )
    return _Shape(material, vertices, faces.astype(np.int32))


def _tilted_up(pose: Transform) -> F64:
    """Return the rotation, in the camera's frame, whose z is the world's up."""
    up = pose.rotation.T @ np.array([0.0, 0.0, 1.0])
    side = np.cross(up, [0.0, 0.0, 1.0])
    norm = float(np.linalg.norm(side))
    side = np.array([1.0, 0.0, 0.0]) if norm < 1e-6 else side / norm
    rotation: F64 = np.column_stack([side, np.cross(up, side), up])
    return rotation
