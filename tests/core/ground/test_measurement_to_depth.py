"""Test how depth images and clouds become one depth per pixel."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.scenes import (
    FISHEYE,
    LENS,
    PINHOLE,
    STRETCH,
    level_depth,
    mounting,
    pose,
    project,
    projector,
)
from terrain_seg_ros.core.errors import GeometryError, MessageError
from terrain_seg_ros.core.geometry.frames import rotation_from_rpy
from terrain_seg_ros.core.geometry.pixel_rays import Pixels, RayStore, Reach, trace_rays
from terrain_seg_ros.core.ground.ground_view import Poses
from terrain_seg_ros.core.ground.measurement import DepthCloud, DepthImage, GroundPoint
from terrain_seg_ros.core.ground.measurement_to_depth import measurement_to_depth
from terrain_seg_ros.core.image.image_to_tensor import TensorGeometry
from terrain_seg_ros.core.types import Reason, Transform

REACH = Reach(100.0, 100.0, 0.1)
angle = st.floats(-math.pi, math.pi)
far = st.floats(-1e5, 1e5)


def depths(measured, camera=PINHOLE, geometry=STRETCH, grid_T_camera=None):
    pixels = Pixels(camera, geometry, REACH)
    poses = Poses(grid_T_camera or mounting(), pose())
    return measurement_to_depth(measured, pixels, RayStore(), poses=poses).depth_m


def every_pixel(camera, grid_T_camera, grid_T_points):
    """Return a cloud (N, 3) of level ground, one point per image pixel, in its sensor's frame."""
    depth = level_depth(camera, grid_T_camera).ravel()
    v, u = np.indices((camera.height_px, camera.width_px))
    optical = camera.rays(u, v) * depth[:, np.newaxis].astype(float)
    here = optical @ grid_T_camera.rotation.T + grid_T_camera.translation_m
    return (here - grid_T_points.translation_m) @ grid_T_points.rotation


def test_the_pixel_in_the_middle_is_taken_and_never_a_mean():
    depth = np.full((240, 320), 2.0, dtype=np.float32)
    depth[:, 161:] = 7.0
    found = depths(DepthImage(depth, 0))
    assert set(np.unique(found)) == {2.0, 7.0}
    u = np.rint((np.arange(128) + 0.5) * 2.5 - 0.5).astype(int)
    np.testing.assert_array_equal(found[5], depth[0, u])


def test_a_missing_middle_is_taken_from_beside_it_only_within_the_pixel():
    depth = np.full((240, 320), np.nan, dtype=np.float32)
    u = np.rint((np.arange(128) + 0.5) * 2.5 - 0.5).astype(int)
    depth[:, u[40] + 1] = 3.0
    depth[:, u[80] - 1] = 4.0
    found = depths(DepthImage(depth, 0))
    assert (found[:, 40] == 3.0).all()
    assert (found[:, 80] == 4.0).all()
    assert 2 * 128 <= np.isfinite(found).sum() <= 4 * 128
    fine = TensorGeometry(1.0, 1.0, 100.0, 50.0, 128, 128, 320, 240)
    one = np.full((240, 320), np.nan, dtype=np.float32)
    one[100, 150] = 3.0
    assert np.isfinite(depths(DepthImage(one, 0), geometry=fine)).sum() == 1


def test_a_depth_image_of_another_size_is_refused():
    with pytest.raises(GeometryError, match="160 x 120"):
        depths(DepthImage(np.ones((120, 160), dtype=np.float32), 0))


def test_without_a_measurement_or_with_an_echo_alone_there_is_none():
    assert np.isnan(depths(None)).all()
    assert np.isnan(depths(GroundPoint(np.zeros(3)))).all()


@given(
    camera=st.sampled_from([PINHOLE, LENS, FISHEYE]),
    angles=st.tuples(angle, angle, angle),
    at=st.tuples(far, far, far),
)
@settings(max_examples=20)
def test_a_dense_cloud_in_any_frame_gives_the_depth_of_the_ground(camera, angles, at):
    grid_T_camera = mounting()
    near = np.array(at) * 1e-4
    grid_T_points = Transform(rotation_from_rpy(*angles), near)
    cloud = every_pixel(camera, grid_T_camera, grid_T_points).astype(np.float32)
    found = depths(DepthCloud(cloud, grid_T_points, 0), camera=camera)
    wanted = depths(DepthImage(level_depth(camera, grid_T_camera), 0), camera=camera)
    both = np.isfinite(found) & np.isfinite(wanted) & (wanted < 12.0)
    assert both.sum() > 0.9 * (wanted < 12.0).sum()
    np.testing.assert_allclose(found[both], wanted[both], rtol=0.15)
    measured = DepthCloud(cloud, grid_T_points, 0)
    view = project(projector("depth"), pose(), camera=camera, measured=measured)
    seen = view.reason == Reason.OBSERVED
    assert seen.sum() > 0.9 * both.sum()
    # Only pixels that were filled in are not exact.
    assert np.quantile(np.abs(view.local_z_m[seen]), 0.9) < 1e-3


def test_the_nearest_point_of_a_pixel_hides_the_others():
    ray = np.array([0.1, 0.2, 1.0])
    cloud = np.stack([ray * depth for depth in (5.0, 2.0, 9.0)]).astype(np.float32)
    found = depths(DepthCloud(cloud, mounting(), 0))
    assert np.isfinite(found).sum() == 1
    assert np.nanmin(found) == 2.0


def test_what_shows_through_between_nearer_points_is_taken_out():
    down = mounting(pitch_down=math.pi / 2, height=6.0)
    rays = trace_rays(PINHOLE, STRETCH)
    near = np.s_[40:60:2, 40:60:2]
    far_away = np.s_[41:59:2, 41:59:2]
    parts = [
        np.stack([rays.x[some] * z, rays.y[some] * z, np.full(rays.x[some].shape, z)], -1)
        for some, z in ((near, 2.0), (far_away, 5.0))
    ]
    cloud = np.concatenate([part.reshape(-1, 3) for part in parts]).astype(np.float32)
    found = depths(DepthCloud(cloud, down, 0), grid_T_camera=down)
    assert np.nanmax(found) == pytest.approx(2.0)
    # Between two of one surface a pixel is filled in.
    assert np.isfinite(found[40, 41:58]).all()
    assert np.isnan(found[:39]).all()


def test_sparse_points_leave_the_ground_between_them_unmeasured():
    camera = mounting()
    cloud = every_pixel(PINHOLE, camera, camera).reshape(240, 320, 3)[::24].reshape(-1, 3)
    cloud = np.concatenate([cloud, np.full((5, 3), np.nan)]).astype(np.float32)
    view = project(projector("depth"), pose(), measured=DepthCloud(cloud, camera, 0))
    share = (view.reason == Reason.OBSERVED).mean()
    assert 0.01 < share < 0.1
    assert (view.reason == Reason.NO_DEPTH).mean() > 0.4
    np.testing.assert_allclose(view.local_z_m[view.reason == Reason.OBSERVED], 0.0, atol=0.05)


def test_points_behind_the_camera_and_empty_clouds_give_nothing():
    behind = np.array([[0.0, 0.0, -2.0], [0.1, 0.1, 0.0]], dtype=np.float32)
    assert np.isnan(depths(DepthCloud(behind, mounting(), 0))).all()
    assert np.isnan(depths(DepthCloud(behind[:0], mounting(), 0))).all()
    with pytest.raises(MessageError, match="expected \\(N, 3\\)"):
        DepthCloud(behind[:, :2], mounting(), 0)
