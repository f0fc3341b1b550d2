"""Which rocks a camera sees: those of the world, boulder fields, and pebbles below its sizes."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np

from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.types import F64, Transform
from terrain_seg_ros.worlds.world import Rocks, World
from terrain_training.rendering.cycles.arrays import I64, Bool
from terrain_training.rendering.cycles.ground_mesh import GroundMesh
from terrain_training.rendering.cycles.noise import value_noise
from terrain_training.rendering.cycles.relief import Relief
from terrain_training.rendering.cycles.rock_shapes import PlacedRocks, RockShapes

MIN_DRAWN_PX = 0.7
"""Rocks that look smaller are not drawn."""
LEVEL_PX = (26.0, 9.0, 4.0)
"""A rock that looks at least so wide is drawn in level 0, 1 or 2; else in level 3."""
MAX_PEBBLES = 7000
FILLET_PX = 5.0
AROUND_M = 10.0
"""Rocks within it are drawn even if not in view: they cast shadows."""


@dataclass(frozen=True)
class RockStyle:
    """Hold how rocks lie and look.

    `pebbles_per_m2` is the number of pebbles of at least a centimetre, whose number of at least D
    falls with D to the power -`pebble_power`; `clustering` is 0 for even cover. `fillet` is the
    mean height of soil banked against a rock over the rock's half width, `stands` the share of
    rocks that lie on the ground instead of in it.
    """

    pebbles_per_m2: float
    pebble_power: float
    clustering: float
    fillet: float
    stands: float


def add_boulder_field(
    world: World,
    random: np.random.Generator,
    *,
    x_m: float,
    y_m: float,
    radius_m: float,
    count: int,
) -> World:
    """Return a world with more rocks about a place, within `radius_m` for most."""
    place = radius_m * np.abs(random.normal(0.0, 0.7, count))
    angle = random.uniform(-math.pi, math.pi, count)
    x, y = x_m + place * np.cos(angle), y_m + place * np.sin(angle)
    diameter = np.minimum(0.1 * random.uniform(0.0, 1.0, count) ** (-1.0 / 1.7), 0.25 * radius_m)
    half = world.half_side_m - 2.0
    inside = np.maximum(np.abs(x), np.abs(y)) < half
    x, y, diameter = x[inside], y[inside], diameter[inside]
    share = random.uniform(1.0, 1.5, x.size)
    share = share / (1.0 + share)
    lift = random.uniform(0.0, 0.4, x.size)
    high = np.clip(0.5 + 0.1 * random.standard_normal(x.size), 0.2, 1.0) * diameter / (1.0 + lift)
    more = Rocks(
        x_m=x,
        y_m=y,
        z_m=world.ground_height_m(x, y) + lift * high,
        a_m=share * diameter,
        b_m=(1.0 - share) * diameter,
        c_m=high,
        yaw_rad=random.uniform(-math.pi, math.pi, x.size),
    )
    both = {
        name: np.concatenate([getattr(world.rocks, name), getattr(more, name)])
        for name in vars(more)
    }
    return replace(world, rocks=Rocks(**both))


def visible_rocks(world: World, camera: CameraModel, world_T_camera: Transform) -> tuple[I64, F64]:
    """Return the indices of rocks to draw, and how wide each of all rocks looks, pixels."""
    rocks = world.rocks
    places = np.stack([rocks.x_m, rocks.y_m, rocks.z_m], axis=1)
    offset = places - world_T_camera.translation_m
    seen = offset @ world_T_camera.rotation
    across_px = rocks.diameter_m * camera.fx_px / np.maximum(seen[:, 2], 0.2)
    tangent = 0.5 * np.array([camera.width_px / camera.fx_px, camera.height_px / camera.fy_px])
    reach = 1.2 * tangent * np.maximum(seen[:, 2:], 0.0) + 2.0
    in_view = (seen[:, 2] > 0.2) & (np.abs(seen[:, :2]) < reach).all(axis=1)
    near = np.linalg.norm(offset, axis=1) < AROUND_M
    return np.flatnonzero((in_view | near) & (across_px > MIN_DRAWN_PX)), across_px


def place_world_rocks(
    random: np.random.Generator,
    world: World,
    relief: Relief,
    shapes: RockShapes,
    view: tuple[CameraModel, Transform],
    style: RockStyle,
) -> PlacedRocks:
    """Return the world's rocks as they are drawn; `index` counts the world's rocks.

    Each keeps its outline on the ground and its top, so that truth stays true.
    """
    which, across_px = visible_rocks(world, *view)
    rocks = world.rocks
    x, y, half = rocks.x_m[which], rocks.y_m[which], 0.5 * rocks.diameter_m[which]
    ground = world.ground_height_m(x, y)
    lift = relief.height_m(x, y, 0.3 * half) - ground
    shape = random.integers(len(shapes), size=which.size)
    centre, high = rocks.z_m[which], rocks.c_m[which]
    stands = shapes.stood[shape] | (random.uniform(size=which.size) < style.stands)
    bottom = np.where(stands, ground - 0.15 * high, centre - high)
    return PlacedRocks(
        x_m=x,
        y_m=y,
        bottom_m=bottom + lift,
        top_m=centre + high + lift,
        a_m=rocks.a_m[which],
        b_m=rocks.b_m[which],
        yaw_rad=rocks.yaw_rad[which],
        tone=np.clip(random.normal(1.0, 0.14, which.size), 0.6, 1.5),
        shape=shape,
        level=level_of(across_px[which]),
        index=which.astype(np.int64),
    )


def place_pebbles(
    random: np.random.Generator,
    relief: Relief,
    shapes: RockShapes,
    view: tuple[CameraModel, Transform],
    style: RockStyle,
    *,
    largest_m: float,
    first_index: int,
    seed: int,
) -> PlacedRocks:
    """Return pebbles on the relief, as many as the view of a camera at a pose resolves.

    They are below `largest_m`, at which the world's own rocks begin, count from `first_index`, and
    lie in clusters that `seed` places.
    """
    camera, pose = view
    below = relief.height_m(pose.translation_m[:1], pose.translation_m[1:2], np.ones(1))
    height_m = max(float(pose.translation_m[2] - below[0]), 0.2)
    x, y, diameter = _scatter(random, view, height_m, style, largest_m)
    keep = _in_clusters(random, x, y, style.clustering, seed)
    x, y, diameter = x[keep], y[keep], diameter[keep]
    ground = relief.height_m(x, y, np.full(x.size, 0.02))
    offset = np.stack([x, y, ground], axis=1) - pose.translation_m
    across_px = diameter * camera.fx_px / np.maximum(offset @ pose.rotation[:, 2], 0.2)
    half = 0.5 * diameter
    high = diameter * random.uniform(0.35, 0.9, x.size)
    sunk = random.uniform(0.05, 0.55, x.size)
    long_share = random.uniform(0.0, 0.2, x.size)
    return PlacedRocks(
        x_m=x,
        y_m=y,
        bottom_m=ground - sunk * high,
        top_m=ground + (1.0 - sunk) * high,
        a_m=half * (1.0 + long_share),
        b_m=half * (1.0 - long_share),
        yaw_rad=random.uniform(-math.pi, math.pi, x.size),
        tone=np.clip(random.normal(0.95, 0.25, x.size), 0.4, 1.6),
        shape=random.integers(0, 16, x.size) * (len(shapes) // 16),
        level=level_of(across_px),
        index=first_index + np.arange(x.size, dtype=np.int64),
    )


def _in_clusters(
    random: np.random.Generator, x_m: F64, y_m: F64, clustering: float, seed: int
) -> Bool:
    """Return which of evenly scattered places stay so that the rest lies in clusters."""
    patch = value_noise(x_m / 2.6, y_m / 2.6, seed + 41)
    patch = patch + 0.6 * value_noise(x_m / 0.7, y_m / 0.7, seed + 42)
    stays: Bool = random.uniform(size=x_m.size) < np.exp(clustering * (2.0 * patch - 1.0))
    return stays


def _scatter(
    random: np.random.Generator,
    view: tuple[CameraModel, Transform],
    height_m: float,
    style: RockStyle,
    largest_m: float,
) -> tuple[F64, F64, F64]:
    """Return places and diameters: in each ring the sizes that a pixel there resolves."""
    camera, pose = view
    ahead = pose.rotation[:, 2]
    half = 1.25 * math.atan(0.5 * camera.width_px / camera.fx_px)
    half = min(half / max(1.0 + float(ahead[2]), 0.25), math.pi)
    edges = np.geomspace(0.2, 60.0, 36)
    found = []
    for near, far in itertools.pairwise(edges.tolist()):
        slant = math.hypot(near, height_m)
        least = max(MIN_DRAWN_PX * slant / camera.fx_px, 0.004)
        if least >= largest_m:
            break
        per_m2 = style.pebbles_per_m2 * 0.01**style.pebble_power
        per_m2 *= least**-style.pebble_power - largest_m**-style.pebble_power
        count = random.poisson(min(per_m2 * half * (far**2 - near**2), MAX_PEBBLES / 8))
        angle = math.atan2(ahead[1], ahead[0]) + random.uniform(-half, half, count)
        radius = np.sqrt(random.uniform(near**2, far**2, count))
        share = random.uniform(0.0, 1.0, count)
        low, high = least**-style.pebble_power, largest_m**-style.pebble_power
        size = (high + share * (low - high)) ** (-1.0 / style.pebble_power)
        found.append(np.stack([radius * np.cos(angle), radius * np.sin(angle), size]))
    every = np.concatenate(found, axis=1) if found else np.zeros((3, 0))
    if every.shape[1] > MAX_PEBBLES:
        every = every[:, np.sort(random.permutation(every.shape[1])[:MAX_PEBBLES])]
    x, y = pose.translation_m[:2]
    return every[0] + x, every[1] + y, every[2]


def level_of(across_px: F64) -> I64:
    """Return the level of detail of rocks that look so wide, pixels."""
    level = np.full(across_px.shape, len(LEVEL_PX), np.int64)
    for number, least in reversed(list(enumerate(LEVEL_PX))):
        level[across_px >= least] = number
    return level


def bank_soil(
    random: np.random.Generator, mesh: GroundMesh, rocks: PlacedRocks, across_px: F64, fillet: float
) -> None:
    """Raise the ground of a mesh around rocks that look at least `FILLET_PX` wide, in place."""
    for index in np.flatnonzero(across_px >= FILLET_PX):
        a, b = float(rocks.a_m[index]), float(rocks.b_m[index])
        high_m = fillet * random.uniform(0.0, 2.0) * min(a, b)
        reach = 2.2 * max(a, b)
        rows, cols = mesh.window(float(rocks.x_m[index]), float(rocks.y_m[index]), reach)
        dx, dy = mesh.x_m[rows, cols] - rocks.x_m[index], mesh.y_m[rows, cols] - rocks.y_m[index]
        cos, sin = math.cos(rocks.yaw_rad[index]), math.sin(rocks.yaw_rad[index])
        away = np.hypot((cos * dx + sin * dy) / a, (cos * dy - sin * dx) / b)
        mesh.z_m[rows, cols] += high_m * np.exp(-np.square(np.maximum(away - 0.75, 0.0) / 0.55))
