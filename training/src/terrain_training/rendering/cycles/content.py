"""What stands in front of a camera, as meshes: everything but the renderer itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from terrain_seg_ros.core.types import F32, F64
from terrain_seg_ros.worlds.world import World
from terrain_training.rendering.cycles.draws import random_of
from terrain_training.rendering.cycles.ground_mesh import GroundMesh, ground_mesh
from terrain_training.rendering.cycles.martian import MarsRelief
from terrain_training.rendering.cycles.relief import Relief
from terrain_training.rendering.cycles.rock_cover import (
    bank_soil,
    place_pebbles,
    place_world_rocks,
)
from terrain_training.rendering.cycles.rock_shapes import RockMesh, RockShapes
from terrain_training.rendering.cycles.vehicle_parts import Part, own_body, vehicle_parts
from terrain_training.rendering.cycles.views import View

BODY_SHARE = 0.5
"""Of a rover's pictures, those into which the rover's own shadow may fall."""
FIRST_PEBBLE = 1_000_000
"""Indices of rocks from here on are pebbles that the world does not list."""


@dataclass(frozen=True)
class Content:
    """Hold the meshes of one picture, and the size of each rock and pebble in them.

    `kinds` are shares (V,) of bedrock and sand at the ground's vertices, empty on the Moon.

    `rock_index` (N,) and `rock_diameter_m` (N,) list what the meshes' `index` + 1 counts from 1.
    """

    ground: GroundMesh
    kinds: dict[str, F32]
    rocks: RockMesh
    pebbles: RockMesh
    parts: list[Part]
    rock_index: np.ndarray[tuple[int], np.dtype[np.int64]]
    rock_diameter_m: F64


def relief_of(world: World, view: View) -> Relief:
    """Return the ground that a view sees."""
    seed = view.seed % 1_000_003
    if view.mars is None:
        return Relief(world, seed, view.ground)
    return MarsRelief(world, seed, view.ground, view.mars.ground)


def build_content(world: World, view: View, shapes: RockShapes) -> Content:
    """Return all meshes of a picture; the same arguments give the same ones."""
    relief = relief_of(world, view)
    ground = ground_mesh(relief, view.camera, view.world_T_camera)
    where = view.camera, view.world_T_camera
    random = random_of(view.seed, 3)
    rocks = place_world_rocks(random, world, relief, shapes, where, view.rocks)
    pebbles = place_pebbles(
        random,
        relief,
        shapes,
        where,
        view.rocks,
        largest_m=float(world.rocks.diameter_m.min(initial=0.1)),
        first_index=FIRST_PEBBLE,
        seed=view.seed % 1_000_003,
    )
    offset = (
        np.stack([rocks.x_m, rocks.y_m, rocks.top_m], axis=1) - view.world_T_camera.translation_m
    )
    ahead = np.maximum(offset @ view.world_T_camera.rotation[:, 2], 0.2)
    across_px = (rocks.a_m + rocks.b_m) * view.camera.fx_px / ahead
    bank_soil(random, ground, rocks, across_px, view.rocks.fillet)
    parts = _vehicle(random, view, relief)
    index = np.concatenate([rocks.index, pebbles.index])
    diameter = np.concatenate([rocks.a_m + rocks.b_m, pebbles.a_m + pebbles.b_m])
    number = np.arange(index.size, dtype=np.int64)
    return Content(
        ground=ground,
        kinds=_kinds(relief, ground),
        rocks=shapes.mesh_of(replace(rocks, index=number[: len(rocks)])),
        pebbles=shapes.mesh_of(replace(pebbles, index=number[len(rocks) :])),
        parts=parts,
        rock_index=index,
        rock_diameter_m=diameter,
    )


def _kinds(relief: Relief, ground: GroundMesh) -> dict[str, F32]:
    """Return the shares (V,) of bedrock and sand at the ground's vertices; empty on the Moon."""
    if not isinstance(relief, MarsRelief):
        return {}
    bedrock, sand = relief.kinds(ground.x_m, ground.y_m, ground.spacing_m)
    return {"bedrock": bedrock.ravel(), "sand": sand.ravel()}


def _vehicle(random: np.random.Generator, view: View, relief: Relief) -> list[Part]:
    """Return what the camera may see of vehicles, and a body that casts a shadow."""
    if view.kind == "lander":
        return []
    parts: list[Part] = []
    if view.vehicle:
        parts += vehicle_parts(random, view.camera, view.world_T_camera, relief)
    if random.random() < BODY_SHARE:
        place = view.world_T_camera.translation_m
        ground_m = relief.height_m(place[:1], place[1:2], np.ones(1))
        parts += own_body(random, view.world_T_camera, float(place[2] - ground_m[0]))
    return parts
