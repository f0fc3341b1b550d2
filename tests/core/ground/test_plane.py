"""Test the kinds of plane: which one each is, and what they need."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.numpy_plane import numpy_intersect_plane
from support.scenes import PINHOLE, STRETCH, mounting, pose, project, projector
from terrain_seg_ros.core.errors import GeometryError
from terrain_seg_ros.core.geometry.frames import BODY_R_OPTICAL, rotation_from_rpy
from terrain_seg_ros.core.geometry.pixel_rays import PixelRays, Reach
from terrain_seg_ros.core.ground.measurement import GroundPoint
from terrain_seg_ros.core.ground.plane_intersection import intersect_plane
from terrain_seg_ros.core.types import Reason

tilt = st.floats(-math.radians(10), math.radians(10))
yaw = st.floats(-math.pi, math.pi)


@given(angles=st.tuples(tilt, tilt, yaw), z=st.floats(-2.0, 2.0), height=st.floats(-0.5, 0.5))
@settings(max_examples=25)
def test_the_grids_plane_stays_where_it_is_whatever_the_vehicle_does(angles, z, height):
    of = projector(plane="grid_plane", plane_height_m=height)
    if z + 1.0 < height:
        with pytest.raises(GeometryError, match="below the ground plane"):
            project(of, pose(*angles, z=height - 3.0))
        return
    view = project(of, pose(*angles, x=5.0, z=z))
    np.testing.assert_allclose(view.z_m[np.isfinite(view.range_m)], height, atol=1e-4)
    assert (view.reason == Reason.OBSERVED).any()


@given(angles=st.tuples(tilt, tilt, yaw), echo_z=st.floats(-20.0, 0.5))
@settings(max_examples=25)
def test_an_echo_says_how_low_the_ground_is(angles, echo_z):
    of = projector(plane="range_plane", plane_height_m=99.0, max_range_m=200.0)
    echo = GroundPoint(np.array([3.0, -2.0, echo_z]))
    view = project(of, pose(*angles, z=0.0), measured=echo)
    known = np.isfinite(view.range_m)
    assert known.any()
    np.testing.assert_allclose(view.z_m[known], echo_z, atol=1e-3)


def test_without_an_echo_nothing_is_observed_and_nothing_fails():
    of = projector(plane="range_plane")
    view = project(of, pose())
    assert (view.reason == Reason.NO_DEPTH).all()
    assert np.isnan(view.local_x_m).all()
    assert view.smallest_hazard_m is None
    points = of.points_optical(
        PINHOLE,
        STRETCH,
        height_px=24,
        width_px=32,
        grid_T_camera=mounting(),
        grid_T_base=pose(),
    )
    assert np.isnan(points).all()
    assert (
        of.residual(
            PINHOLE,
            STRETCH,
            GroundPoint(np.zeros(3)),
            grid_T_camera=mounting(),
            grid_T_base=pose(),
        )
        is None
    )


@given(angles=st.tuples(tilt, tilt, yaw))
@settings(max_examples=25)
def test_a_mast_that_leans_with_the_body_keeps_the_ground_level(angles):
    view = project(projector(plane="gravity_plane"), pose(*angles))
    seen = view.reason == Reason.OBSERVED
    camera = pose(*angles) @ mounting()
    rays = np.stack([view.x_m, view.y_m, view.z_m], axis=-1)[seen] - camera.translation_m
    uv = PINHOLE.project(rays @ camera.rotation)
    rows, cols = np.nonzero(seen)
    np.testing.assert_allclose(uv[:, 0], (cols + 0.5) * 2.5 - 0.5, atol=0.05)
    np.testing.assert_allclose(uv[:, 1], (rows + 0.5) * 1.875 - 0.5, atol=0.05)
    assert np.abs(view.z_m[seen]).max() < 1e-4


@pytest.mark.parametrize("plane", ["vehicle_plane", "gravity_plane", "grid_plane"])
def test_a_camera_that_sees_only_the_sky_observes_nothing(plane):
    view = project(projector(plane=plane), pose(), mount=mounting(pitch_down=-0.9))
    assert (view.reason == Reason.OUTSIDE_VIEW).all()
    assert view.smallest_hazard_m is None


@pytest.mark.parametrize("plane", ["vehicle_plane", "gravity_plane"])
def test_a_camera_at_zero_altitude_is_refused(plane):
    with pytest.raises(GeometryError, match="plane_height_m"):
        project(projector(plane=plane), pose(), mount=mounting(height=0.0))


def test_the_smallest_hazard_is_two_ground_samples():
    down = mounting(pitch_down=math.pi / 2, height=10.0)
    view = project(projector(max_range_m=50.0), pose(), mount=down)
    pixel_m = 10.0 * 2.5 / PINHOLE.fx_px
    assert view.smallest_hazard_m == pytest.approx(2.0 * pixel_m, rel=0.1)
    higher = project(projector(max_range_m=50.0), pose(z=10.0), mount=down)
    assert higher.smallest_hazard_m == view.smallest_hazard_m
    assert project(
        projector(max_range_m=50.0, plane="grid_plane"), pose(z=10.0), mount=down
    ).smallest_hazard_m == pytest.approx(2.0 * view.smallest_hazard_m, rel=1e-3)


def test_heights_and_resolutions_of_any_size_work():
    low = project(
        projector(cell_m=0.001, max_range_m=0.5), pose(), mount=mounting(1.2, height=0.01)
    )
    assert (low.reason == Reason.OBSERVED).any()
    high = project(
        projector(cell_m=100.0, max_range_m=1e4, max_ground_sample_m=1e3),
        pose(),
        mount=mounting(1.2, height=5000.0),
    )
    assert (high.reason == Reason.OBSERVED).any()
    assert np.isfinite(high.local_x_m[high.reason == Reason.OBSERVED]).all()


@given(seed=st.integers(0, 2**32 - 1), cell_m=st.sampled_from([0.05, 0.2, math.inf]))
@settings(max_examples=60)
def test_the_compiled_loops_equal_their_numpy_reference(seed, cell_m):
    """The root of a sum of squares differs from numpy's `hypot` in its last bit."""
    random = np.random.default_rng(seed)
    height, width = random.integers(1, 24, 2)
    v, u = np.mgrid[0.0:height, 0.0:width] - np.array([height, width])[:, None, None] / 2.0
    x, y = (u * 0.04).astype(np.float32), (v * 0.04).astype(np.float32)
    x[random.random(x.shape) < 0.05] = np.nan
    rays = PixelRays(x, y, np.sqrt(x * x + y * y + np.float32(1.0)), np.full_like(x, 0.04))
    turn = rotation_from_rpy(0.0, random.uniform(-0.3, 1.5), random.uniform(-3.0, 3.0))
    camera = (turn @ BODY_R_OPTICAL, random.uniform(0.2, 3.0, 3))
    reach = Reach(random.uniform(1.0, 40.0), random.uniform(0.05, 2.0), cell_m)
    found, expected = (way(rays, camera, reach) for way in (intersect_plane, numpy_intersect_plane))
    np.testing.assert_array_equal(found.reason, expected.reason)
    for name in ("x_m", "y_m", "depth_m", "range_m", "spacing_m", "cell_x_m", "cell_y_m"):
        np.testing.assert_allclose(
            getattr(found, name), getattr(expected, name), rtol=1e-5, atol=1e-5
        )
    orders = [
        np.lexsort((np.hypot(fill.x_m - camera[1][0], fill.y_m - camera[1][1]), fill.pixel))
        for fill in (found.fill, expected.fill)
    ]
    for name, tolerance in (("pixel", 0), ("x_m", 1e-4), ("y_m", 1e-4)):
        points, reference = (
            getattr(view.fill, name)[order] for view, order in zip((found, expected), orders)
        )
        np.testing.assert_allclose(points, reference, rtol=0, atol=tolerance)
