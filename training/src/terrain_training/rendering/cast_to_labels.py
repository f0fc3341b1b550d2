"""From what each pixel truly sees to what a network is asked to say."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.worlds.cast_rays import RayCast
from terrain_seg_ros.worlds.world import World

NEARLY = 0.85
"""Rocks of at least this share of the least size are neither asked for nor forbidden."""


@dataclass(frozen=True)
class RockRule:
    """Which rocks are labelled: of at least `min_rock_m` diameter and `min_across_px`."""

    min_rock_m: float
    min_across_px: float


def cast_to_labels(world: World, cast: RayCast, camera: CameraModel, rule: RockRule) -> U8:
    """Return the labels (H, W): classes of `WORLD_TAXONOMY`, 255 where nothing is asked.

    Rocks smaller than the rule's size are the ground that they lie on: they are no hazard. Where
    a picture cannot tell, 255 stands: on rocks that are large enough but look smaller than
    `min_across_px`, and on those a little below the least size, since one camera alone sees no
    sizes.

    Args:
        world: that the rays were cast in.
        cast: what each pixel sees.
        camera: of the picture.
        rule: which rocks count.
    """
    rocks = world.rocks
    centres = np.stack([rocks.x_m, rocks.y_m, rocks.z_m], axis=1)
    ahead = (centres - cast.world_T_camera.translation_m) @ cast.world_T_camera.rotation[:, 2]
    focal_px = math.sqrt(camera.fx_px * camera.fy_px)
    across_px = rocks.diameter_m * focal_px / np.maximum(ahead, 1e-3)
    small = rocks.diameter_m < NEARLY * rule.min_rock_m
    unsure = ~small & ((rocks.diameter_m < rule.min_rock_m) | (across_px < rule.min_across_px))
    labels: U8 = cast.mask.copy()
    labels[np.append(unsure, False)[cast.rock]] = IGNORE
    ground = np.append(small, False)[cast.rock]
    points = cast.points_world()[ground]
    labels[ground] = world.class_at(points[:, 0], points[:, 1])
    return labels
