from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from support.small_world import small_world
from terrain_seg_ros.core.errors import ConfigError, GeometryError
from terrain_seg_ros.score.paths import (
    DescentSettings,
    DriveSettings,
    descend,
    drive,
    pose_on_ground,
)


def test_a_drive_stands_on_the_ground_and_is_as_long_as_asked():
    sloped = small_world(slope=math.tan(math.radians(15)))
    poses = drive(sloped, DriveSettings(count=30, step_m=0.5), seed=3)
    assert len(poses) == 30
    assert [pose.stamp_ns for pose in poses] == [(1 + i) * 10**9 for i in range(30)]
    for before, after in itertools.pairwise(poses):
        step = after.world_T_base.translation_m - before.world_T_base.translation_m
        assert np.hypot(step[0], step[1]) == pytest.approx(0.5, abs=1e-3)
    for pose in poses:
        x, y, z = pose.world_T_base.translation_m
        assert z == pytest.approx(float(sloped.ground_height_m(x, y)), abs=1e-6)
        normal = pose.world_T_base.rotation[:, 2]
        assert math.degrees(math.acos(normal[2])) == pytest.approx(15, abs=0.01)


def test_a_drive_keeps_clear_of_rocks_and_repeats():
    places = [(x, y) for x in range(-12, 13, 4) for y in range(-12, 13, 4)]
    rocky, settings = small_world(rocks=[(x, y, 0.4) for x, y in places]), DriveSettings(count=60)
    poses = drive(rocky, settings, seed=1)
    for pose in poses:
        x, y, _ = pose.world_T_base.translation_m
        gaps = [math.hypot(x - a, y - b) - 0.4 for a, b in places]
        assert min(gaps) > 0.5
    again = drive(rocky, settings, seed=1)
    assert all(
        np.array_equal(a.world_T_base.translation_m, b.world_T_base.translation_m)
        for a, b in zip(poses, again)
    )


def test_the_body_tilts_as_far_as_asked_on_flat_ground():
    poses = drive(small_world(), DriveSettings(count=80, body_tilt_rad=math.radians(10)), seed=0)
    rolls = [math.degrees(math.asin(pose.world_T_base.rotation[2, 1])) for pose in poses]
    pitches = [math.degrees(-math.asin(pose.world_T_base.rotation[2, 0])) for pose in poses]
    for angles in (rolls, pitches):
        assert 9.0 < max(angles) < 10.5
        assert -10.5 < min(angles) < -9.0


def test_a_descent_comes_down_to_its_end():
    poses = descend(
        small_world(), DescentSettings(count=5, start_m=50, end_m=20, wobble_rad=0), seed=2
    )
    heights = [pose.world_T_base.translation_m[2] for pose in poses]
    assert heights == pytest.approx([50, 42.5, 35, 27.5, 20])
    first, last = (poses[i].world_T_base.translation_m for i in (0, -1))
    assert np.hypot(*(last - first)[:2]) == pytest.approx(10)


def test_what_cannot_be_is_named():
    with pytest.raises(ConfigError, match="0 poses"):
        DriveSettings(count=0)
    with pytest.raises(ConfigError, match=r"from 10\.0 to 20\.0"):
        DescentSettings(start_m=10.0, end_m=20.0)
    with pytest.raises(GeometryError, match="at least"):
        drive(small_world(side_m=4.0), DriveSettings(), seed=0)
    with pytest.raises(GeometryError, match="outside"):
        pose_on_ground(small_world(), 15.0, 0.0, 0.0)
    with pytest.raises(GeometryError, match="leaves"):
        descend(small_world(), DescentSettings(drift_m=100.0), seed=0)
