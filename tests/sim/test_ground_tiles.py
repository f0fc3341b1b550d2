"""Tiles are the world's ground, without gaps, and none that is in view is left out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.small_worlds import look, rough
from terrain_seg_ros.core.geometry.camera import camera_from_field_of_view
from terrain_seg_ros.sim.ground_tiles import (
    LEVEL_STEPS,
    SUNK_M,
    ground_tiles,
    levels_to_draw,
)
from terrain_seg_ros.sim.mujoco_scene import view_planes
from terrain_seg_ros.worlds.generate import generate_world
from terrain_seg_ros.worlds.world import Body

WORLD = rough(5, side_m=20.0, spacing_m=0.1, rock_count=3)
TILES = ground_tiles(WORLD)
CAMERA = camera_from_field_of_view(width_px=160, height_px=120, horizontal_fov_rad=1.1)


def inner(tile, level):
    """Return the patch of a level and its posts that no neighbour shares."""
    patch = tile.levels[level]
    rows, cols = patch.height_m.shape
    y_m = np.linspace(patch.y_m - patch.half_y_m, patch.y_m + patch.half_y_m, rows)
    x_m = np.linspace(patch.x_m - patch.half_x_m, patch.x_m + patch.half_x_m, cols)
    return x_m[1:-1], y_m[1:-1], patch.height_m[1:-1, 1:-1]


@pytest.mark.parametrize("level", range(len(LEVEL_STEPS)))
def test_every_level_stands_on_the_worlds_ground(level):
    for tile in TILES:
        x_m, y_m, height_m = inner(tile, level)
        truth = WORLD.ground_height_m(x_m[None, :], y_m[:, None])
        assert np.abs(height_m - truth).max() < LEVEL_STEPS[level] * SUNK_M + 1e-5


@pytest.mark.parametrize("body", list(Body))
def test_two_triangles_per_cell_are_within_a_centimetre_of_a_generated_ground(body):
    h = generate_world(body, 2, side_m=30.0, spacing_m=0.1).ground_m
    bend = np.abs(h[:-1, :-1] + h[1:, 1:] - h[1:, :-1] - h[:-1, 1:]) / 4
    assert np.percentile(bend, 99) < 0.01


def test_the_tiles_cover_the_world():
    covered = np.zeros((200, 200), bool)
    places = (np.arange(200) + 0.5) / 10 - 10
    for tile in TILES:
        patch = tile.levels[0]
        in_x = np.abs(places - patch.x_m) <= patch.half_x_m
        in_y = np.abs(places - patch.y_m) <= patch.half_y_m
        covered |= in_y[:, None] & in_x[None, :]
    assert covered.all()


@settings(max_examples=60)
@given(
    x=st.floats(-8, 8),
    y=st.floats(-8, 8),
    z=st.floats(3, 30),
    yaw=st.floats(-math.pi, math.pi),
    pitch=st.floats(-0.3, math.pi / 2),
)
def test_ground_in_view_is_in_a_tile_that_is_drawn(x, y, z, yaw, pitch):
    pose = look(x, y, z, yaw_rad=yaw, pitch_rad=pitch)
    levels = levels_to_draw(TILES, pose.translation_m, view_planes(CAMERA, pose), end_m=400.0)
    places = np.random.default_rng(1).uniform(-9.9, 9.9, (300, 2))
    points = np.column_stack([places, WORLD.ground_height_m(places[:, 0], places[:, 1])])
    camera_T_world = pose.inverse()
    pixels = CAMERA.project(points @ camera_T_world.rotation.T + camera_T_world.translation_m)
    seen = np.isfinite(pixels).all(axis=1)
    seen &= (pixels > -0.5).all(axis=1) & (pixels[:, 0] < 159.5) & (pixels[:, 1] < 119.5)
    drawn = [tile for tile, level in zip(TILES, levels) if level is not None]
    for point in points[seen]:
        assert any((np.abs(point - t.middle_m) <= t.half_m + 1e-6).all() for t in drawn)


def test_what_is_far_is_coarse_and_what_is_behind_is_not_drawn():
    ahead = look(-9.0, 0.0, 3.0, pitch_rad=0.2)
    near = levels_to_draw(TILES, ahead.translation_m, view_planes(CAMERA, ahead), end_m=400.0)
    assert set(near) == {0, None} or 0 in near
    behind = look(-9.9, 0.0, 3.0, yaw_rad=math.pi)
    hidden = levels_to_draw(TILES, behind.translation_m, view_planes(CAMERA, behind), end_m=400.0)
    assert sum(level is not None for level in hidden) <= len(TILES) // 2
    high = look(0.0, 0.0, 100.0, pitch_rad=math.pi / 2)
    coarse = levels_to_draw(TILES, high.translation_m, view_planes(CAMERA, high), end_m=400.0)
    assert set(coarse) == {2}
