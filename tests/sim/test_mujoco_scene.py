"""What MuJoCo draws is what rays into the world meet."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from support.drawing import needs_drawing
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.geometry.camera import CameraModel, camera_from_field_of_view
from terrain_seg_ros.core.geometry.frames import BODY_R_OPTICAL, rotation_from_rpy
from terrain_seg_ros.core.types import Transform
from terrain_seg_ros.score.paths import DescentSettings, DriveSettings, descend, drive
from terrain_seg_ros.sim.mujoco_scene import MujocoScene, check_camera
from terrain_seg_ros.worlds.cast_rays import cast_rays
from terrain_seg_ros.worlds.generate import generate_world
from terrain_seg_ros.worlds.world import ROCK, SKY, Body

CAMERA = camera_from_field_of_view(width_px=256, height_px=192, horizontal_fov_rad=1.15)


def views(world, body, seed):
    """Return poses of the camera on a drive, or on a descent."""
    if body is Body.MARS:
        mounting = Transform(rotation_from_rpy(0, 0.35, 0) @ BODY_R_OPTICAL, np.array([0, 0, 1.8]))
        path = drive(world, DriveSettings(count=4, step_m=2.0, body_tilt_rad=0.1), seed=seed)
    else:
        mounting = Transform(rotation_from_rpy(0, math.pi / 2, 0) @ BODY_R_OPTICAL, np.zeros(3))
        settings = DescentSettings(count=4, start_m=30.0, end_m=8.0)
        path = descend(world, settings, seed=seed)
    return [pose.world_T_base @ mounting for pose in path]


@pytest.fixture(scope="module", params=[(Body.MARS, 1), (Body.MARS, 8), (Body.MOON, 2)])
def drawn(request):
    body, seed = request.param
    world = generate_world(body, seed, side_m=40.0, spacing_m=0.1)
    with MujocoScene(world, (CAMERA,)) as scene:
        yield (
            [
                (
                    pose,
                    scene.image(CAMERA, pose),
                    scene.truth(CAMERA, pose),
                    cast_rays(world, CAMERA, pose),
                )
                for pose in views(world, body, seed)
            ],
            world,
        )


@needs_drawing
def test_masks_agree_with_cast_rays(drawn):
    for _, _, truth, cast in drawn[0]:
        assert np.mean(truth.mask == cast.mask) >= 0.99


@needs_drawing
def test_depth_is_within_centimetres_and_sky_has_none(drawn):
    for _, _, truth, cast in drawn[0]:
        both = np.isfinite(truth.depth_m) & np.isfinite(cast.depth_m)
        error = np.abs(truth.depth_m - cast.depth_m)[both & (cast.depth_m < 20.0)]
        if error.size:
            assert np.median(error) < 0.005
            assert np.percentile(error, 98) < 0.05
        assert np.isnan(truth.depth_m[truth.mask == SKY]).all()
        assert np.isfinite(truth.depth_m[truth.mask != SKY]).all()


@needs_drawing
def test_points_of_the_ground_lie_on_the_worlds_ground(drawn):
    world = drawn[1]
    for _, _, truth, _ in drawn[0]:
        near = (truth.rock < 0) & (truth.depth_m < 15.0)
        points = truth.points_world()[near]
        if not len(points):
            continue
        error = np.abs(points[:, 2] - world.ground_height_m(points[:, 0], points[:, 1]))
        assert np.nanpercentile(error, 99) < 0.02


@needs_drawing
def test_the_same_rocks_are_seen(drawn):
    for _, _, truth, cast in drawn[0]:
        index, pixels = np.unique(cast.rock[cast.rock >= 0], return_counts=True)
        large = index[pixels >= 12]
        assert set(large.tolist()) <= set(np.unique(truth.rock).tolist())
        assert (truth.mask[truth.rock >= 0] == ROCK).all()


@needs_drawing
def test_pictures_show_ground_light_and_sky(drawn):
    world = drawn[1]
    for _, image, truth, _ in drawn[0]:
        grey = image.mean(axis=2)
        ground = grey[truth.mask != SKY]
        assert 30 < ground.mean() < 200
        assert ground.std() > 8
        sky = image[truth.mask == SKY]
        if sky.size and world.body is Body.MARS:
            assert (sky[:, 0] > sky[:, 2]).all(), "dusty"


@needs_drawing
def test_the_moon_has_a_black_sky_and_black_shadows():
    world = generate_world(Body.MOON, 4, side_m=40.0, spacing_m=0.1)
    position = np.array([0.0, 0.0, float(world.ground_height_m(0.0, 0.0)) + 4.0])
    pose = Transform(rotation_from_rpy(0, 0.2, 1.0) @ BODY_R_OPTICAL, position)
    with MujocoScene(world, (CAMERA,)) as scene:
        image, truth = scene.image(CAMERA, pose), scene.truth(CAMERA, pose)
    assert (truth.mask == SKY).any()
    assert image[truth.mask == SKY].max() == 0
    assert (image[truth.mask != SKY].max(axis=1) < 15).mean() > 0.003


@needs_drawing
def test_a_camera_off_its_middle_row_sees_what_rays_meet():
    world = generate_world(Body.MARS, 1, side_m=30.0, spacing_m=0.1)
    camera = replace(CAMERA, cy_px=CAMERA.cy_px - 30.0)
    position = np.array([0.0, 0.0, float(world.ground_height_m(0.0, 0.0)) + 3.0])
    pose = Transform(rotation_from_rpy(0, 0.6, 0.0) @ BODY_R_OPTICAL, position)
    with MujocoScene(world, (camera,)) as scene:
        truth = scene.truth(camera, pose)
    assert np.mean(truth.mask == cast_rays(world, camera, pose).mask) >= 0.99


def test_a_world_with_too_many_posts_is_refused():
    world = generate_world(Body.MOON, 0, side_m=20.5, spacing_m=0.01)
    with pytest.raises(ConfigError, match="2051 posts along a side"):
        MujocoScene(world, (CAMERA,))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"distortion_model": "plumb_bob", "coefficients": (0.1, 0, 0, 0, 0)}, "distortion"),
        ({"fy_px": 100.0}, "square pixels"),
        ({"cx_px": 20.0}, "middle column"),
    ],
)
def test_cameras_that_cannot_be_drawn_are_refused(changes, message):
    camera: CameraModel = replace(CAMERA, **changes)
    with pytest.raises(ConfigError, match=message):
        check_camera(camera)
