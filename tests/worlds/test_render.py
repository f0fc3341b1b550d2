"""Test pictures: light, shadow, sky, texture that stays in place."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.decoders import surface_grid_m
from support.small_worlds import flat, look, rough, world
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.geometry.camera import camera_from_field_of_view
from terrain_seg_ros.worlds.cast_rays import cast_rays
from terrain_seg_ros.worlds.generate import generate_world
from terrain_seg_ros.worlds.photometry import lunar_reflectance, martian_reflectance
from terrain_seg_ros.worlds.render import render, render_view
from terrain_seg_ros.worlds.render_settings import MARS_CAMERA, MOON_CAMERA, default_camera
from terrain_seg_ros.worlds.sun_shadow import in_shadow
from terrain_seg_ros.worlds.texture import SIDE_PX, build_tile, relief_tile
from terrain_seg_ros.worlds.world import ROCK, SKY, Body, Sun

CAMERA = camera_from_field_of_view(width_px=64, height_px=48, horizontal_fov_rad=1.1)
PLAIN = replace(
    MOON_CAMERA, samples=1, blur_px=0.0, noise=0.0, pebbles_per_m2=0.0, relief_slope=0.0
)
UP = np.array([0.0, 0.0, 1.0])


def level_points(x, y):
    return np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3)


@settings(max_examples=20)
@given(azimuth=st.floats(-3.1, 3.1), elevation=st.floats(0.1, 1.5), lift=st.floats(0.0, 1.0))
def test_a_sphere_throws_the_shadow_of_a_sphere(azimuth, elevation, lift):
    radius, centre = 0.5, np.array([0.2, -0.1, lift])
    target = flat(16.0, 1.0, (*centre, radius, radius, radius, 0.0))
    target = replace(target, sun=Sun(azimuth, elevation))
    axis = np.arange(-3.0, 3.0, 0.11)
    points = level_points(*np.meshgrid(axis, axis))
    free = np.linalg.norm(points - centre, axis=1) > radius + 0.01
    points = points[free]
    sun = target.sun.direction()
    offset = points - centre
    along = offset @ sun
    miss = np.linalg.norm(offset - along[:, np.newaxis] * sun, axis=1)
    expected = (miss < radius) & (along < 0.0)
    clear = np.abs(miss - radius) > 0.01
    found = in_shadow(target, points, np.broadcast_to(UP, points.shape))
    np.testing.assert_array_equal(found[clear], expected[clear])


def test_a_wall_throws_a_shadow_as_long_as_it_should():
    places = np.arange(-10.0, 10.05, 0.1)
    ridge = np.maximum(0.0, 1.0 - np.abs(places) / 0.3)
    target = replace(world(np.tile(ridge, (places.size, 1)), 0.1), sun=Sun(math.pi, 0.3))
    x = np.linspace(0.5, 6.0, 200)
    points = level_points(x, np.zeros_like(x))
    found = in_shadow(target, points, np.broadcast_to(UP, points.shape))
    length = 1.0 / math.tan(0.3)
    np.testing.assert_array_equal(
        found[np.abs(x - length) > 0.05], (x < length)[np.abs(x - length) > 0.05]
    )
    assert not in_shadow(target, points - [8.0, 0.0, 0.0], np.broadcast_to(UP, points.shape)).any()


@settings(max_examples=6)
@given(seed=st.integers(0, 1000), azimuth=st.floats(-3.1, 3.1), elevation=st.floats(0.15, 1.2))
def test_shadows_agree_with_fine_marching(seed, azimuth, elevation):
    target = replace(rough(seed, rock_count=15), sun=Sun(azimuth, elevation))
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-3.5, 3.5, (2, 300))
    points = np.stack([x, y, target.ground_height_m(x, y)], axis=1)
    surface = surface_grid_m(target, np.sort(x), np.sort(y))
    points = points[surface[np.argsort(np.argsort(y)), np.argsort(np.argsort(x))] <= points[:, 2]]
    normals = np.broadcast_to(UP, points.shape)
    found = in_shadow(target, points, normals)
    sun, rocks = target.sun.direction(), target.rocks
    hidden = np.zeros(len(points), dtype=bool)
    for t in np.arange(0.004, 8.0, 0.01):
        at = points + [0.0, 0.0, 0.002] + t * sun
        hidden |= at[:, 2] < target.ground_height_m(at[:, 0], at[:, 1])
        for k in range(len(rocks)):
            cos, sin = math.cos(rocks.yaw_rad[k]), math.sin(rocks.yaw_rad[k])
            dx, dy = at[:, 0] - rocks.x_m[k], at[:, 1] - rocks.y_m[k]
            u = (cos * dx + sin * dy) / rocks.a_m[k]
            v = (cos * dy - sin * dx) / rocks.b_m[k]
            hidden |= u * u + v * v + ((at[:, 2] - rocks.z_m[k]) / rocks.c_m[k]) ** 2 < 1.0
    assert np.mean(found == hidden) > 0.97
    assert found[hidden].all()  # steps may pass through a crest, never hit what is not there


def test_nothing_is_in_shadow_when_the_sun_is_overhead():
    target = replace(rough(1, rock_count=0), sun=Sun(0.0, math.pi / 2))
    x = np.linspace(-3.0, 3.0, 50)
    points = np.stack([x, 0.5 * x, target.ground_height_m(x, 0.5 * x)], axis=1)
    assert not in_shadow(target, points, np.broadcast_to(UP, points.shape)).any()


@pytest.mark.parametrize("body", list(Body))
def test_a_picture_repeats_and_its_noise_does_not(body):
    target = generate_world(body, 2, side_m=30.0, spacing_m=0.1)
    pose = look(-9.0, 0.0, float(target.ground_m.max()) + 2.0, pitch_rad=0.4)
    first, again, other = (render_view(target, CAMERA, pose, seed=seed) for seed in (1, 1, 2))
    assert first.shape == (48, 64) and first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    difference = np.abs(first.astype(int) - other)
    assert 0.2 < difference.mean() < 8.0
    ground = cast_rays(target, CAMERA, pose).mask != SKY
    expected = 255.0 * default_camera(body).exposure
    assert first[ground].mean() == pytest.approx(expected, rel=0.25)
    assert 5.0 < first[ground].std() < 80.0


def test_a_cast_gives_the_picture_of_its_rays():
    target = generate_world(Body.MARS, 2, side_m=30.0, spacing_m=0.1)
    pose = look(-9.0, 0.0, float(target.ground_m.max()) + 2.0, pitch_rad=0.4)
    cast = cast_rays(target, CAMERA, pose)
    single = replace(MARS_CAMERA, samples=1)
    np.testing.assert_array_equal(
        render(target, cast, settings=single, seed=3),
        render_view(target, CAMERA, pose, settings=single, seed=3),
    )
    smooth = render_view(target, CAMERA, pose, seed=3)
    assert np.corrcoef(render(target, cast).ravel(), smooth.ravel())[0, 1] > 0.7


def test_a_negative_seed_is_refused():
    target = flat(10.0, 1.0)
    with pytest.raises(ConfigError, match="expected 0 or more"):
        render_view(target, CAMERA, look(0.0, 0.0, 2.0, pitch_rad=1.0), seed=-1)


def test_colour_is_rgb():
    target = generate_world(Body.MARS, 2, side_m=30.0, spacing_m=0.1)
    pose = look(-9.0, 0.0, float(target.ground_m.max()) + 2.0, pitch_rad=0.6)
    picture = render_view(
        target, CAMERA, pose, settings=replace(MARS_CAMERA, colour=True, noise=0.0)
    )
    assert picture.shape == (48, 64, 3)
    red, green, blue = picture.reshape(-1, 3).mean(axis=0)
    assert red > green > blue


def test_the_sky_is_where_the_truth_has_it():
    moon = generate_world(Body.MOON, 4, side_m=40.0, spacing_m=0.1)
    mars = replace(moon, body=Body.MARS)
    pose = look(-9.0, 0.0, float(moon.ground_m.max()) + 1.5, pitch_rad=0.1)
    sky = cast_rays(moon, CAMERA, pose).mask == SKY
    assert 0.1 < sky.mean() < 0.9
    assert (render_view(moon, CAMERA, pose, settings=PLAIN)[sky] == 0).all()
    picture = render_view(
        mars, CAMERA, pose, settings=replace(PLAIN, sky_share=0.3, haze_m=1e4)
    ).astype(float)
    assert picture[sky].min() > 30.0
    rows = np.flatnonzero(sky.all(axis=1))
    assert picture[rows[-1]].mean() > picture[rows[0]].mean()  # brighter at the horizon


def test_the_side_that_faces_the_sun_is_brighter():
    target = flat(30.0, 0.5, (0.0, 0.0, 0.0, 1.5, 1.5, 1.5, 0.0))
    pose = look(-6.0, 0.0, 3.0, pitch_rad=0.4)
    rock = cast_rays(target, CAMERA, pose).mask == ROCK
    left = np.zeros_like(rock)
    left[:, :32] = True
    for azimuth, brighter in ((math.pi / 2, left), (-math.pi / 2, ~left)):
        lit = replace(target, sun=Sun(azimuth, 0.5))
        picture = render_view(lit, CAMERA, pose, settings=PLAIN)
        assert picture[rock & brighter].mean() > 1.6 * picture[rock & ~brighter].mean()


def test_shadows_are_dark_but_not_black():
    target = flat(30.0, 0.5, (0.0, 0.0, 0.0, 1.0, 1.0, 1.5, 0.0))
    target = replace(target, sun=Sun(0.0, 0.4))
    pose = look(-2.5, -0.01, 8.0, pitch_rad=math.pi / 2)
    cast = cast_rays(target, CAMERA, pose)
    picture = render_view(target, CAMERA, pose, settings=PLAIN).astype(float)
    points = cast.points_world()
    ground = cast.rock < 0
    shadow = ground & (points[..., 0] < -1.5) & (points[..., 0] > -2.5)
    shadow &= np.abs(points[..., 1]) < 0.3
    light = ground & (np.abs(points[..., 1]) > 1.5)
    assert 0.0 < picture[shadow].mean() < 0.15 * picture[light].mean()


def test_haze_hides_what_is_far():
    target = replace(flat(60.0, 0.5), body=Body.MARS)
    pose = look(-25.0, 0.0, 1.5, pitch_rad=0.2)
    clear, hazy = (
        render_view(
            target, CAMERA, pose, settings=replace(PLAIN, sky_share=0.3, haze_m=haze_m)
        ).astype(float)
        for haze_m in (1e6, 8.0)
    )
    ground = np.flatnonzero((cast_rays(target, CAMERA, pose).mask != SKY).all(axis=1))
    far, near = ground[0], ground[-1]
    assert hazy[far].mean() / hazy[near].mean() > 1.2 * clear[far].mean() / clear[near].mean()


def test_texture_stays_on_the_ground():
    """A camera that moves by whole pixels sees the same picture moved."""
    camera = camera_from_field_of_view(
        width_px=64, height_px=48, horizontal_fov_rad=2.0 * math.atan(0.5)
    )
    step_m = 1.0 / 64.0  # one pixel on the ground from 1 m
    target = flat(40.0, 0.5)
    settings_ = replace(PLAIN, pebbles_per_m2=30.0, relief_slope=0.2)
    one = render_view(
        target, camera, look(0.0, 0.0, 1.0, pitch_rad=math.pi / 2), settings=settings_
    )
    moved = look(5.0 * step_m, 0.0, 1.0, pitch_rad=math.pi / 2)
    two = render_view(target, camera, moved, settings=settings_)
    assert one.std() > 5.0
    correlation = np.corrcoef(one[:-5].ravel(), two[5:].ravel())[0, 1]
    assert correlation > 0.98
    assert abs(np.corrcoef(one[5:].ravel(), two[:-5].ravel())[0, 1]) < 0.5


def test_a_tile_keeps_its_mean_at_every_distance():
    tile = relief_tile(
        3, texel_m=0.004, rms_slope=0.2, pebbles_per_m2=50.0, pebble_m=(0.01, 0.05), sun=(0.3, 0.5)
    )
    rng = np.random.default_rng(0)
    x, y = rng.uniform(-20.0, 20.0, (2, 20_000))
    spread = []
    for footprint in (0.001, 0.01, 0.1, 100.0):
        values = tile.sample(x, y, np.full(x.size, footprint))
        assert values.mean() == pytest.approx(1.0, abs=0.03)
        spread.append(values.std())
    assert spread[0] > spread[1] > spread[2] > spread[3]
    assert spread[3] < 1e-3


def test_a_tile_is_its_image_and_repeats():
    image = np.random.default_rng(1).uniform(size=(SIDE_PX, SIDE_PX)).astype(np.float32)
    tile = build_tile(image, 0.01)
    rows, cols = np.array([0, 3, 511, 200]), np.array([0, 511, 5, 77])
    x, y = (cols + 0.5) * 0.01, (rows + 0.5) * 0.01
    small = np.full(4, 1e-4)
    np.testing.assert_allclose(tile.sample(x, y, small), image[rows, cols], rtol=1e-4)
    shifted = tile.sample(x - 3 * 5.12, y + 2 * 5.12, small)
    np.testing.assert_allclose(shifted, image[rows, cols], rtol=1e-3)
    middle = tile.sample(np.array([0.01]), np.array([0.01]), np.array([1e-4]))
    assert middle[0] == pytest.approx(image[:2, :2].mean(), rel=1e-4)


def test_the_full_moon_is_as_bright_at_its_edge():
    facing = np.array([0.2, 0.5, 1.0])
    bright = lunar_reflectance(facing, facing, np.zeros(3))
    np.testing.assert_allclose(bright, bright[0])
    assert lunar_reflectance(np.array([-0.1]), np.array([0.5]), np.array([1.0]))[0] == 0.0
    phase = np.linspace(0.0, 2.0, 20)
    ones = np.ones(20)
    assert (np.diff(lunar_reflectance(0.7 * ones, 0.7 * ones, phase)) < 0.0).all()


def test_mars_is_lambertian_under_its_sky():
    light = martian_reflectance(np.array([1.0, 0.5, -0.5]), 0.3, np.array([1.0, 1.0, -1.0]))
    np.testing.assert_allclose(light, [1.3, 0.8, 0.0])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("samples", 0),
        ("samples", 5),
        ("blur_px", -1.0),
        ("exposure", 0.0),
        ("noise", 1.0),
        ("haze_m", 0.0),
        ("pebbles_per_m2", 1000.0),
        ("sky_share", 2.0),
        ("fill_share", math.nan),
        ("relief_slope", -0.1),
    ],
)
def test_settings_out_of_range_are_refused(name, value):
    with pytest.raises(ConfigError, match=name):
        replace(MARS_CAMERA, **{name: value})
