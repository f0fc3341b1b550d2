"""What the path tracer is given: ground, rocks, cameras and sensors, without Blender."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.geometry.frames import BODY_R_OPTICAL, rotation_from_rpy
from terrain_seg_ros.core.types import Transform
from terrain_seg_ros.worlds.generate import generate_world
from terrain_seg_ros.worlds.settings import MOON
from terrain_seg_ros.worlds.world import Body
from terrain_training.rendering.cycles.content import FIRST_PEBBLE, build_content
from terrain_training.rendering.cycles.ground_mesh import ground_mesh
from terrain_training.rendering.cycles.noise import small_craters, value_noise
from terrain_training.rendering.cycles.relief import GroundStyle, Relief, Track, true_half_side_m
from terrain_training.rendering.cycles.rock_cover import (
    RockStyle,
    add_boulder_field,
    bank_soil,
    place_pebbles,
    place_world_rocks,
)
from terrain_training.rendering.cycles.rock_shapes import LEVELS, SHAPES_FILE, RockShapes
from terrain_training.rendering.cycles.sensor import choose_sensor, expose
from terrain_training.rendering.cycles.vehicle_parts import own_body, vehicle_parts
from terrain_training.rendering.cycles.views import HEIGHT_M, SUN_DEG, choose_view, choose_world

PLAIN = GroundStyle(rough=0.0, crater_share=0.0, clod_share=0.0, hills=0.0, mottle=0.0, track=None)
STONY = RockStyle(pebbles_per_m2=120.0, pebble_power=2.0, clustering=0.5, fillet=0.1, stands=0.4)
SIZE_PX = 96


@pytest.fixture(scope="module")
def world():
    settings = replace(MOON, rock_abundance=0.06, crater_saturation=0.02)
    return generate_world(Body.MOON, 11, side_m=50.0, spacing_m=0.1, settings=settings)


@pytest.fixture(scope="module")
def shapes():
    return RockShapes()


def camera_of(fov_deg=45.0, aspect=1.0):
    focal_px = 0.5 * SIZE_PX / math.tan(math.radians(0.5 * fov_deg))
    middle = 0.5 * (SIZE_PX - 1)
    return CameraModel(
        SIZE_PX, SIZE_PX, focal_px, focal_px / aspect, middle, middle, "none", ()
    )  # fmt: skip


def pose_of(world, *, height_m=1.6, pitch_deg=15.0, yaw_deg=30.0):
    rotation = rotation_from_rpy(0.0, 0.0, math.radians(yaw_deg))
    rotation = rotation @ rotation_from_rpy(0.0, math.radians(pitch_deg), 0.0) @ BODY_R_OPTICAL
    ground_m = float(world.ground_height_m(0.0, 0.0))
    return Transform(rotation, np.array([0.0, 0.0, ground_m + height_m]))


def pixels_of(points, camera, pose):
    """Return columns, rows and depths of points (N, 3)."""
    seen = (points - pose.translation_m) @ pose.rotation
    depth = seen[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        col = camera.fx_px * seen[:, 0] / depth + camera.cx_px
        row = camera.fy_px * seen[:, 1] / depth + camera.cy_px
    return col, row, depth


def test_plain_relief_is_the_worlds_ground_at_its_posts(world):
    relief = Relief(world, 3, PLAIN)
    posts = np.arange(-100, 100, 7) * world.spacing_m
    x, y = np.meshgrid(posts, posts)
    sag = (x * x + y * y) / (2.0 * 1_737_400.0)
    height = relief.height_m(x, y, np.full(x.shape, 0.1))
    assert np.allclose(height, world.ground_height_m(x, y) - sag, atol=2e-4)


def test_a_tilted_world_goes_on_into_its_hills_without_a_cliff():
    settings = replace(MOON, rms_slope_rad=0.0, crater_saturation=0.0, tilt_rad=0.15)
    tilted = generate_world(Body.MOON, 3, side_m=50.0, spacing_m=0.25, settings=settings)
    relief = Relief(tilted, 3, replace(PLAIN, hills=1.0))
    line = np.linspace(-60.0, 60.0, 2401)
    for x, y in ((line, 0.0 * line), (0.0 * line, line), (line, line)):
        height = relief.height_m(x, y, np.full(line.shape, 0.1))
        assert np.abs(np.diff(height)).max() / np.hypot(x[1] - x[0], y[1] - y[0]) < 0.35


def test_detail_depends_on_place_and_seed_alone(world):
    style = replace(PLAIN, rough=1.0, crater_share=0.2, clod_share=0.4, mottle=0.1)
    x, y = np.random.default_rng(0).uniform(-10, 10, (2, 500))
    spacing = np.full(500, 0.004)
    height, tone = Relief(world, 3, style).surface(x, y, spacing)
    some = slice(100, 200)
    again = Relief(world, 3, style).surface(x[some], y[some], spacing[some])
    assert np.array_equal(height[some], again[0])
    assert np.array_equal(tone[some], again[1])
    assert not np.array_equal(height, Relief(world, 4, style).surface(x, y, spacing)[0])
    plain = Relief(world, 3, PLAIN).height_m(x, y, spacing)
    assert 0.002 < (height - plain).std() < 0.1


def test_a_coarse_mesh_gets_no_detail_that_it_cannot_carry(world):
    style = replace(PLAIN, rough=1.0, clod_share=0.5)
    x, y = np.random.default_rng(0).uniform(-10, 10, (2, 200))
    coarse = np.full(200, 1.0)
    plain = Relief(world, 3, PLAIN).height_m(x, y, coarse)
    assert np.array_equal(Relief(world, 3, style).height_m(x, y, coarse), plain)


def test_value_noise_is_smooth_and_small_craters_are_bowls_with_rims():
    line = np.linspace(0.0, 5.0, 5001)
    noise = value_noise(line, np.zeros_like(line), 5)
    assert np.abs(noise).max() <= 1.0
    assert np.abs(np.diff(noise)).max() < 0.01
    x, y = np.meshgrid(np.linspace(0, 20, 801), np.linspace(0, 20, 801))
    height, fresh = small_craters(x, y, 2, size_m=1.0, share=0.3)
    assert -0.21 < height.min() < -0.05
    assert 0.005 < height.max() < 0.05
    assert 0.0 <= fresh.min() <= fresh.max() <= 1.0


def test_a_track_is_two_dark_ruts_its_gauge_apart(world):
    track = Track(0.0, 0.0, 0.0, 0.0, 10.0, gauge_m=1.0, width_m=0.2, depth_m=0.02)
    side = np.linspace(-1.0, 1.0, 401)
    along = np.zeros_like(side)
    spacing = np.full(side.shape, 0.05)
    with_track = Relief(world, 3, replace(PLAIN, track=track)).surface(along, side, spacing)
    without = Relief(world, 3, PLAIN).surface(along, side, spacing)
    depth = with_track[0] - without[0]
    assert depth[np.abs(np.abs(side) - 0.5) < 0.02].max() < -0.018
    assert np.abs(depth[np.abs(side) < 0.2]).max() < 1e-3
    assert (with_track[1] - without[1])[np.abs(np.abs(side) - 0.5) < 0.02].max() < -0.15


@pytest.mark.parametrize(
    ("pitch_deg", "height_m", "fov_deg"), [(15.0, 1.6, 45.0), (30.0, 0.5, 90.0), (90.0, 12.0, 50.0)]
)
def test_the_mesh_is_about_as_fine_as_the_pixels_everywhere_in_view(
    world, pitch_deg, height_m, fov_deg
):
    camera, pose = camera_of(fov_deg), pose_of(world, pitch_deg=pitch_deg, height_m=height_m)
    mesh = ground_mesh(Relief(world, 3, PLAIN), camera, pose)
    col, row, depth = pixels_of(mesh.vertices().astype(np.float64), camera, pose)
    shape = mesh.x_m.shape
    col, row, depth = col.reshape(shape), row.reshape(shape), depth.reshape(shape)
    inside = (depth > 0.1) & (np.abs(col - camera.cx_px) < 47) & (np.abs(row - camera.cy_px) < 47)
    assert inside.sum() > 3000
    for axis in (0, 1):
        gap = np.hypot(np.diff(col, axis=axis), np.diff(row, axis=axis))
        count = shape[axis] - 1
        both = np.take(inside, range(count), axis) & np.take(inside, range(1, count + 1), axis)
        assert np.quantile(gap[both], 0.98) < 2.2
    # Every block of pixels that sees near ground holds vertices.
    bins = np.histogram2d(row[inside], col[inside], bins=12, range=[[0, 95], [0, 95]])[0]
    assert (bins[-4:] > 0).all()


@pytest.mark.parametrize("pitch_deg", [15.0, 90.0])
def test_faces_of_the_ground_look_up_and_heights_are_the_reliefs(world, pitch_deg):
    pose = pose_of(world, pitch_deg=pitch_deg, height_m=8.0)
    mesh = ground_mesh(Relief(world, 3, PLAIN), camera_of(), pose)
    corners = mesh.vertices().astype(np.float64)[mesh.quads]
    normal = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    area = 0.5 * np.linalg.norm(normal, axis=1)
    assert (normal[area > 1e-6, 2] > 0.0).mean() > 0.999
    near = (np.hypot(mesh.x_m, mesh.y_m) < 10.0) & (np.hypot(mesh.x_m, mesh.y_m) > 0.5)
    truth = world.ground_height_m(mesh.x_m[near], mesh.y_m[near])
    assert np.abs(mesh.z_m[near] - truth).max() < 0.03


@pytest.mark.parametrize("pitch_deg", [20.0, 90.0])
def test_a_window_of_the_mesh_holds_all_fine_vertices_near_a_place(world, pitch_deg):
    pose = pose_of(world, pitch_deg=pitch_deg, height_m=4.0)
    mesh = ground_mesh(Relief(world, 3, PLAIN), camera_of(), pose)
    ahead = pose.rotation[:, 2]
    scale = 1.0 if ahead[2] > -0.9 else 0.1
    for away_m, side_m in ((5.0 * scale, 0.0), (6.0 * scale, 1.0), (9.0 * scale, -2.0)):
        heading = math.radians(30.0)
        x = away_m * math.cos(heading) - side_m * math.sin(heading)
        y = away_m * math.sin(heading) + side_m * math.cos(heading)
        near = np.hypot(mesh.x_m - x, mesh.y_m - y) < 0.3
        rows, cols = mesh.window(x, y, 0.3)
        assert near.sum() > 3
        assert near[rows, cols].sum() == near.sum()


def test_the_shapes_are_small_and_each_level_is_coarser(shapes):
    assert SHAPES_FILE.stat().st_size < 500_000
    assert len(shapes) == 77
    assert shapes.stood.sum() == 50
    faces = [
        [len(shapes._levels[level][shape][1]) for level in range(len(LEVELS))]
        for shape in range(len(shapes))
    ]
    assert (np.diff(np.array(faces), axis=1) < 0).all()
    assert np.mean(faces, axis=0)[-1] < 40


def test_drawn_rocks_keep_the_outline_and_the_top_of_the_worlds(world, shapes):
    camera, pose = camera_of(), pose_of(world)
    random = np.random.default_rng(1)
    relief = Relief(world, 3, PLAIN)
    placed = place_world_rocks(random, world, relief, shapes, (camera, pose), STONY)
    assert len(placed) > 50
    rocks = world.rocks
    assert np.array_equal(placed.a_m, rocks.a_m[placed.index])
    true = np.maximum(np.abs(placed.x_m), np.abs(placed.y_m)) < true_half_side_m(world)
    top = (rocks.z_m + rocks.c_m)[placed.index]
    assert np.allclose(placed.top_m[true], top[true], atol=0.02)
    ground = world.ground_height_m(placed.x_m, placed.y_m)
    assert (placed.bottom_m < ground)[true].all()
    mesh = shapes.mesh_of(placed)
    for number in range(0, len(placed), 17):
        corners = mesh.vertices[np.unique(mesh.faces[mesh.index == placed.index[number]])]
        offset = corners[:, :2] - [placed.x_m[number], placed.y_m[number]]
        assert np.linalg.norm(offset, axis=1).max() < 1.45 * placed.a_m[number]
        assert corners[:, 2].max() == pytest.approx(placed.top_m[number], abs=1e-4)


def test_near_rocks_are_drawn_finer_than_far_ones(world, shapes):
    camera, pose = camera_of(), pose_of(world)
    placed = place_world_rocks(
        np.random.default_rng(1), world, Relief(world, 3, PLAIN), shapes, (camera, pose), STONY
    )
    away = np.hypot(placed.x_m - pose.translation_m[0], placed.y_m - pose.translation_m[1])
    looks = (placed.a_m + placed.b_m) / away
    assert np.corrcoef(looks, placed.level)[0, 1] < -0.3


def test_pebbles_are_smaller_than_the_worlds_rocks_and_lie_on_the_ground(world, shapes):
    camera, pose = camera_of(), pose_of(world)
    relief = Relief(world, 3, replace(PLAIN, rough=1.0))
    made = [
        place_pebbles(
            np.random.default_rng(seed), relief, shapes, (camera, pose), STONY,
            largest_m=0.1, first_index=50, seed=3,
        )
        for seed in (1, 1, 2)
    ]  # fmt: skip
    assert 200 < len(made[0]) <= 7000
    assert np.array_equal(made[0].x_m, made[1].x_m)
    assert not np.array_equal(made[0].x_m[:20], made[2].x_m[:20])
    assert (made[0].a_m + made[0].b_m).max() <= 0.1 + 1e-9
    assert np.array_equal(made[0].index, 50 + np.arange(len(made[0])))
    ground = relief.height_m(made[0].x_m, made[0].y_m, np.full(len(made[0]), 0.02))
    assert (made[0].bottom_m < ground).all() and (made[0].top_m > ground).all()


def test_a_boulder_field_adds_rocks_around_its_middle(world):
    random = np.random.default_rng(2)
    richer = add_boulder_field(world, random, x_m=3.0, y_m=-4.0, radius_m=3.0, count=150)
    added = slice(len(world.rocks), None)
    assert len(richer.rocks) == len(world.rocks) + 150
    away = np.hypot(richer.rocks.x_m[added] - 3.0, richer.rocks.y_m[added] + 4.0)
    assert np.median(away) < 2.5
    assert np.array_equal(richer.rocks.x_m[: len(world.rocks)], world.rocks.x_m)


def test_soil_is_banked_against_large_rocks_only(world, shapes):
    camera, pose = camera_of(), pose_of(world)
    relief = Relief(world, 3, PLAIN)
    mesh = ground_mesh(relief, camera, pose)
    before = mesh.z_m.copy()
    placed = place_world_rocks(
        np.random.default_rng(1), world, relief, shapes, (camera, pose), STONY
    )
    across_px = np.full(len(placed), 1.0)
    bank_soil(np.random.default_rng(1), mesh, placed, across_px, 0.2)
    assert np.array_equal(mesh.z_m, before)
    away = np.hypot(placed.x_m, placed.y_m)
    chosen = int(np.argmin(np.abs(away - 6.0)))
    across_px[chosen] = 50.0
    bank_soil(np.random.default_rng(1), mesh, placed, across_px, 0.2)
    raised = mesh.z_m > before + 1e-4
    reach = np.hypot(mesh.x_m - placed.x_m[chosen], mesh.y_m - placed.y_m[chosen])
    if raised.any():
        assert reach[raised].max() < 4.0 * placed.a_m[chosen]


@pytest.mark.parametrize("task", ["moon_rover", "moon_lander"])
def test_views_are_in_their_ranges_and_each_is_its_own(task):
    seed = 1_000_123
    world = choose_world(seed, task)
    kinds = set()
    for number in range(24):
        view = choose_view(world, task, seed, number, size_px=64)
        kinds.add(view.kind)
        x, y, z = view.world_T_camera.translation_m
        height_m = z - float(world.ground_height_m(x, y))
        low, high = HEIGHT_M[view.kind]
        assert 0.99 * low <= height_m <= 1.01 * high
        assert SUN_DEG[0] <= math.degrees(view.sun.elevation_rad) <= SUN_DEG[1]
        assert max(abs(x), abs(y)) < 0.5 * world.half_side_m
    assert kinds == ({"mast", "hazard"} if task == "moon_rover" else {"lander"})
    one, again = (choose_view(world, task, seed, 7, size_px=64) for _ in range(2))
    assert one.seed == again.seed and one.sensor == again.sensor and one.rocks == again.rocks
    assert one.seed != choose_view(world, task, seed, 8, size_px=64).seed


def test_the_same_seed_gives_the_same_meshes_and_the_table_names_every_rock(shapes):
    seed = 1_000_004
    world = choose_world(seed, "moon_rover")
    view = choose_view(world, "moon_rover", seed, 1, size_px=64)
    one, again = (build_content(world, view, shapes) for _ in range(2))
    assert np.array_equal(one.ground.z_m, again.ground.z_m)
    assert np.array_equal(one.rocks.vertices, again.rocks.vertices)
    assert np.array_equal(one.pebbles.vertices, again.pebbles.vertices)
    drawn = np.unique(np.concatenate([one.rocks.index, one.pebbles.index]))
    assert np.array_equal(drawn, np.arange(one.rock_index.size))
    of_world = one.rock_index < FIRST_PEBBLE
    truth = world.rocks.diameter_m[one.rock_index[of_world]]
    assert np.allclose(one.rock_diameter_m[of_world], truth)


def light_of(level=0.02):
    light = np.full((64, 64, 3), level, np.float32)
    light[:20] = 0.0
    lit = np.zeros((64, 64), np.float32)
    lit[20:] = 1.0
    return light, lit


def test_the_exposure_does_not_depend_on_the_strength_of_the_light():
    settings = replace(
        choose_sensor(np.random.default_rng(1), grey=False),
        exposure=0.25, gamma=2.0, toe=0.0, gains=(1.0, 1.0, 1.0), grey=False, sharpen=0.0,
        vignetting=0.0, glare=0.0, shot=0.0, read=0.0, hot_pixels=0.0, quality=0,
    )  # fmt: skip
    for level in (1e-4, 0.02, 5.0):
        picture = expose(*light_of(level), settings, seed=1)
        assert np.abs(picture[40:].astype(int) - 128).max() <= 1
        assert picture[:15].max() == 0
    glaring = expose(*light_of(), replace(settings, glare=0.1), seed=1)
    assert glaring[:15].min() > 10
    dark_corner = expose(*light_of(), replace(settings, vignetting=0.3), seed=1)
    assert int(dark_corner[63, 63, 0]) < int(dark_corner[42, 32, 0]) - 10


def test_noise_has_a_seed_and_grey_cameras_have_no_colour():
    settings = replace(
        choose_sensor(np.random.default_rng(1), grey=False), shot=0.05, grey=True, quality=0
    )
    one, again, other = (expose(*light_of(), settings, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert np.array_equal(one[..., 0], one[..., 2])
    packed = expose(*light_of(), replace(settings, quality=70), seed=1)
    assert packed.shape == one.shape
    assert 0.0 < np.abs(packed.astype(int) - one).mean() < 12.0


def test_the_rovers_own_body_is_never_in_view_and_its_parts_mostly_are():
    seed = 1_000_017
    world = choose_world(seed, "moon_rover")
    relief = Relief(world, 3, PLAIN)
    seen = 0
    for number in range(30):
        view = choose_view(world, "moon_rover", seed, number, size_px=64)
        pose, random = view.world_T_camera, np.random.default_rng(number)
        ground_m = world.ground_height_m(*pose.translation_m[:2])
        body = own_body(random, pose, float(pose.translation_m[2] - ground_m))
        assert not in_picture(body, view.camera, pose).any()
        parts = vehicle_parts(random, view.camera, pose, relief)
        assert all(part.faces.max() == len(part.vertices) - 1 for part in body + parts)
        seen += bool(in_picture(parts, view.camera, pose).any())
    assert seen >= 20


def in_picture(parts, camera, pose):
    points = np.concatenate([part.vertices for part in parts]).astype(np.float64)
    col, row, depth = pixels_of(points, camera, pose)
    inside = (np.abs(col - camera.cx_px) < 32) & (np.abs(row - camera.cy_px) < 32)
    return inside & (depth > 0.05)
