"""From a world's seed to the files of one picture; runs in Blender's Python only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from terrain_seg_ros.core.types import F32, U8
from terrain_seg_ros.worlds.world import World
from terrain_training.rendering.cycles.arrays import Bool
from terrain_training.rendering.cycles.content import build_content, relief_of
from terrain_training.rendering.cycles.facts import (
    GROUND,
    NO_CLASS,
    ROCK,
    Facts,
    facts_of_passes,
    facts_to_bytes,
    points_world,
    slopes_deg,
)
from terrain_training.rendering.cycles.label_files import (
    label_picture,
    view_to_json,
    write_image,
    write_picture,
)
from terrain_training.rendering.cycles.mars_scene import horizon_light
from terrain_training.rendering.cycles.mars_views import MarsLook
from terrain_training.rendering.cycles.martian import MarsRelief
from terrain_training.rendering.cycles.request import stem_of
from terrain_training.rendering.cycles.rock_shapes import RockShapes
from terrain_training.rendering.cycles.scene import render_passes
from terrain_training.rendering.cycles.score_scene import picture_stem, scene_view, scene_world
from terrain_training.rendering.cycles.sensor import expose
from terrain_training.rendering.cycles.views import View, choose_view, choose_world

SLOPE_BASELINE_M = 2.0
SHADOW_SIGMA_PX = 1.3


class Studio:
    """Take pictures of worlds and write their files, one after the other."""

    def __init__(self, job: Mapping[str, Any], scratch: Path) -> None:
        """Take the job of `write_cycles` and a folder for Cycles' files."""
        cv2.setNumThreads(1)
        self._job = job
        self.scratch = scratch
        self._shapes = RockShapes()
        self._world: tuple[int, World] | None = None
        self._scene: tuple[str, World] | None = None

    def take(self, seed: int, number: int) -> str:
        """Write one picture of a world and return its stem.

        Raises:
            OSError: a file cannot be written.
        """
        world = self._world_of(seed)
        view = choose_view(world, self._job["task"], seed, number, size_px=self._job["size_px"])
        image, facts = self.render(replace(world, sun=view.sun), view)
        stem = stem_of(self._job["task"], seed, number)
        labels = label_picture(facts, view.camera, self._job["rule"])
        facts_data, view_data = facts_to_bytes(facts), view_to_json(view, world)
        write_picture(Path(self._job["out"]), stem, image, facts_data, view_data, labels)
        return stem

    def score(self, scene: Mapping[str, Any], number: int) -> str:
        """Write one image of a score's world and return its stem.

        Raises:
            OSError: the file cannot be written.
        """
        if self._scene is None or self._scene[0] != scene["name"]:
            self._scene = str(scene["name"]), scene_world(scene)
        world = self._scene[1]
        image, _ = self.render(world, scene_view(scene, world, number), noise=number)
        stem = picture_stem(scene["name"], number)
        write_image(Path(self._job["out"]), stem, image)
        return stem

    def render(self, world: World, view: View, *, noise: int = 0) -> tuple[U8, Facts]:
        """Return the picture (H, W, 3), RGB, of a view and what its pixels show.

        `noise` tells apart the noise of several pictures of one seed.
        """
        content = build_content(world, view, self._shapes)
        passes = render_passes(content, view, self.scratch, samples=self._job["samples"])
        facts = facts_of_passes(
            passes.label,
            passes.depth_m,
            passes.direct,
            rock_diameter_m=content.rock_diameter_m,
            rock_index=content.rock_index,
        )
        slope = slopes_deg(
            facts, world, view.camera, view.world_T_camera, baseline_m=SLOPE_BASELINE_M
        )
        facts = replace(facts, slope_deg=slope)
        light = passes.light
        if view.mars is not None:
            facts = replace(facts, ground=_ground_classes(facts, world, view))
            light = _hazy(light, facts, view, view.mars)
        else:
            for surface in (GROUND, ROCK):
                light = _calm_shadows(light, facts.shadow & (facts.surface == surface))
        lit = (~facts.shadow & ~np.isnan(facts.depth_m)).astype(np.float32)
        return expose(light, lit, view.sensor, seed=view.seed + noise), facts

    def _world_of(self, seed: int) -> World:
        if self._world is None or self._world[0] != seed:
            self._world = seed, choose_world(seed, self._job["task"])
        return self._world[1]


def _ground_classes(facts: Facts, world: World, view: View) -> U8:
    """Return the class of Mars's ground (H, W) at or under what pixels show."""
    points = points_world(facts, view.camera, view.world_T_camera)
    there = (facts.surface == GROUND) | (facts.surface == ROCK)
    classes: U8 = np.full(facts.surface.shape, NO_CLASS, np.uint8)
    relief = relief_of(world, view)
    if isinstance(relief, MarsRelief):
        classes[there] = relief.ground_class(points[there][:, 0], points[there][:, 1])
    return classes


def _hazy(light: F32, facts: Facts, view: View, mars: MarsLook) -> F32:
    """Return light with haze: all that is far takes the colour of the horizon."""
    clear = np.exp(-np.nan_to_num(facts.depth_m, nan=0.0) / mars.haze_m)[..., np.newaxis]
    horizon = np.array(horizon_light(view.look, mars, view.sun.direction()), np.float32)
    hazy: F32 = (light * clear + horizon * (1.0 - clear)).astype(np.float32)
    return hazy


def _calm_shadows(light: F32, shadow: Bool) -> F32:
    """Return light that is smooth in a shadow: few samples of reflected light make it grainy."""
    weight = shadow.astype(np.float32)
    total = cv2.GaussianBlur(light * weight[..., np.newaxis], (0, 0), SHADOW_SIGMA_PX)
    share = cv2.GaussianBlur(weight, (0, 0), SHADOW_SIGMA_PX)
    calm: F32 = light.copy()
    np.copyto(calm, total / np.maximum(share, 1e-6)[..., np.newaxis], where=shadow[..., np.newaxis])
    return calm
