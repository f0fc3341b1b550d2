"""A world of a score's plan as the path tracer sees it; runs in Blender's Python too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.types import Transform
from terrain_seg_ros.worlds.generate import generate_world
from terrain_seg_ros.worlds.settings import WorldSettings
from terrain_seg_ros.worlds.world import Body, World
from terrain_training.rendering.cycles.draws import random_of
from terrain_training.rendering.cycles.sensor import choose_sensor
from terrain_training.rendering.cycles.views import View, choose_style

SCORE_PATH = 9
"""Sets the random numbers of scores apart from those of training sets."""


def picture_stem(name: str, number: int) -> str:
    """Return the file name of a view without its ending, as the score expects it."""
    return f"{name}_{number:03d}"


def scene_world(scene: Mapping[str, Any]) -> World:
    """Return the world of a scene, the same that the score compares with."""
    return generate_world(
        Body.MOON,
        int(scene["seed"]),
        side_m=float(scene["side_m"]),
        spacing_m=float(scene["spacing_m"]),
        settings=WorldSettings(**scene["settings"]),
    )


def scene_view(scene: Mapping[str, Any], world: World, number: int) -> View:
    """Return the `number`-th view of a scene; ground, rocks and camera look alike in all of them.

    Nothing of a vehicle is in view, and there are no tracks, since the score's truth has none.
    """
    random = random_of(int(scene["seed"]), SCORE_PATH)
    kind, told = scene["kind"], scene["world_T_camera"][number]
    pose = Transform(np.array(told["rotation"]), np.array(told["translation_m"]))
    camera = dict(scene["camera"])
    camera["coefficients"] = tuple(camera["coefficients"])
    ground, rocks, look = choose_style(random, kind, pose, tracks=False)
    return View(
        seed=int(random.integers(2**31)),
        kind=kind,
        camera=CameraModel(**camera),
        world_T_camera=pose,
        sun=world.sun,
        earthshine=0.0,
        ground=replace(ground, crater_share=0.0),
        rocks=rocks,
        look=look,
        vehicle=False,
        sensor=choose_sensor(random, grey=kind == "lander"),
    )
