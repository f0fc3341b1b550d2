"""Test measured ground: agreement with a plane, edges, gaps, trust."""

import math
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.numpy_depth import numpy_depth_to_ground
from support.scenes import (
    CELL_M,
    FISHEYE,
    LENS,
    PINHOLE,
    STRETCH,
    cells,
    level_depth,
    mounting,
    pose,
    project,
    projector,
)
from terrain_seg_ros.core.geometry.frames import BODY_R_OPTICAL, rotation_from_rpy
from terrain_seg_ros.core.geometry.pixel_rays import PixelRays, Reach
from terrain_seg_ros.core.ground.depth import depth_to_ground
from terrain_seg_ros.core.ground.ground_view import GroundView, Poses
from terrain_seg_ros.core.ground.measurement import DepthImage
from terrain_seg_ros.core.image.image_to_tensor import TensorGeometry
from terrain_seg_ros.core.types import Reason, Transform

tilt = st.floats(-math.radians(10), math.radians(10))
yaw = st.floats(-math.pi, math.pi)
far = st.floats(-1e6, 1e6)
WALL_M = 3.0


def seen_with(depth_m, grid_T_base=None, **options):
    measured = DepthImage(np.asarray(depth_m, dtype=np.float32), 0)
    return project(projector("depth"), grid_T_base or pose(), measured=measured, **options)


def step_scene():
    """Return the depth of level ground with a wall 0.5 m high across the view at `WALL_M`."""
    camera = mounting()
    depth = level_depth(PINHOLE, camera)
    v, u = np.indices(depth.shape)
    rays = PINHOLE.rays(u, v).reshape(*depth.shape, 3) @ camera.rotation.T
    t = (WALL_M - camera.translation_m[0]) / rays[..., 0]
    height = camera.translation_m[2] + t * rays[..., 2]
    wall = (t > 0.0) & (height > 0.0) & (height < 0.5)
    return np.where(wall & (t < np.nan_to_num(depth, nan=np.inf)), t, depth).astype(np.float32)


@given(
    camera=st.sampled_from([PINHOLE, LENS, FISHEYE]),
    angles=st.tuples(tilt, tilt, yaw),
    at=st.tuples(far, far),
)
@settings(max_examples=30)
def test_on_flat_ground_depth_and_plane_agree_within_a_cell(camera, angles, at):
    base = pose(*angles, *at)
    depth = level_depth(camera, base @ mounting())
    measured = seen_with(depth, base, camera=camera)
    plane = project(projector(), base, camera=camera)
    both = (measured.reason == Reason.OBSERVED) & (plane.reason == Reason.OBSERVED)
    assert both.sum() > 0.9 * (plane.reason == Reason.OBSERVED).sum()
    # Depth is that of the image pixel next to the tensor pixel's middle, at most half a pixel off.
    off_px = 0.5 * max(1.0 / STRETCH.scale_x, 1.0 / STRETCH.scale_y)
    allowed_m = CELL_M + off_px * plane.ground_sample_m[both].astype(float)
    for axis, measured_m in enumerate((measured.local_x_m, measured.local_y_m)):
        turn = plane.grid_R_plane[axis]
        there_m = turn[0] * plane.plane_x_m[both] + turn[1] * plane.plane_y_m[both]
        assert (np.abs(measured_m[both] - there_m) <= allowed_m).all()
    assert np.abs(measured.local_z_m[both]).max() < 2e-3
    # At single pixels on the rim of a fisheye image the two differ a little more.
    close = np.isclose(measured.ground_sample_m[both], plane.ground_sample_m[both], rtol=0.6)
    assert close.mean() > 0.999


@given(turn=yaw, at=st.tuples(far, far, st.floats(-100.0, 100.0)))
@settings(max_examples=25)
def test_moving_and_turning_the_whole_scene_moves_and_turns_the_points(turn, at):
    depth = step_scene()
    here = seen_with(depth)
    there = seen_with(depth, pose(yaw=turn, x=at[0], y=at[1], z=at[2]))
    np.testing.assert_array_equal(here.reason, there.reason)
    np.testing.assert_allclose(here.range_m, there.range_m, rtol=1e-6)
    cos, sin = math.cos(turn), math.sin(turn)
    turned_x = cos * here.local_x_m - sin * here.local_y_m
    turned_y = sin * here.local_x_m + cos * here.local_y_m
    np.testing.assert_allclose(there.local_x_m, turned_x, atol=1e-4)
    np.testing.assert_allclose(there.local_y_m, turned_y, atol=1e-4)
    np.testing.assert_allclose(there.local_z_m, here.local_z_m, atol=1e-4)
    assert there.fill_pixel.size == here.fill_pixel.size


@pytest.mark.requirement("TSR-SAFE-016")
def test_what_a_step_hides_is_never_filled():
    view = seen_with(step_scene())
    distance_m = 1.5 * (WALL_M - 0.3) / (1.5 - 0.5) + 0.3
    hidden = {
        col for col, row in cells(view) if row == 0 and WALL_M + 0.1 < col * CELL_M < distance_m
    }
    assert not {col for col in hidden if (col + 1) * CELL_M < distance_m - 0.05}
    ahead = {col for col, row in cells(view) if row == 0}
    assert set(range(16, 30)) <= ahead
    assert set(range(math.ceil(distance_m / CELL_M) + 1, 80)) <= ahead
    on_wall = np.abs(view.plane_x_m - WALL_M) < 0.02
    assert view.local_z_m[on_wall].max() == pytest.approx(0.5, abs=0.03)


def test_level_ground_is_filled_without_a_gap_as_far_as_it_is_trusted():
    view = seen_with(level_depth(PINHOLE, mounting()))
    ahead = sorted(col for col, row in cells(view) if row == 0)
    assert [col for col in ahead if col < 75] == list(range(16, 75))
    assert view.fill_pixel.size > 1000


@pytest.mark.requirement("TSR-SAFE-017")
@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, -1.0])
def test_without_depth_nothing_is_observed(value):
    view = seen_with(np.full((240, 320), value))
    assert set(np.unique(view.reason)) <= {Reason.NO_DEPTH, Reason.OUTSIDE_VIEW}
    assert (view.reason == Reason.NO_DEPTH).mean() > 0.5
    assert np.isnan(view.x_m).all()
    assert np.isnan(view.z_m).all()
    none = project(projector("depth"), pose())
    assert (none.reason == Reason.NO_DEPTH).mean() == pytest.approx(
        (view.reason == Reason.NO_DEPTH).mean(), abs=0.02
    )


def test_a_hole_in_the_depth_stays_a_hole():
    depth = level_depth(PINHOLE, mounting())
    depth[150:180, 140:180] = np.nan
    view = seen_with(depth)
    inside = view.reason[82:94, 58:70]
    assert (inside == Reason.NO_DEPTH).all()
    beside = view.reason[82:94, 20:50]
    assert (beside == Reason.OBSERVED).all()


def test_a_pixel_of_two_surfaces_at_once_is_none():
    depth = np.full((240, 320), 2.0)
    depth[:, 160:] = 4.0
    depth[:, 157:162] = 3.0
    view = seen_with(depth, mount=mounting(pitch_down=math.pi / 2))
    mixed = np.abs(view.range_m - 3.0) < 0.3
    assert not mixed[40:90, 62:66].any() or mixed[40:90, 62:66].sum() > 80
    thin = np.full((240, 320), 2.0)
    thin[:, 160:] = 4.0
    thin[:, 159:162] = 3.0
    view = seen_with(thin, mount=mounting(pitch_down=math.pi / 2))
    assert (view.reason[40:90, 64] == Reason.NO_DEPTH).all()
    assert (view.reason[40:90, 60] == Reason.OBSERVED).all()


def test_far_and_coarse_ground_is_not_trusted():
    depth = level_depth(PINHOLE, mounting(0.2))
    measured = DepthImage(depth, 0)
    near = project(
        projector("depth", max_range_m=4.0), pose(), measured=measured, mount=mounting(0.2)
    )
    assert (near.reason[near.range_m > 4.0] == Reason.TOO_FAR).all()
    fine = project(
        projector("depth", max_ground_sample_m=0.1), pose(), measured=measured, mount=mounting(0.2)
    )
    assert (fine.reason[fine.ground_sample_m > 0.1] == Reason.TOO_FAR).all()
    assert (fine.reason == Reason.OBSERVED).any()


def test_measured_ground_may_be_trusted_less_far_than_a_plane():
    changes = {"max_ground_sample_m": 0.3, "max_depth_sample_m": 0.1}
    mount = mounting(0.2)
    measured = DepthImage(level_depth(PINHOLE, mount), 0)
    fine = project(projector("depth", **changes), pose(), measured=measured, mount=mount)
    assert (fine.reason[fine.ground_sample_m > 0.1] == Reason.TOO_FAR).all()
    plane = project(projector(**changes), pose(), mount=mount)
    assert (plane.ground_sample_m[plane.reason == Reason.OBSERVED] > 0.1).any()


def test_the_noise_of_a_height_grows_with_the_range_and_the_steepness_of_the_ray():
    mount = mounting(0.4)
    measured = DepthImage(level_depth(PINHOLE, mount), 0)
    exact = project(projector("depth"), pose(), measured=measured, mount=mount)
    assert exact.height_sigma_m is None
    noisy = project(
        projector("depth", range_sigma_m=0.01, range_sigma_per_m2=0.002),
        pose(),
        measured=measured,
        mount=mount,
    )
    known = np.isfinite(noisy.range_m)
    range_m = noisy.range_m[known]
    expected_m = (0.01 + 0.002 * range_m**2) * 1.5 / range_m
    np.testing.assert_allclose(noisy.height_sigma_m[known], expected_m, rtol=0.02)


def test_padding_around_the_image_is_outside_the_view():
    letterbox = TensorGeometry(2.5, 2.5, 0.0, -40.0, 128, 128, 320, 240)
    view = seen_with(level_depth(PINHOLE, mounting(0.9)), geometry=letterbox, mount=mounting(0.9))
    assert (view.reason[:16] == Reason.OUTSIDE_VIEW).all()
    assert (view.reason[112:] == Reason.OUTSIDE_VIEW).all()
    assert (view.reason[60:110] == Reason.OBSERVED).all()


def test_ground_that_is_coarse_both_ways_is_filled_without_holes():
    down = mounting(pitch_down=math.pi / 2, height=12.0)
    depth = np.full((240, 320), 12.0, dtype=np.float32)
    coarse = TensorGeometry(10.0, 10.0, 0.0, 0.0, 32, 24, 320, 240)
    of = projector("depth", max_range_m=30.0)
    view = project(of, pose(yaw=0.6), measured=DepthImage(depth, 0), geometry=coarse, mount=down)
    assert np.median(view.ground_sample_m) > 4.0 * CELL_M
    covered = cells(view)
    middle = {(col, row) for col in range(-20, 20) for row in range(-20, 20)}
    assert middle <= covered
    owners = np.stack([view.local_x_m.ravel(), view.local_y_m.ravel()])[:, view.fill_pixel]
    apart = np.hypot(view.fill_x_m - owners[0], view.fill_y_m - owners[1])
    assert apart.max() < 0.75 * float(np.nanmax(view.ground_sample_m))


def test_the_grid_is_told_where_nothing_was_measured():
    depth = level_depth(PINHOLE, mounting())
    depth[:, 160:] = np.nan
    view = seen_with(depth, pose(x=1e6, y=-1e6))
    plane = project(projector(plane="vehicle_plane"), pose(x=1e6, y=-1e6))
    lacking = (view.reason == Reason.NO_DEPTH) & (plane.reason == Reason.OBSERVED)
    assert lacking[60:, 70:].all()
    assert cells(view, where=lacking) >= cells(plane, where=lacking & (plane.range_m < 8.0))
    assert np.isnan(view.local_z_m[lacking]).all()
    assert np.isnan(view.range_m[lacking]).all()


def test_a_small_thing_is_trusted_as_the_ground_around_it_is():
    """Its edges lie far apart; left out they would leave its cell to the ground beside it."""
    down = mounting(pitch_down=math.pi / 2, height=12.0)
    depth = np.full((240, 320), 12.0, dtype=np.float32)
    whole = TensorGeometry(1.0, 1.0, 0.0, 0.0, 320, 240, 320, 240)
    made = projector("depth", max_range_m=30.0, max_ground_sample_m=0.06)
    rock = (slice(118, 120), slice(158, 160))
    for height_m in (0.0, 0.06):
        depth[rock] = 12.0 - height_m
        view = project(made, pose(), measured=DepthImage(depth, 0), geometry=whole, mount=down)
        assert (view.reason[rock] == Reason.OBSERVED).all()
    assert np.nanmax(view.ground_sample_m[rock]) > 0.06


@given(seed=st.integers(0, 2**32 - 1), cell_m=st.sampled_from([0.05, 0.2, math.inf]))
@settings(max_examples=60)
def test_the_compiled_loops_equal_their_numpy_reference(seed, cell_m):
    random = np.random.default_rng(seed)
    height, width = random.integers(1, 24, 2)
    v, u = np.mgrid[0.0:height, 0.0:width] - np.array([height, width])[:, None, None] / 2.0
    x, y = (u * 0.04).astype(np.float32), (v * 0.04).astype(np.float32)
    length = np.sqrt(x * x + y * y + np.float32(1.0))
    rays = PixelRays(x, y, length, np.full_like(x, 0.04))
    turn = rotation_from_rpy(0.0, random.uniform(0.1, 1.2), random.uniform(-3.0, 3.0))
    camera = Transform(turn @ BODY_R_OPTICAL, random.uniform(0.5, 3.0, 3))
    depth_m = random.uniform(1.0, 3.0) + np.cumsum(random.normal(0.0, 0.02, x.shape), axis=0)
    depth_m[:, width // 2 :] += random.choice([0.0, 1.0, -0.5])
    depth_m[random.random(x.shape) < 0.1] = np.nan
    reach = Reach(random.uniform(1.0, 4.0), random.uniform(0.05, 0.5), cell_m)
    given = (depth_m.astype(np.float32), rays, reach, Poses(camera, pose()))
    found, expected = depth_to_ground(*given), numpy_depth_to_ground(*given)
    for field in fields(GroundView):
        np.testing.assert_array_equal(getattr(found, field.name), getattr(expected, field.name))
