"""Simulated drives of a rover and descents of a lander: poses of `base_link` over time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from terrain_seg_ros.core.errors import ConfigError, GeometryError
from terrain_seg_ros.core.geometry.frames import rotation_from_rpy
from terrain_seg_ros.core.types import F64, Transform
from terrain_seg_ros.worlds.world import World

WHEELBASE_M, TRACK_M = 1.2, 1.0
"""Distances of the rover's wheels, whose contact points define its pose on the ground."""
LOOKAHEAD_M = 4.0
ARC_STEP_M = 0.25
CURVATURES_PER_M = (0.0, 0.1, -0.1, 0.2, -0.2, 0.35, -0.35, 0.5, -0.5)
"""Arcs from which the rover chooses, the straightest first."""
HOMEWARD_SHARE = 0.7
"""Beyond this share of the world's half side the rover turns back to the centre."""
COLLISION_PENALTY = 100.0
TILT_PERIOD_M = (7.0, 11.0)
"""Periods of roll and pitch of the body; they differ so that all combinations occur."""


@dataclass(frozen=True)
class PathPose:
    """The pose of `base_link` in the world's frame at one time."""

    stamp_ns: int
    world_T_base: Transform  # noqa: N815


@dataclass(frozen=True)
class DriveSettings:
    """The settings of a rover's drive.

    `body_tilt_rad` is the amplitude of roll and pitch of the body on its suspension, in addition to
    the slope of the ground. Rocks with a diameter of at least `avoid_m` are avoided with
    `clearance_m` between them and the rover's centre.
    """

    count: int = 40
    step_m: float = 0.5
    period_s: float = 1.0
    body_tilt_rad: float = 0.0
    avoid_m: float = 0.2
    clearance_m: float = 0.9

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.count < 1:
            raise ConfigError(f"drive has {self.count} poses, expected 1 or more")
        for name in ("step_m", "period_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0.0):
                raise ConfigError(f"drive {name} is {value}, expected more than 0")


@dataclass(frozen=True)
class DescentSettings:
    """The settings of a lander's descent.

    It goes from `start_m` to `end_m` above the ground at the centre of the world, drifting by
    `drift_m` in total, with attitude errors of standard deviation `wobble_rad`.
    """

    count: int = 12
    period_s: float = 0.5
    start_m: float = 50.0
    end_m: float = 20.0
    drift_m: float = 10.0
    wobble_rad: float = 0.03

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.count < 2:
            raise ConfigError(f"descent has {self.count} poses, expected 2 or more")
        if not 0.0 < self.end_m <= self.start_m:
            raise ConfigError(
                f"descent goes from {self.start_m} to {self.end_m} m, expected start >= end > 0"
            )


def drive(world: World, settings: DriveSettings, *, seed: int) -> tuple[PathPose, ...]:
    """Return the poses of a rover that drives around the centre of a world and avoids rocks.

    The origin of `base_link` is on the ground between the wheels; without tilt of the body its
    z axis is normal to the plane through their contact points.

    Args:
        world: the world.
        settings: the settings of the drive.
        seed: seed of start and heading.

    Raises:
        GeometryError: the world is too small for the rover.
    """
    if world.half_side_m < LOOKAHEAD_M:
        raise GeometryError(
            f"world extends {world.half_side_m} m from its centre, expected at least "
            f"{LOOKAHEAD_M}; make it larger"
        )
    random = np.random.default_rng([seed, 1])
    obstacles = _Obstacles(world, settings)
    x_m, y_m, yaw_rad = obstacles.free_start(random)
    phases = random.uniform(0.0, 2.0 * math.pi, size=2)
    poses = []
    for index in range(settings.count):
        tilts = [
            settings.body_tilt_rad
            * math.sin(2.0 * math.pi * index * settings.step_m / period + phase)
            for period, phase in zip(TILT_PERIOD_M, phases)
        ]
        on_ground = pose_on_ground(world, x_m, y_m, yaw_rad)
        tilted = on_ground.rotation @ rotation_from_rpy(tilts[0], tilts[1], 0.0)
        stamp_ns = round((1.0 + index * settings.period_s) * 1e9)
        poses.append(PathPose(stamp_ns, Transform(tilted, on_ground.translation_m)))
        curvature = obstacles.choose(x_m, y_m, yaw_rad)
        x_m, y_m, yaw_rad = _advance(x_m, y_m, yaw_rad, curvature, settings.step_m)
    return tuple(poses)


def descend(world: World, settings: DescentSettings, *, seed: int) -> tuple[PathPose, ...]:
    """Return the poses of a lander that descends around the centre of a world.

    Raises:
        GeometryError: the descent would leave the world.
    """
    random = np.random.default_rng([seed, 2])
    heading, yaw_rad = random.uniform(-math.pi, math.pi, size=2)
    along = np.linspace(-0.5, 0.5, settings.count) * settings.drift_m
    if 0.5 * settings.drift_m > world.half_side_m:
        raise GeometryError(
            f"a drift of {settings.drift_m} m leaves a world of {2 * world.half_side_m} m; "
            "reduce the drift or make the world larger"
        )
    altitude_m = np.linspace(settings.start_m, settings.end_m, settings.count)
    ground_m = float(world.ground_height_m(0.0, 0.0))
    poses = []
    for index in range(settings.count):
        roll_rad, pitch_rad = random.normal(0.0, settings.wobble_rad, size=2)
        rotation = rotation_from_rpy(float(roll_rad), float(pitch_rad), float(yaw_rad))
        position_m = np.array(
            [
                along[index] * math.cos(heading),
                along[index] * math.sin(heading),
                ground_m + altitude_m[index],
            ]
        )
        stamp_ns = round((1.0 + index * settings.period_s) * 1e9)
        poses.append(PathPose(stamp_ns, Transform(rotation, position_m)))
    return tuple(poses)


def pose_on_ground(world: World, x_m: float, y_m: float, yaw_rad: float) -> Transform:
    """Return world_T_base of a rover at a position: x forward, z normal to its wheels' plane.

    Raises:
        GeometryError: a wheel is outside the world.
    """
    cos, sin = math.cos(yaw_rad), math.sin(yaw_rad)
    wheels = [
        (0.5 * WHEELBASE_M * u * cos - 0.5 * TRACK_M * v * sin,
         0.5 * WHEELBASE_M * u * sin + 0.5 * TRACK_M * v * cos)
        for u, v in ((1, 1), (1, -1), (-1, 1), (-1, -1))
    ]  # fmt: skip
    offsets = np.array(wheels)
    z_m = world.ground_height_m(x_m + offsets[:, 0], y_m + offsets[:, 1])
    if not np.isfinite(z_m).all():
        raise GeometryError(
            f"the rover at ({x_m:.1f}, {y_m:.1f}) m is outside the world; make the world larger"
        )
    design = np.column_stack([offsets, np.ones(4)])
    (slope_x, slope_y, height_m), *_ = np.linalg.lstsq(design, z_m, rcond=None)
    up = np.array([-slope_x, -slope_y, 1.0])
    up /= np.linalg.norm(up)
    ahead = np.array([cos, sin, slope_x * cos + slope_y * sin])
    ahead /= np.linalg.norm(ahead)
    rotation: F64 = np.column_stack([ahead, np.cross(up, ahead), up])
    return Transform(rotation, np.array([x_m, y_m, float(height_m)]))


def _advance(
    x_m: float, y_m: float, yaw_rad: float, curvature_per_m: float, step_m: float
) -> tuple[float, float, float]:
    middle_rad = yaw_rad + 0.5 * curvature_per_m * step_m
    return (
        x_m + step_m * math.cos(middle_rad),
        y_m + step_m * math.sin(middle_rad),
        yaw_rad + curvature_per_m * step_m,
    )


class _Obstacles:
    """The rocks to avoid, and the choice of arcs around them."""

    def __init__(self, world: World, settings: DriveSettings) -> None:
        big = world.rocks.diameter_m >= settings.avoid_m
        self._x_m, self._y_m = world.rocks.x_m[big], world.rocks.y_m[big]
        self._reach_m = np.maximum(world.rocks.a_m, world.rocks.b_m)[big] + settings.clearance_m
        self._turn_back_m = HOMEWARD_SHARE * world.half_side_m

    def free_start(self, random: np.random.Generator) -> tuple[float, float, float]:
        """Return a position without rocks, and a heading that stays free of them."""
        best, best_cost = (0.0, 0.0, 0.0), math.inf
        for _ in range(64):
            x_m, y_m = (float(value) for value in random.uniform(-0.3, 0.3, 2) * self._turn_back_m)
            yaw_rad = float(random.uniform(-math.pi, math.pi))
            cost = min(self._cost(x_m, y_m, yaw_rad, curvature) for curvature in CURVATURES_PER_M)
            if cost < best_cost:
                best, best_cost = (x_m, y_m, yaw_rad), cost
            if best_cost < 1.0:
                break
        return best

    def choose(self, x_m: float, y_m: float, yaw_rad: float) -> float:
        """Return the curvature of the best arc."""
        costs = [self._cost(x_m, y_m, yaw_rad, curvature) for curvature in CURVATURES_PER_M]
        return CURVATURES_PER_M[int(np.argmin(costs))]

    def _cost(self, x_m: float, y_m: float, yaw_rad: float, curvature_per_m: float) -> float:
        cost = abs(curvature_per_m)
        for index in range(round(LOOKAHEAD_M / ARC_STEP_M)):
            x_m, y_m, yaw_rad = _advance(x_m, y_m, yaw_rad, curvature_per_m, ARC_STEP_M)
            inside = self._reach_m - np.hypot(self._x_m - x_m, self._y_m - y_m)
            if inside.size and inside.max() > 0.0:
                cost += COLLISION_PENALTY * float(inside.max()) / (1 + index)
        beyond_m = math.hypot(x_m, y_m) - self._turn_back_m
        return cost + max(0.0, beyond_m)
