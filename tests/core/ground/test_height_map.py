"""Test where rays meet a height map: against an independent march, relief, borders, errors."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.scenes import (
    CELL_M,
    FISHEYE,
    LENS,
    PINHOLE,
    STRETCH,
    mounting,
    pose,
    project,
    projector,
)
from support.small_worlds import rough
from terrain_seg_ros.core.errors import ConfigError, GeometryError
from terrain_seg_ros.core.geometry.pixel_rays import trace_rays
from terrain_seg_ros.core.ground.height_map import HeightMap, rays_to_depth
from terrain_seg_ros.core.types import Reason

tilt = st.floats(-math.radians(10), math.radians(10))
yaw = st.floats(-math.pi, math.pi)


def level(side=201, resolution_m=0.2, height_m=0.0, x_m=0.0, y_m=0.0):
    half = 0.5 * (side - 1) * resolution_m
    return HeightMap(
        np.full((side, side), height_m, dtype=np.float32), x_m - half, y_m - half, resolution_m
    )


def rolling(seed):
    world = rough(seed, side_m=40.0, spacing_m=0.2, rock_count=1, height_m=0.3)
    half = world.half_side_m
    return HeightMap(world.ground_m.astype(np.float32), -half, -half, 0.2)


def marched(heights, rays, camera, reach_m):
    """Return the depth (N,) at which rays first meet the map, by small steps; NaN where none."""
    depth = np.linspace(0.2, reach_m, 2000)
    found = np.full(len(rays), np.nan)
    for index, ray in enumerate(rays):
        points = camera.translation_m + depth[:, np.newaxis] * (camera.rotation @ ray)
        below = points[:, 2] <= heights.at(points[:, 0], points[:, 1])
        if below.any():
            found[index] = depth[np.argmax(below)]
    return found


@given(
    camera=st.sampled_from([PINHOLE, LENS, FISHEYE]),
    angles=st.tuples(tilt, tilt, yaw),
    at=st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)),
)
@settings(max_examples=20)
def test_a_level_map_is_the_plane_of_the_grid(camera, angles, at):
    heights = level(height_m=0.25, x_m=at[0], y_m=at[1])
    base = pose(*angles, *at, 0.25)
    found = project(projector("height_map", heights=heights), base, camera=camera)
    plane = project(projector(plane="grid_plane", plane_height_m=0.25), base, camera=camera)
    both = (found.reason == Reason.OBSERVED) & (plane.reason == Reason.OBSERVED)
    assert both.sum() > 0.98 * (plane.reason == Reason.OBSERVED).sum()
    np.testing.assert_allclose(found.range_m[both], plane.range_m[both], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.local_z_m[both], 0.0, atol=1e-3)


@given(seed=st.integers(0, 50), angles=st.tuples(tilt, tilt, yaw))
@settings(max_examples=5)
def test_rays_meet_rolling_ground_where_a_march_of_small_steps_does(seed, angles):
    heights = rolling(seed)
    ground_m = float(heights.at(np.zeros(1), np.zeros(1))[0])
    camera = pose(*angles, 0.0, 0.0, ground_m) @ mounting()
    traced = trace_rays(PINHOLE, STRETCH)
    depth = rays_to_depth(heights, traced, camera, max_range_m=15.0)
    picked = np.s_[::13, ::13]
    rays = np.stack([traced.x, traced.y, np.ones_like(traced.x)], axis=-1)[picked].reshape(-1, 3)
    wanted = marched(heights, rays, camera, 14.0)
    found = depth[picked].ravel()
    both = np.isfinite(wanted) & np.isfinite(found) & (found < 13.0)
    assert both.sum() > 20
    lengths = np.linalg.norm(rays, axis=1)[both]
    apart_m = np.abs(found - wanted)[both] * lengths
    # A crest is met or missed by a hair: the few rays there may differ.
    assert np.quantile(apart_m, 0.95) < 2.0 * CELL_M
    assert np.median(apart_m) < 0.2 * CELL_M
    assert (np.isnan(wanted) != np.isnan(found))[~(found > 13.0)].mean() < 0.1


def test_relief_hides_what_is_behind_it():
    heights = level(resolution_m=0.1, side=301)
    wall = np.zeros((301, 301), dtype=np.float32)
    wall[:, 190:194] = 0.8
    heights = HeightMap(wall, heights.origin_x_m, heights.origin_y_m, 0.1)
    view = project(projector("height_map", heights=heights), pose())
    seen = view.reason == Reason.OBSERVED
    top_m = view.local_x_m[seen & (view.local_z_m > 0.7)]
    assert top_m.min() > 3.85
    assert top_m.max() < 4.45
    shadow_end_m = 0.3 + 1.5 * (4.3 - 0.3) / (1.5 - 0.8)
    ahead = seen & (np.abs(view.local_y_m) < 0.3)
    hidden = ahead & (view.local_x_m > 4.5) & (view.local_x_m < shadow_end_m - 0.3)
    assert not hidden.any()
    assert (ahead & (view.local_x_m > shadow_end_m)).any()


def test_outside_the_map_and_in_its_holes_there_is_no_depth():
    small = level(side=31, resolution_m=0.2)
    view = project(projector("height_map", heights=small), pose())
    beyond = project(projector(), pose())
    out = (np.abs(beyond.x_m) > 3.1) & (beyond.reason == Reason.OBSERVED)
    assert (view.reason[out] == Reason.NO_DEPTH).all()
    inside = (np.abs(beyond.x_m) < 2.8) & (np.abs(beyond.y_m) < 2.8)
    assert (view.reason[inside & np.isfinite(beyond.x_m)] == Reason.OBSERVED).all()
    holed = level()
    holed.heights_m[95:105, 112:120] = np.nan
    view = project(projector("height_map", heights=holed), pose())
    x, y = beyond.x_m, beyond.y_m
    hole = (x > 2.5) & (x < 3.5) & (np.abs(y) < 0.5)
    assert (view.reason[hole] == Reason.NO_DEPTH).all()
    behind = (x > 4.5) & (x < 6.0) & (np.abs(y) < 0.5)
    assert (view.reason[behind] == Reason.OBSERVED).all()


def test_straight_down_and_at_the_sky():
    down = mounting(pitch_down=math.pi / 2, height=20.0)
    of = projector("height_map", heights=level(), max_range_m=50.0)
    view = project(of, pose(), mount=down)
    assert (view.reason == Reason.OBSERVED).all()
    np.testing.assert_allclose(view.local_z_m, 0.0, atol=1e-3)
    sky = project(of, pose(), mount=mounting(pitch_down=-0.9))
    assert (sky.reason == Reason.OUTSIDE_VIEW).all()


def test_a_camera_under_the_map_is_refused():
    with pytest.raises(GeometryError, match="grid_frame"):
        project(projector("height_map", heights=level(height_m=5.0)), pose())


def test_without_a_map_the_source_is_refused():
    with pytest.raises(ConfigError, match=r"ground\.height_map"):
        projector("height_map")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"heights_m": np.zeros((1, 5), dtype=np.float32)}, "2 x 2"),
        ({"heights_m": np.zeros((5, 5))}, "float64"),
        ({"heights_m": np.full((5, 5), np.nan, dtype=np.float32)}, "no finite height"),
        ({"origin_x_m": math.inf}, "origin"),
        ({"resolution_m": 0.0}, "resolution"),
    ],
)
def test_maps_that_cannot_be_are_refused(changes, said):
    values = {"heights_m": np.zeros((5, 5), np.float32), "origin_x_m": 0.0, "origin_y_m": 0.0}
    with pytest.raises(ConfigError, match=said):
        HeightMap(**{**values, "resolution_m": 1.0, **changes})
