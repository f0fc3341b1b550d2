"""Test the ground projection: round trips, tilt, horizon, trust, exactness far away."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terrain_seg_ros.core.errors import ConfigError, GeometryError
from terrain_seg_ros.core.geometry.camera import CameraModel, camera_from_field_of_view
from terrain_seg_ros.core.geometry.frames import BODY_R_OPTICAL, rotation_from_rpy
from terrain_seg_ros.core.ground.mask_to_ground import GroundProjector, GroundSettings
from terrain_seg_ros.core.image.image_to_tensor import TensorGeometry
from terrain_seg_ros.core.types import Reason, Transform

CELL_M = 0.1
CAMERA = camera_from_field_of_view(width_px=320, height_px=240, horizontal_fov_rad=1.2)
GEOMETRY = TensorGeometry(
    scale_x=5.0,
    scale_y=5.0,
    offset_x_px=0.0,
    offset_y_px=0.0,
    width_px=64,
    height_px=48,
    image_width_px=320,
    image_height_px=240,
)
VALUES = {
    "source": "plane",
    "plane": "vehicle_plane",
    "base_frame": "base_link",
    "plane_height_m": 0.0,
    "max_range_m": 1000.0,
    "max_ground_sample_m": 1000.0,
    "range_sigma_m": 0.0,
    "range_sigma_per_m2": 0.0,
    "max_depth_sample_m": 1000.0,
}
LENSES = [
    CAMERA,
    CameraModel(320, 240, 210.0, 215.0, 161.0, 118.0, "plumb_bob", (-0.2, 0.05, 1e-3, 1e-3, 0.0)),
    CameraModel(320, 240, 150.0, 150.0, 160.0, 120.0, "equidistant", (-0.02, 0.004, 0.0, 0.0)),
]
tilt = st.floats(-math.radians(10), math.radians(10))
yaw = st.floats(-math.pi, math.pi)
far = st.floats(-1e6, 1e6)


def projector(**changes):
    return GroundProjector(GroundSettings(**{**VALUES, **changes}), cell_m=CELL_M)


def mounting(pitch_down=0.3, height=1.5, yaw=0.0):
    return Transform(
        rotation_from_rpy(0.0, pitch_down, yaw) @ BODY_R_OPTICAL, np.array([0.4, 0.1, height])
    )


def pose(roll=0.0, pitch=0.0, yaw=0.0, x=0.0, y=0.0, z=0.0):
    return Transform(rotation_from_rpy(roll, pitch, yaw), np.array([x, y, z]))


def project(with_projector, grid_T_base, base_T_camera=None, camera=CAMERA, geometry=GEOMETRY):
    return with_projector.project(
        camera,
        geometry,
        grid_T_camera=grid_T_base @ (base_T_camera or mounting()),
        grid_T_base=grid_T_base,
    )


def optical(with_projector, height, width, grid_T_camera=None, grid_T_base=None):
    return with_projector.points_optical(
        CAMERA,
        GEOMETRY,
        height_px=height,
        width_px=width,
        grid_T_camera=grid_T_camera or mounting(),
        grid_T_base=grid_T_base or pose(),
    )


def ground_of(view):
    """Return the exact ground points (N, 3) and their rows and columns."""
    rows, cols = np.nonzero(view.reason == Reason.OBSERVED)
    flat = [view.plane_x_m[rows, cols], view.plane_y_m[rows, cols], np.zeros(rows.size)]
    points = np.stack(flat, axis=1).astype(float) @ view.grid_R_plane.T + view.anchor_m
    return points, rows, cols


def pixels_of(points, grid_T_camera, camera=CAMERA):
    return camera.project((points - grid_T_camera.translation_m) @ grid_T_camera.rotation)


@given(
    lens=st.sampled_from(LENSES),
    plane=st.sampled_from(["vehicle_plane", "gravity_plane"]),
    angles=st.tuples(tilt, tilt, yaw),
    at=st.tuples(far, far),
    height=st.floats(-0.5, 0.5),
)
@settings(max_examples=60)
def test_ground_points_project_back_to_their_pixels(lens, plane, angles, at, height):
    grid_T_base = pose(*angles, *at, 0.0)
    with_projector = projector(plane=plane, plane_height_m=height, max_range_m=20.0)
    view = project(with_projector, grid_T_base, camera=lens)
    points, rows, cols = ground_of(view)
    assert len(points) > 50
    wanted = np.stack([cols * 5.0 + 2.0, rows * 5.0 + 2.0], axis=1)
    found = pixels_of(points, grid_T_base @ mounting(), lens)
    np.testing.assert_allclose(found, wanted, atol=0.02)


@given(
    plane=st.sampled_from(["vehicle_plane", "gravity_plane"]),
    angles=st.tuples(tilt, tilt, yaw),
    at=st.tuples(far, far),
)
@settings(max_examples=60)
def test_rays_meet_the_plane_within_half_a_cell_of_an_independent_solution(plane, angles, at):
    grid_T_base = pose(*angles, *at, 3.0)
    view = project(projector(plane=plane, max_range_m=30.0), grid_T_base)
    points, rows, cols = ground_of(view)
    camera = grid_T_base @ mounting()
    rays = CAMERA.rays(cols * 5.0 + 2.0, rows * 5.0 + 2.0) @ camera.rotation.T
    up = grid_T_base.rotation[:, 2] if plane == "vehicle_plane" else np.array([0.0, 0.0, 1.0])
    depth = (grid_T_base.translation_m - camera.translation_m) @ up / (rays @ up)
    exact = camera.translation_m + rays * depth[:, np.newaxis]
    assert np.abs(points - exact).max() < CELL_M / 100
    lengths = np.linalg.norm(exact - camera.translation_m, axis=1)
    np.testing.assert_allclose(view.range_m[rows, cols], lengths, rtol=1e-4)


@given(angles=st.tuples(tilt, tilt, yaw))
@settings(max_examples=30)
def test_on_flat_ground_a_pitching_body_needs_the_gravity_plane(angles):
    view = project(projector(plane="gravity_plane"), pose(*angles))
    assert np.nanmax(np.abs(view.z_m)) < 1e-4


@given(pitch=st.floats(-0.17, 0.17), yaw=yaw)
@settings(max_examples=30)
def test_on_a_slope_the_vehicle_plane_follows_it(pitch, yaw):
    view = project(projector(max_range_m=30.0), pose(0.0, pitch, yaw))
    near = view.reason == Reason.OBSERVED
    ahead = view.x_m * math.cos(yaw) + view.y_m * math.sin(yaw)
    np.testing.assert_allclose(view.z_m[near], -math.tan(pitch) * ahead[near], atol=1e-3)


@pytest.mark.requirement("TSR-SAFE-019")
@given(pitch_down=st.floats(-0.4, 0.8))
@settings(max_examples=40)
def test_nothing_above_the_horizon_is_ground(pitch_down):
    view = project(
        projector(max_range_m=1e4, max_ground_sample_m=1e3), pose(), mounting(pitch_down)
    )
    rows = np.arange(48) * 5.0 + 2.0
    below = math.pi / 2 + np.arctan((rows - CAMERA.cy_px) / CAMERA.fy_px) + pitch_down
    observed = view.reason == Reason.OBSERVED
    assert not observed[below < math.pi / 2 - 1e-4].any()
    assert observed[below > math.pi / 2 + 1e-2].all()
    assert (np.isnan(view.x_m) == (view.reason == Reason.OUTSIDE_VIEW)).all()


@pytest.mark.requirement("TSR-SAFE-014")
def test_pixels_too_far_say_so_and_keep_their_place():
    view = project(projector(max_range_m=5.0), pose(), mounting(pitch_down=0.2))
    beyond = view.range_m > 5.0
    assert beyond.any()
    assert (view.reason[beyond] == Reason.TOO_FAR).all()
    assert (view.reason[view.range_m <= 5.0] == Reason.OBSERVED).all()
    assert np.isfinite(view.x_m[beyond]).all()


@pytest.mark.requirement("TSR-SAFE-014")
def test_trust_ends_where_neighbours_lie_too_far_apart():
    limit_m = 0.4
    view = project(projector(max_ground_sample_m=limit_m), pose(), mounting(pitch_down=0.2))
    column = 32
    step_m = -np.diff(view.x_m[:, column])
    seen = view.reason[:, column] == Reason.OBSERVED
    farthest = int(np.argmax(seen))
    assert view.reason[farthest - 1, column] == Reason.TOO_FAR
    assert step_m[farthest] < limit_m * 1.1
    assert step_m[farthest - 1] > limit_m * 0.9
    sample_m = view.ground_sample_m[:, column]
    around_m = 0.5 * (step_m[farthest : farthest + 9] + step_m[farthest + 1 : farthest + 10])
    np.testing.assert_allclose(sample_m[farthest + 1 : farthest + 10], around_m, rtol=0.1)
    assert (np.isnan(view.ground_sample_m) == np.isnan(view.range_m)).all()
    assert view.local_z_m is None


@given(pitch_down=st.floats(0.1, 0.6), yaw=yaw, at=st.tuples(far, far))
@settings(max_examples=20)
def test_between_far_pixels_the_ground_is_filled_to_the_size_of_a_cell(pitch_down, yaw, at):
    limit_m = 6 * CELL_M
    turned = pose(0.0, 0.0, yaw, *at)
    view = project(projector(max_ground_sample_m=limit_m), turned, mounting(pitch_down))
    column = 31
    seen = np.flatnonzero(view.reason[:, column] == Reason.OBSERVED) * 64 + column
    points = [np.stack([view.local_x_m.ravel()[seen], view.local_y_m.ravel()[seen]], axis=1)]
    for pixel in seen:
        mine = view.fill_pixel == pixel
        points.append(np.stack([view.fill_x_m[mine], view.fill_y_m[mine]], axis=1))
    foot = rotation_from_rpy(0.0, 0.0, yaw)[:2, :2] @ [0.4, 0.1]
    distance_m = np.sort(np.linalg.norm(np.concatenate(points) - foot, axis=1))
    assert np.diff(distance_m).max() < CELL_M
    per_pixel = np.bincount(view.fill_pixel, minlength=view.reason.size).reshape(48, 64)
    assert not per_pixel[view.reason != Reason.OBSERVED].any()


def test_padding_of_a_letterbox_is_outside_the_view():
    letterbox = TensorGeometry(
        scale_x=5.0,
        scale_y=5.0,
        offset_x_px=0.0,
        offset_y_px=-40.0,
        width_px=64,
        height_px=64,
        image_width_px=320,
        image_height_px=240,
    )
    view = project(projector(), pose(), mounting(pitch_down=0.9), geometry=letterbox)
    assert (view.reason[:8] == Reason.OUTSIDE_VIEW).all()
    assert (view.reason[56:] == Reason.OUTSIDE_VIEW).all()
    assert (view.reason[8:56] == Reason.OBSERVED).all()


def test_a_kept_view_is_used_again_only_for_the_same_mounting():
    kept = projector(max_range_m=20.0)
    first = project(kept, pose(0.05, -0.05, 1.0, 5.0))
    again = project(kept, pose(-0.1, 0.1, -2.0, 1e6, 1e6))
    assert again.range_m is first.range_m
    other = project(kept, pose(), mounting(pitch_down=0.35))
    assert other.range_m is not first.range_m
    fresh = project(projector(max_range_m=20.0), pose(), mounting(pitch_down=0.35))
    np.testing.assert_array_equal(other.x_m, fresh.x_m)
    kept.apply_settings(GroundSettings(**{**VALUES, "max_range_m": 3.0}), cell_m=CELL_M)
    assert (project(kept, pose()).reason == Reason.TOO_FAR).any()


def test_a_slow_drift_of_the_mounting_does_not_pile_up():
    kept = projector(max_range_m=20.0)
    for index in range(200):
        pitch = 0.3 + index * 5e-8
        drifted = project(kept, pose(), mounting(pitch_down=pitch))
    exact = project(projector(max_range_m=20.0), pose(), mounting(pitch_down=pitch))
    near = exact.reason == Reason.OBSERVED
    np.testing.assert_allclose(drifted.x_m[near], exact.x_m[near], atol=1e-4)


@given(angles=st.tuples(tilt, tilt, yaw), at=st.tuples(far, far))
@settings(max_examples=20)
def test_optical_points_agree_with_the_ground(angles, at):
    grid_T_base = pose(*angles, *at)
    grid_T_camera = grid_T_base @ mounting()
    both = projector(max_range_m=20.0)
    view = project(both, grid_T_base)
    points = optical(both, 48, 64, grid_T_camera, grid_T_base)
    assert points.shape == (48, 64, 3)
    assert points.dtype == np.float32
    seen = view.reason == Reason.OBSERVED
    assert (np.isfinite(points).all(axis=-1) == seen).all()
    ground = points[seen] @ grid_T_camera.rotation.T + grid_T_camera.translation_m
    np.testing.assert_allclose(ground, ground_of(view)[0], atol=2e-3)


def test_optical_points_have_the_image_size_and_the_trust_of_the_network():
    careful = projector(max_ground_sample_m=0.4)
    grid_T_camera = mounting(pitch_down=0.2)
    whole = optical(careful, 240, 320, grid_T_camera)
    assert whole.shape == (240, 320, 3)
    view = project(careful, pose(), grid_T_camera)
    shares = [np.isfinite(whole[..., 0]).mean(), (view.reason == Reason.OBSERVED).mean()]
    assert shares[0] == pytest.approx(shares[1], abs=0.03)
    fewer = optical(careful, 24, 32, grid_T_camera)
    assert np.isfinite(fewer[..., 0]).mean() == pytest.approx(shares[0], abs=0.05)
    again = optical(careful, 240, 320, grid_T_camera)
    assert again is whole
    with pytest.raises(ValueError, match="read-only"):
        again[0, 0] = 0.0


def test_what_is_kept_is_bounded():
    kept = projector()
    for index in range(40):
        optical(kept, 4 + index, 4)
    assert max(len(kept._rays), len(kept._ground._views), len(kept._points)) <= 16


def test_points_of_no_size_are_refused():
    with pytest.raises(GeometryError, match="points_decimation"):
        optical(projector(), 0, 64)


def test_straight_down_from_high_above_nothing_breaks():
    down = Transform(
        rotation_from_rpy(0.0, math.pi / 2, 0.0) @ BODY_R_OPTICAL, np.array([0.0, 0.0, 90.0])
    )
    view = project(projector(), pose(), down)
    assert (view.reason == Reason.OBSERVED).all()
    assert np.isfinite(view.fill_x_m).all()


@pytest.mark.parametrize("height", [0.0, -1.0])
def test_a_camera_below_the_ground_is_refused(height):
    with pytest.raises(GeometryError, match="plane_height_m"):
        project(projector(), pose(), mounting(height=height))


def test_an_image_of_another_camera_is_refused():
    other = camera_from_field_of_view(width_px=640, height_px=480, horizontal_fov_rad=1.2)
    with pytest.raises(GeometryError, match="640 x 480"):
        project(projector(), pose(), camera=other)


@pytest.mark.parametrize(
    "changes",
    [
        {"plane": "flat_earth"},
        {"base_frame": ""},
        {"plane_height_m": math.nan},
        {"max_range_m": 0.0},
        {"max_ground_sample_m": math.inf},
    ],
)
def test_settings_out_of_range_are_refused_by_name(changes):
    with pytest.raises(ConfigError, match=next(iter(changes))):
        projector(**changes)
