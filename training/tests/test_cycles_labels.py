"""Facts of path-traced pictures and the labels made of them, against ray casting of the world."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.geometry.frames import BODY_R_OPTICAL, rotation_from_rpy
from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.types import Transform
from terrain_seg_ros.worlds.cast_rays import cast_rays
from terrain_seg_ros.worlds.generate import generate_world
from terrain_seg_ros.worlds.settings import MOON
from terrain_seg_ros.worlds.world import Body
from terrain_training.rendering.cycles.facts import (
    GROUND,
    NO_ROCK,
    NO_SLOPE,
    ROCK,
    SKY,
    VEHICLE,
    facts_of_passes,
    facts_to_bytes,
    points_world,
    read_facts,
    slopes_deg,
)
from terrain_training.rendering.cycles.labels import (
    LANDER_TAXONOMY,
    ROVER_TAXONOMY,
    LanderRule,
    RoverRule,
    apparent_size,
    lander_labels,
    rover_labels,
)

SIZE_PX = 100
CAMERA = CameraModel(SIZE_PX, SIZE_PX, 110.0, 110.0, 49.5, 49.5, "none", ())
SKY_DEPTH = 1e10


def facts_with(rocks, *, size=SIZE_PX, depth_m=10.0, shadow=None):
    """Return facts of level ground with square rocks: (row, col, side in pixels, diameter)."""
    label = np.zeros((size, size), np.float32)
    for number, (row, col, side, _) in enumerate(rocks):
        label[row : row + side, col : col + side] = number + 1
    direct = np.ones((size, size), np.float32)
    if shadow is not None:
        direct[shadow] = 0.0
    facts = facts_of_passes(
        label,
        np.full((size, size), depth_m, np.float32),
        direct,
        rock_diameter_m=np.array([rock[3] for rock in rocks], np.float64),
        rock_index=np.arange(len(rocks), dtype=np.int64) + 70,
    )
    return replace(facts, slope_deg=np.where(facts.surface == GROUND, 2, NO_SLOPE).astype(np.uint8))


def test_passes_become_surfaces_and_a_table_of_what_is_seen():
    label = np.array([[0, 3, 3], [-1, 0, 1], [0, 0, 0]], np.float32)
    depth = np.full((3, 3), 4.0, np.float32)
    depth[2] = SKY_DEPTH
    direct = np.array([[1, 0, 1], [0, 0, 1], [0, 0, 0]], np.float32)
    facts = facts_of_passes(
        label, depth, direct,
        rock_diameter_m=np.array([0.2, 0.4, 0.6]), rock_index=np.array([5, 6, 1_000_000]),
    )  # fmt: skip
    assert facts.surface.tolist() == [[GROUND, ROCK, ROCK], [VEHICLE, GROUND, ROCK], [SKY] * 3]
    assert facts.rock.tolist() == [[NO_ROCK, 1, 1], [NO_ROCK, NO_ROCK, 0], [NO_ROCK] * 3]
    assert facts.diameter_m.tolist() == pytest.approx([0.2, 0.6])
    assert facts.world_rock.tolist() == [5, 1_000_000]
    assert np.isnan(facts.depth_m[2]).all()
    assert facts.shadow.tolist() == [[False, True, False], [True, True, False], [False] * 3]


def test_a_file_of_facts_gives_them_back(tmp_path):
    facts = facts_with([(10, 10, 9, 0.3), (40, 60, 5, 0.2)], shadow=np.s_[50:70, 10:20])
    path = tmp_path / "facts.npz"
    path.write_bytes(facts_to_bytes(facts))
    again = read_facts(path)
    for name in ("surface", "rock", "shadow", "slope_deg", "diameter_m", "world_rock"):
        assert np.array_equal(getattr(again, name), getattr(facts, name)), name
    assert np.allclose(again.depth_m, facts.depth_m, rtol=1e-3)


@pytest.mark.parametrize("damage", ["cut", "other", "absent"])
def test_a_file_of_facts_that_is_not_whole_is_named(tmp_path, damage):
    path = tmp_path / "facts.npz"
    whole = facts_to_bytes(facts_with([]))
    if damage != "absent":
        path.write_bytes(whole[: len(whole) // 2] if damage == "cut" else b"no archive")
    with pytest.raises(ConfigError, match=r"facts\.npz cannot be read.*render again"):
        read_facts(path)


def test_small_and_large_are_sizes_in_the_picture():
    rocks = [(5, 5, 1, 2.0), (5, 30, 2, 2.0), (30, 30, 4, 0.02), (50, 50, 5, 0.02)]
    facts = facts_with(rocks)
    assert apparent_size(facts).tolist() == pytest.approx([0.01, 0.02, 0.04, 0.05])
    rule = RoverRule(ground_below=0.012, small_from=0.025, large_from=0.045)
    labels = rover_labels(facts, rule)
    found = [int(labels[row, col]) for row, col, _, _ in rocks]
    assert found == [0, IGNORE, 1, 2]
    assert labels[80, 80] == 0


def test_the_rovers_sky_and_vehicle_have_their_classes():
    label = np.zeros((10, 10), np.float32)
    label[8:] = -1.0
    depth = np.full((10, 10), 3.0, np.float32)
    depth[:4] = SKY_DEPTH
    facts = facts_of_passes(
        label, depth, np.ones((10, 10), np.float32),
        rock_diameter_m=np.zeros(0), rock_index=np.zeros(0, np.int64),
    )  # fmt: skip
    labels = rover_labels(facts, RoverRule())
    names = [ROVER_TAXONOMY.names[value] for value in labels[[0, 5, 9], 0]]
    assert names == ["sky", "ground", "vehicle"]
    assert lander_labels(facts, LanderRule(), CAMERA)[9, 0] == IGNORE


def test_a_rock_in_the_dark_is_not_asked_for_unless_lit_ground_shows_its_outline():
    rocks = [(20, 20, 6, 0.5), (53, 60, 6, 0.5), (80, 20, 6, 0.5)]
    dark = np.zeros((SIZE_PX, SIZE_PX), bool)
    dark[:60] = True
    facts = facts_with(rocks, shadow=dark)
    labels = rover_labels(facts, RoverRule())
    assert [int(labels[row, col]) for row, col, _, _ in rocks] == [IGNORE, 2, 2]
    from_above = lander_labels(facts, LanderRule(), CAMERA)
    assert [int(from_above[row, col]) for row, col, _, _ in rocks] == [3, 1, 1]


@pytest.mark.parametrize("values", [(0.0, 0.01, 0.05), (0.02, 0.01, 0.05), (0.01, 0.05, 0.04)])
def test_apparent_sizes_that_do_not_rise_are_refused(values):
    with pytest.raises(ConfigError, match="expected them to rise"):
        RoverRule(*values)


def test_a_lander_asks_for_true_sizes_and_leaves_out_what_it_cannot_tell():
    rocks = [(5, 5, 8, 0.5), (30, 30, 8, 0.2), (50, 50, 8, 0.28), (70, 70, 8, 0.35)]
    facts = facts_with(rocks, depth_m=14.0, shadow=np.s_[90:, :])
    labels = lander_labels(facts, LanderRule(min_rock_m=0.3, min_across_px=3.0), CAMERA)
    assert [int(labels[row, col]) for row, col, _, _ in rocks] == [1, 0, IGNORE, IGNORE]
    assert LANDER_TAXONOMY.names[labels[95, 50]] == "shadow"
    assert LANDER_TAXONOMY.names[labels[0, 99]] == "safe_ground"


def test_lit_ground_above_the_limit_is_steep_and_dark_ground_is_shadow():
    facts = facts_with([], shadow=np.s_[:50, :])
    facts = replace(facts, slope_deg=np.full((SIZE_PX, SIZE_PX), 14, np.uint8))
    labels = lander_labels(facts, LanderRule(), CAMERA)
    assert set(np.unique(labels[:50])) == {3}
    assert set(np.unique(labels[50:])) == {2}
    assert set(np.unique(lander_labels(facts, LanderRule(max_slope_deg=20.0), CAMERA))) == {0, 3}


def test_slopes_near_the_limit_and_specks_of_steep_ground_are_not_asked_for():
    slope = np.full((SIZE_PX, SIZE_PX), 4, np.uint8)
    slope[:30] = 10
    slope[70, 50] = 25
    slope[60:, 80:] = 25
    labels = lander_labels(replace(facts_with([]), slope_deg=slope), LanderRule(), CAMERA)
    places = [(10, 50), (70, 50), (80, 90), (70, 30)]
    assert [int(labels[place]) for place in places] == [IGNORE, IGNORE, 2, 0]


def cast_world(*, tilt_deg=0.0, pitch_deg=60.0):
    """Return a world, its camera's pose, and facts made of its ray casting."""
    settings = replace(
        MOON, rms_slope_rad=0.0, crater_saturation=0.0, rock_abundance=0.06,
        tilt_rad=math.radians(tilt_deg),
    )  # fmt: skip
    world = generate_world(Body.MOON, 5, side_m=40.0, spacing_m=0.2, settings=settings)
    rotation = rotation_from_rpy(0.1, math.radians(pitch_deg), 0.7) @ BODY_R_OPTICAL
    ground_m = float(world.ground_height_m(1.0, 2.0))
    pose = Transform(rotation, np.array([1.0, 2.0, ground_m + 6.0]))
    cast = cast_rays(world, CAMERA, pose)
    depth = np.where(np.isnan(cast.depth_m), SKY_DEPTH, cast.depth_m).astype(np.float32)
    facts = facts_of_passes(
        (cast.rock + 1).astype(np.float32),
        depth,
        np.ones(depth.shape, np.float32),
        rock_diameter_m=world.rocks.diameter_m,
        rock_index=np.arange(len(world.rocks)),
    )
    return world, pose, cast, facts


def test_points_of_facts_are_those_of_the_ray_casting():
    _, pose, cast, facts = cast_world()
    points, truth = points_world(facts, CAMERA, pose), cast.points_world()
    seen = ~np.isnan(cast.depth_m)
    assert seen.mean() > 0.5
    assert np.allclose(points[seen], truth[seen], atol=1e-3)


def test_facts_name_the_worlds_rocks():
    world, _, cast, facts = cast_world()
    rock = facts.surface == ROCK
    assert rock.sum() > 100
    assert np.array_equal(facts.world_rock[facts.rock[rock]], cast.rock[rock])
    truth = world.rocks.diameter_m[cast.rock[rock]]
    assert np.allclose(facts.diameter_m[facts.rock[rock]], truth, rtol=1e-5)


def test_slopes_are_those_of_the_world_and_of_its_ground_only():
    world, pose, _, facts = cast_world(tilt_deg=12.0, pitch_deg=80.0)
    slope = slopes_deg(facts, world, CAMERA, pose, baseline_m=2.0)
    ground = facts.surface == GROUND
    inside = ground & (slope != NO_SLOPE)
    assert inside.sum() > 0.9 * ground.sum()
    assert set(np.unique(slope[inside])) == {12}
    assert (slope[~ground] == NO_SLOPE).all()
