"""Rules from what a pixel shows to the class that a network is asked for."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import cv2
import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_seg_ros.core.types import F64, U8
from terrain_training.rendering.cycles.arrays import Bool
from terrain_training.rendering.cycles.facts import (
    GROUND,
    NO_CLASS,
    NO_SLOPE,
    ROCK,
    SKY,
    VEHICLE,
    Facts,
)

ROVER_TAXONOMY = Taxonomy(
    (
        TerrainClass(0, "ground", (150, 144, 132), 0.02),
        TerrainClass(1, "small_rock", (238, 170, 60), 1.0),
        TerrainClass(2, "large_rock", (204, 52, 44), 1.0),
        TerrainClass(3, "sky", (20, 24, 40), 0.0),
        TerrainClass(4, "vehicle", (70, 130, 200), 0.0),
    )
)
"""Ids 0 to 3 are those of the masks of the Artificial Lunar Landscape set."""
LANDER_TAXONOMY = Taxonomy(
    (
        TerrainClass(0, "safe_ground", (150, 144, 132), 0.02),
        TerrainClass(1, "rock", (204, 52, 44), 1.0),
        TerrainClass(2, "steep", (238, 170, 60), 1.0),
        TerrainClass(3, "shadow", (64, 56, 84), 0.7),
        TerrainClass(4, "sky", (20, 24, 40), 0.0),
    )
)


MARS_TAXONOMY = Taxonomy(
    (
        TerrainClass(0, "soil", (176, 132, 92), 0.02),
        TerrainClass(1, "bedrock", (110, 142, 168), 0.1),
        TerrainClass(2, "sand", (232, 200, 108), 0.4),
        TerrainClass(3, "big_rock", (204, 52, 44), 1.0),
        TerrainClass(4, "rock", (238, 130, 60), 1.0),
        TerrainClass(5, "sky", (20, 24, 40), 0.0),
        TerrainClass(6, "vehicle", (70, 130, 200), 0.0),
    )
)
"""Ids 0 to 3 are those of AI4Mars; 0 to 2 are also those of the worlds' ground."""


@dataclass(frozen=True)
class RoverRule:
    """Hold at which apparent size a stone is a rock, and a large one.

    The apparent size is the square root of a rock's visible area over the picture's width. Below
    `ground_below` a stone is ground, from `small_from` on a small rock, from `large_from` on a
    large one; what is between the first two is not asked for, nor are rocks lost in shadow.
    """

    ground_below: float = 0.012
    small_from: float = 0.016
    large_from: float = 0.045

    def __post_init__(self) -> None:
        """Check the order."""
        if not 0.0 < self.ground_below <= self.small_from < self.large_from < 1.0:
            raise ConfigError(
                f"apparent sizes are {self.ground_below}, {self.small_from} and "
                f"{self.large_from}, expected them to rise between 0 and 1"
            )


@dataclass(frozen=True)
class LanderRule:
    """Hold what a lander must not touch: rocks from `min_rock_m`, slopes above `max_slope_deg`.

    Rocks that look narrower than `min_across_px` are not asked for, nor are those a little below
    the least size. A slope counts as the mean of its surroundings over `slope_across_px`, and is
    not asked for within `unsure_slope_deg` of the limit, or where the ground is steep and its
    surroundings are not.
    """

    min_rock_m: float = 0.3
    min_across_px: float = 2.5
    max_slope_deg: float = 10.0
    unsure_slope_deg: float = 1.5
    slope_across_px: float = 7.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        if min(asdict(self).values()) <= 0.0:
            raise ConfigError(f"{self} has a value of 0 or less")


@dataclass(frozen=True)
class MarsRule:
    """Hold which stones of Mars are rocks: of `min_rock_m`, and big ones from `big_rock_m` on.

    Rocks that show fewer than `min_pixels` are not asked for, nor are those a little below the
    least size.
    """

    min_rock_m: float = 0.2
    big_rock_m: float = 0.3
    min_pixels: int = 12

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not (0.0 < self.min_rock_m < self.big_rock_m and self.min_pixels > 0):
            raise ConfigError(f"{self} does not rise, or has a value of 0 or less")


AS_GROUND = 254
"""Marks stones that count as the ground they lie on."""
NEARLY = 0.85
SURROUNDINGS, LEAST_LIT_SHARE = 0.03, 0.02
"""Side of the window around a rock over the picture's width, and what must be lit of it."""


def rover_labels(facts: Facts, rule: RoverRule) -> U8:
    """Return the classes (H, W) of `ROVER_TAXONOMY`, IGNORE where a pixel cannot tell."""
    apparent = apparent_size(facts)
    kind = np.full(apparent.shape, 1, np.uint8)
    kind[apparent < rule.small_from] = IGNORE
    kind[apparent < rule.ground_below] = 0
    kind[apparent >= rule.large_from] = 2
    kind[lost_in_shadow(facts) & (kind > 0)] = IGNORE
    labels: U8 = np.zeros(facts.surface.shape, np.uint8)
    rock = facts.surface == ROCK
    labels[rock] = kind[facts.rock[rock]]
    labels[facts.surface == SKY] = 3
    labels[facts.surface == VEHICLE] = 4
    return labels


def apparent_size(facts: Facts) -> F64:
    """Return sqrt(visible area) over the picture's width of each rock of the table."""
    area = np.bincount(facts.rock[facts.surface == ROCK], minlength=facts.diameter_m.size)
    size: F64 = np.sqrt(area) / facts.surface.shape[1]
    return size


def lost_in_shadow(facts: Facts) -> Bool:
    """Return which rocks of the table are dark in front of dark ground, so that none sees them."""
    lit = ~facts.shadow & (facts.surface != SKY)
    side = 2 * round(0.5 * SURROUNDINGS * lit.shape[1]) + 1
    around = cv2.blur(lit.astype(np.float32), (side, side))
    brightest = np.zeros(facts.diameter_m.size, np.float32)
    rock = facts.surface == ROCK
    np.maximum.at(brightest, facts.rock[rock], around[rock])
    lost: Bool = brightest < LEAST_LIT_SHARE
    return lost


def lander_labels(facts: Facts, rule: LanderRule, camera: CameraModel) -> U8:
    """Return the classes (H, W) of `LANDER_TAXONOMY`, IGNORE where a pixel cannot tell."""
    labels = _slope_labels(facts, rule)
    rock = facts.surface == ROCK
    diameter = facts.diameter_m[np.maximum(facts.rock, 0)] if facts.diameter_m.size else 0.0
    across_px = diameter * camera.fx_px / np.nan_to_num(facts.depth_m, nan=1e9)
    large = rock & (diameter >= rule.min_rock_m)
    unsure = rock & ~large & (diameter >= NEARLY * rule.min_rock_m)
    labels[large & (across_px >= rule.min_across_px)] = 1
    labels[unsure | (large & (across_px < rule.min_across_px))] = IGNORE
    labels[facts.shadow & (facts.surface == GROUND)] = 3
    lost = np.append(lost_in_shadow(facts), False)[facts.rock]
    labels[lost & rock] = 3
    labels[facts.surface == SKY] = 4
    labels[facts.surface == VEHICLE] = IGNORE
    return labels


def _slope_labels(facts: Facts, rule: LanderRule) -> U8:
    """Return 2 (H, W) where ground is steep, 0 where it is level, IGNORE between and unknown."""
    known = facts.slope_deg != NO_SLOPE
    slope = np.where(known, facts.slope_deg, 0).astype(np.float32)
    weight = cv2.GaussianBlur(known.astype(np.float32), (0, 0), 0.5 * rule.slope_across_px)
    around = cv2.GaussianBlur(slope, (0, 0), 0.5 * rule.slope_across_px)
    around = around / np.maximum(weight, 1e-6)
    low, high = (rule.max_slope_deg + side * rule.unsure_slope_deg for side in (-1.0, 1.0))
    labels: U8 = np.zeros(known.shape, np.uint8)
    labels[known & ((around > low) | (slope > high))] = IGNORE
    labels[known & (around > high)] = 2
    labels[(facts.surface == GROUND) & ~known] = IGNORE
    return labels


def mars_labels(facts: Facts, rule: MarsRule) -> U8:
    """Return the classes (H, W) of `MARS_TAXONOMY`, IGNORE where a pixel cannot tell."""
    if facts.ground is None:
        raise ConfigError("these facts hold no classes of ground; render them as mars_rover")
    rock = facts.surface == ROCK
    area = np.bincount(facts.rock[rock], minlength=facts.diameter_m.size)
    kind = np.full(area.shape, IGNORE, np.uint8)
    kind[facts.diameter_m < NEARLY * rule.min_rock_m] = AS_GROUND
    kind[facts.diameter_m >= rule.min_rock_m] = 4
    kind[facts.diameter_m >= rule.big_rock_m] = 3
    kind[(kind != AS_GROUND) & (area < rule.min_pixels)] = IGNORE
    labels: U8 = np.where(facts.ground == NO_CLASS, IGNORE, facts.ground).astype(np.uint8)
    stone = np.append(kind, np.uint8(AS_GROUND))[facts.rock]
    labels = np.where(rock & (stone != AS_GROUND), stone, labels)
    labels[facts.surface == SKY] = 5
    labels[facts.surface == VEHICLE] = 6
    return labels
