"""Test the ray caster against formulas, against fine marching, and its properties."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.decoders import surface_grid_m
from support.small_worlds import flat, look, rough, world
from terrain_seg_ros.core.errors import GeometryError
from terrain_seg_ros.core.geometry.camera import CameraModel, camera_from_field_of_view
from terrain_seg_ros.core.image.image_to_tensor import TensorGeometry
from terrain_seg_ros.core.types import UNLABELLED, Transform
from terrain_seg_ros.worlds.cast_rays import RayCast, cast_rays, pixel_rays
from terrain_seg_ros.worlds.world import BEDROCK, ROCK, SKY, SOIL

CAMERA = camera_from_field_of_view(width_px=64, height_px=48, horizontal_fov_rad=1.2)
BENT = CameraModel(64, 48, 45.0, 44.0, 30.0, 25.0, "plumb_bob", (-0.25, 0.06, 0.001, -0.002, 0.0))
SMALL = camera_from_field_of_view(width_px=32, height_px=24, horizontal_fov_rad=1.2)
SMALL_BENT = CameraModel(32, 24, 22.0, 22.0, 15.0, 12.0, "plumb_bob", (-0.25, 0.06, 0.001, -0.002))
SMALL_FISH = CameraModel(32, 24, 12.0, 12.0, 15.5, 11.5, "equidistant", (0.02, -0.01, 0.003, 0.0))
FISH = CameraModel(64, 48, 24.0, 24.0, 31.5, 23.5, "equidistant", (0.02, -0.01, 0.003, 0.0))


STEP_M = 0.008


def march(target, cast, *, reach_m=16.0):
    """Return distance (along rays), class and rock of the rays of a cast by stepping finely."""
    pose = cast.world_T_camera
    rays = cast.rays.reshape(-1, 3)
    length = np.linalg.norm(rays, axis=1)
    directions = rays @ pose.rotation.T / length[:, np.newaxis]
    distance = np.full(len(rays), np.inf)
    rock = np.full(len(rays), -1)
    alive = np.flatnonzero(np.isfinite(length))
    top = float(surface_grid_m(target, *[np.arange(-4.0, 4.0, 0.05)] * 2).max()) + 0.1
    for t in np.arange(0.0, reach_m, STEP_M):
        height = pose.translation_m[2] + t * directions[alive, 2]
        alive = alive[(height < top) | (directions[alive, 2] < 0.0)]
        if height.min(initial=np.inf) > top:
            continue
        points = pose.translation_m + t * directions[alive]
        under = points[:, 2] < target.ground_height_m(points[:, 0], points[:, 1])
        inside = rock_at(target.rocks, points)
        met = under | (inside >= 0)
        distance[alive[met]] = t
        rock[alive[met]] = np.where(inside[met] >= 0, inside[met], -1)
        alive = alive[~met]
        if not alive.size:
            break
    return distance / length, rock


def rock_at(rocks, points):
    found = np.full(len(points), -1)
    for index in range(len(rocks)):
        cos, sin = math.cos(rocks.yaw_rad[index]), math.sin(rocks.yaw_rad[index])
        dx, dy = points[:, 0] - rocks.x_m[index], points[:, 1] - rocks.y_m[index]
        u = (cos * dx + sin * dy) / rocks.a_m[index]
        v = (cos * dy - sin * dx) / rocks.b_m[index]
        w = (points[:, 2] - rocks.z_m[index]) / rocks.c_m[index]
        found[u * u + v * v + w * w < 1.0] = index
    return found


def assert_same(target, cast):
    """Check against fine marching: the same but where a ray grazes, and there only near edges."""
    depth, rock = march(target, cast)
    depth, rock = depth.reshape(cast.mask.shape), rock.reshape(cast.mask.shape)
    ours = np.where(np.isnan(cast.depth_m), np.inf, cast.depth_m)
    with np.errstate(invalid="ignore"):
        close = (np.abs(ours - depth) < 1.01 * STEP_M) | (np.isinf(ours) & np.isinf(depth))
    assert np.mean(close & (rock == cast.rock)) > 0.985
    # A march with steps may pass through a thin edge, never stop at something that is not there.
    assert (ours[~close] < depth[~close]).all()
    bare = close & (rock != cast.rock)  # the two meet within a step of each other
    assert np.mean(bare) < 0.01


def test_level_ground_is_met_where_the_plane_is():
    target = flat(400.0, 1.0, height_m=2.0)
    pose = look(1.0, -2.0, 3.5, yaw_rad=0.7, pitch_rad=0.4, roll_rad=0.1)
    for camera in (CAMERA, BENT, FISH):
        cast = cast_rays(target, camera, pose)
        down = (cast.rays @ pose.rotation.T)[..., 2]
        with np.errstate(divide="ignore"):
            expected = np.where(down < 0.0, -1.5 / down, np.inf)
        points = cast.points_world()
        inside = expected * np.linalg.norm(cast.rays, axis=-1) < 190.0
        np.testing.assert_allclose(cast.depth_m[inside], expected[inside], rtol=1e-6)
        np.testing.assert_allclose(points[inside][:, 2], 2.0, atol=1e-4)
        assert (cast.mask[inside] == SOIL).all()
        assert (cast.mask[down >= 0.0] == SKY).all()
        assert np.isnan(cast.depth_m[down >= 0.0]).all()
        assert (cast.rock == -1).all()


def test_tilted_ground_is_met_where_the_plane_is():
    across = np.arange(-50.0, 50.5, 0.5)
    slope_x, slope_y = math.tan(0.26), -0.1
    ground = slope_x * across[np.newaxis, :] + slope_y * across[:, np.newaxis]
    pose = look(-3.0, 4.0, 1.0, yaw_rad=0.3, pitch_rad=0.5)
    cast = cast_rays(world(ground, 0.5), CAMERA, pose)
    directions = cast.rays @ pose.rotation.T
    normal = np.array([-slope_x, -slope_y, 1.0])
    expected = -(normal @ pose.translation_m) / (directions @ normal)
    met = np.isfinite(cast.depth_m)
    assert met.mean() > 0.5
    np.testing.assert_allclose(cast.depth_m[met], expected[met], rtol=1e-5)


@pytest.mark.parametrize("camera", [CAMERA, BENT, FISH])
def test_a_sphere_on_a_plane_is_met_where_the_formula_says(camera):
    centre, radius = np.array([4.0, 0.3, 0.2]), 0.7
    target = flat(60.0, 0.5, (*centre, radius, radius, radius, 0.3))
    pose = look(0.0, 0.0, 1.6, pitch_rad=0.3)
    cast = cast_rays(target, camera, pose)
    directions = cast.rays @ pose.rotation.T
    directions = directions / np.linalg.norm(cast.rays, axis=-1, keepdims=True)
    along = directions @ (centre - pose.translation_m)
    miss = np.sqrt(np.sum((centre - pose.translation_m) ** 2) - along**2)
    with np.errstate(invalid="ignore"):
        entry = pose.translation_m[2] + (along - np.sqrt(radius**2 - miss**2)) * directions[..., 2]
    expected = entry > 0.0
    assert expected.sum() > 20
    np.testing.assert_array_equal(cast.mask == ROCK, expected)
    np.testing.assert_array_equal(cast.rock == 0, expected)
    points = cast.points_world()[expected]
    np.testing.assert_allclose(np.linalg.norm(points - centre, axis=1), radius, atol=1e-5)


@settings(max_examples=8)
@given(
    seed=st.integers(0, 10_000),
    yaw=st.floats(-3.1, 3.1),
    pitch=st.floats(-0.1, 1.57),
    roll=st.floats(-0.5, 0.5),
    height=st.floats(0.5, 6.0),
    camera=st.sampled_from([SMALL, SMALL_BENT, SMALL_FISH]),
)
def test_agrees_with_fine_marching(seed, yaw, pitch, roll, height, camera):
    target = rough(seed)
    ground = float(target.ground_height_m(0.4, -0.7))
    pose = look(0.4, -0.7, ground + 0.5 + height, yaw_rad=yaw, pitch_rad=pitch, roll_rad=roll)
    assert_same(target, cast_rays(target, camera, pose))


def test_looks_from_outside_into_the_world():
    target = rough(5)
    pose = look(-9.0, 1.0, 3.0, pitch_rad=0.25)
    cast = cast_rays(target, SMALL, pose)
    assert 0.1 < np.isfinite(cast.depth_m).mean() < 0.9
    assert_same(target, cast)


@settings(max_examples=20)
@given(
    shift=st.tuples(st.integers(-8, 8), st.integers(-8, 8)),
    quarter=st.integers(0, 3),
    seed=st.integers(0, 100),
)
def test_moves_with_the_world(shift, quarter, seed):
    """A world turned by a right angle and moved by whole posts looks the same."""
    count = 41
    rng = np.random.default_rng(seed)
    patch = np.zeros((count, count))
    patch[12:-12, 12:-12] = rng.uniform(0.0, 0.5, (count - 24, count - 24))
    row = (0.6, -0.4, 0.4, 0.5, 0.3, 0.4, 0.2)
    pose = look(-2.0, -1.0, 2.0, yaw_rad=0.4, pitch_rad=0.4)
    here = cast_rays(world(patch, 0.25, row), CAMERA, pose)
    moved = np.rot90(np.roll(patch, (shift[1], shift[0]), axis=(0, 1)), -quarter)
    angle = 0.5 * math.pi * quarter
    cos, sin = round(math.cos(angle)), round(math.sin(angle))
    turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    offset = turn @ np.array([0.25 * shift[0], 0.25 * shift[1], 0.0])
    centre = turn @ np.array(row[:3]) + offset
    there = cast_rays(
        world(moved, 0.25, (*centre, *row[3:6], row[6] + angle)),
        CAMERA,
        Transform(turn @ pose.rotation, turn @ pose.translation_m + offset),
    )
    # The border of the world is not where it was.
    met = (here.depth_m < 4.0) & (there.depth_m < 4.0)
    assert met.mean() > 0.4
    np.testing.assert_allclose(here.depth_m[met], there.depth_m[met], rtol=1e-5)
    np.testing.assert_array_equal(here.rock[met], there.rock[met])


@settings(max_examples=30)
@given(
    x=st.floats(-6.0, 6.0),
    y=st.floats(-6.0, 6.0),
    z=st.floats(-1.0, 3.0),
    axes=st.tuples(*[st.floats(0.05, 3.0)] * 3),
    yaw=st.floats(-3.0, 3.0),
    camera=st.sampled_from([CAMERA, BENT, FISH]),
)
def test_no_pixel_of_a_rock_is_cut_off(x, y, z, axes, yaw, camera):
    """The bounding pixels hold the whole rock, also one beside or partly behind the camera."""
    target = flat(40.0, 1.0, (x, y, z, *axes, yaw), height_m=-5.0)
    pose = look(0.0, 0.0, 1.0, yaw_rad=0.2, pitch_rad=0.3, roll_rad=0.2)
    if rock_at(target.rocks, pose.translation_m[np.newaxis])[0] == 0:
        with pytest.raises(GeometryError, match="inside rock 0"):
            cast_rays(target, camera, pose)
        return
    cast = cast_rays(target, camera, pose)
    shape = np.diag(1.0 / np.array(axes)) @ np.array(
        [[math.cos(yaw), math.sin(yaw), 0], [-math.sin(yaw), math.cos(yaw), 0], [0, 0, 1]]
    )
    start = shape @ (pose.translation_m - [x, y, z])
    along = cast.rays @ pose.rotation.T @ shape.T
    square = np.sum(along**2, axis=-1)
    half = along @ start
    inside = half**2 - square * (start @ start - 1.0)
    clear = np.abs(inside) > 1e-9 * square
    entry_z = (
        pose.translation_m[2]
        + (-half - np.sqrt(np.maximum(inside, 0.0)))
        / square
        * (cast.rays @ pose.rotation.T)[..., 2]
    )
    expected = (inside > 0.0) & (half < 0.0) & (entry_z > -5.0)
    np.testing.assert_array_equal((cast.rock == 0)[clear], expected[clear])


def test_a_crest_hides_what_is_behind():
    across = np.arange(-10.0, 10.05, 0.1)
    crest = np.maximum(0.0, 1.0 - np.abs(across - 3.0))
    target = world(np.tile(crest, (across.size, 1)), 0.1, (5.5, 0.0, 0.0, 0.3, 0.3, 0.3, 0.0))
    pose = look(0.0, 0.0, 1.2, pitch_rad=0.2)
    cast = cast_rays(target, CAMERA, pose)
    points = cast.points_world()
    shadow_end = 3.0 + 1.0 / 0.2 * 3.0  # the line of sight over the crest comes down again here
    hidden = (points[..., 0] > 3.001) & (points[..., 0] < min(9.9, shadow_end))
    assert not hidden.any()
    assert not (cast.mask == ROCK).any()
    assert (cast_rays(target, CAMERA, look(0.0, 0.0, 3.0, pitch_rad=0.4)).mask == ROCK).any()


def test_the_nearest_post_gives_the_class():
    classes = np.full((5, 5), SOIL, dtype=np.uint8)
    classes[:, 3:] = BEDROCK
    target = world(np.zeros((5, 5)), 1.0, classes=classes)
    cast = cast_rays(target, CAMERA, look(0.5, 0.0, 1.0, pitch_rad=math.pi / 2))
    x = cast.points_world()[..., 0]
    np.testing.assert_array_equal(cast.mask[x < 0.4999], SOIL)
    np.testing.assert_array_equal(cast.mask[x > 0.5001], BEDROCK)


def test_pixels_of_a_network_see_what_the_image_sees_there():
    target = rough(3)
    pose = look(-3.0, 0.0, float(target.ground_height_m(-3.0, 0.0)) + 1.5, pitch_rad=0.4)
    whole = cast_rays(target, CAMERA, pose)
    geometry = TensorGeometry(2.0, 2.0, 0.5, 0.5, 31, 23, 64, 48)  # centres on odd pixels
    small = cast_rays(target, CAMERA, pose, geometry=geometry)
    np.testing.assert_array_equal(small.mask, whole.mask[1:-1:2, 1:-1:2])
    np.testing.assert_array_equal(small.depth_m, whole.depth_m[1:-1:2, 1:-1:2])


def test_padding_has_no_class():
    geometry = TensorGeometry(1.0, 1.0, 0.0, -8.0, 64, 64, 64, 48)
    cast = cast_rays(flat(20.0, 1.0), CAMERA, look(0, 0, 2, pitch_rad=1.0), geometry=geometry)
    padding = np.ones((64, 64), dtype=bool)
    padding[8:56] = False
    np.testing.assert_array_equal(cast.mask == UNLABELLED, padding)
    assert np.isnan(cast.depth_m[padding]).all()


def test_sky_alone():
    cast = cast_rays(rough(1), CAMERA, look(0.0, 0.0, 5.0, pitch_rad=-1.2))
    assert (cast.mask == SKY).all()
    assert np.isnan(cast.points_world()).all()


def test_a_camera_under_the_ground_is_refused():
    with pytest.raises(GeometryError, match=r"0\.500 m under the ground at \(1\.00, 2\.00\)"):
        cast_rays(flat(20.0, 1.0), CAMERA, look(1.0, 2.0, -0.5))


def test_an_image_of_another_size_is_refused():
    geometry = TensorGeometry(1.0, 1.0, 0.0, 0.0, 32, 32, 32, 32)
    with pytest.raises(GeometryError, match="camera_info describes"):
        cast_rays(flat(20.0, 1.0), CAMERA, look(0.0, 0.0, 1.0), geometry=geometry)


def test_layers_of_another_shape_are_refused():
    cast = cast_rays(flat(20.0, 1.0), CAMERA, look(0.0, 0.0, 1.0))
    with pytest.raises(GeometryError, match="expected one"):
        RayCast(cast.mask[1:], cast.depth_m, cast.rock, cast.rays, cast.world_T_camera)


def test_rays_are_shared_and_read_only():
    assert pixel_rays(BENT, None) is pixel_rays(BENT, None)
    with pytest.raises(ValueError, match="read-only"):
        pixel_rays(BENT, None)[0] = 0.0
