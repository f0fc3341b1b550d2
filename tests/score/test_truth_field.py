from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from support.small_world import small_world
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.geometry.camera import camera_from_field_of_view
from terrain_seg_ros.core.types import GridSnapshot, Transform
from terrain_seg_ros.score.truth_field import TruthField, Window, visible_cells
from terrain_seg_ros.worlds.cast_rays import cast_rays

DOWN = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]])


def field(world, *, slope_deg=20.0):
    return TruthField(
        world,
        cell_m=0.1,
        min_hazard_m=0.2,
        max_slope_rad=math.radians(slope_deg),
        baseline_m=1.0,
    )


def snapshot(side, x_m, y_m, *, resolution_m=0.1):
    blank = np.zeros((side, side))
    return GridSnapshot(
        cost=blank.astype(np.int8),
        hazard=blank.astype(np.float32),
        reason=blank.astype(np.uint8),
        resolution_m=resolution_m,
        origin_x_m=x_m,
        origin_y_m=y_m,
        frame_id="odom",
        stamp_ns=0,
    )


def test_cells_that_a_big_rock_touches_are_hazards_and_small_rocks_are_not():
    truth = field(small_world(rocks=[(1.0, 2.0, 0.5), (-3.0, 0.0, 0.09)]))
    window = truth.window(snapshot(300, -15.0, -15.0))
    hazard = truth.cut(truth.hazard, window, outside=True)
    x_m, y_m = truth.centres_m(window)
    gap_m = np.hypot(x_m[np.newaxis, :] - 1.0, y_m[:, np.newaxis] - 2.0) - 0.5
    assert hazard[gap_m < 0.0].all()
    assert not hazard[gap_m > 0.08].any()
    assert np.abs(truth.distance_m - np.maximum(gap_m, 0.0)).max() < 0.03


def test_steep_ground_is_a_hazard():
    sloped = small_world(slope=math.tan(math.radians(15)))
    assert not field(sloped, slope_deg=15.5).hazard.any()
    assert field(sloped, slope_deg=14.5).hazard[10:-10, 10:-10].all()


def test_windows_follow_the_grid_and_may_leave_the_world():
    truth = field(small_world(rocks=[(1.0, 2.0, 0.5)]))
    window = truth.window(snapshot(40, 0.0, 1.0))
    assert window == Window(160, 150, 40)
    assert truth.cut(truth.hazard, window, outside=False)[10, 10]
    beyond = truth.cut(truth.hazard, Window(290, -10, 40), outside=True)
    assert beyond[10:].all()
    assert beyond[:, :10].all()
    assert not beyond[:10, 10:].any()
    with pytest.raises(ConfigError, match=r"cells of 0\.2 m"):
        truth.window(snapshot(4, 0.0, 0.0, resolution_m=0.2))


def test_a_world_of_too_many_cells_is_refused():
    with pytest.raises(ConfigError, match=r"cells of 0\.001"):
        TruthField(small_world(), cell_m=0.001, min_hazard_m=0.2, max_slope_rad=1.0, baseline_m=1.0)


def test_cells_are_visible_in_view_near_and_not_hidden():
    truth = field(small_world())
    camera = camera_from_field_of_view(width_px=100, height_px=100, horizontal_fov_rad=1.0)
    pose = Transform(DOWN, np.array([0.0, 0.0, 5.0]))
    window = truth.window(snapshot(100, -5.0, -5.0))
    cast = replace(
        cast_rays(truth.world, camera, pose), depth_m=np.full((100, 100), 5.0, np.float32)
    )
    cast.depth_m[:, 60:] = 2.0
    seen = visible_cells(
        truth, window, camera=camera, cast=cast, max_range_m=20.0, max_sample_m=1.0
    )
    x_m, y_m = truth.centres_m(window)
    half_m = 5.0 * math.tan(0.5)
    inside = (np.abs(x_m)[np.newaxis, :] < half_m - 0.1) & (
        np.abs(y_m)[:, np.newaxis] < half_m - 0.1
    )
    assert seen[inside & (x_m < 0.5)[np.newaxis, :]].all()
    assert not seen[inside & (x_m > 0.7)[np.newaxis, :]].any()
    assert not seen[np.abs(y_m) > half_m + 0.1].any()
    for trust in (
        {"max_range_m": 4.9, "max_sample_m": 1.0},
        {"max_range_m": 20.0, "max_sample_m": 0.04},
    ):
        assert not visible_cells(truth, window, camera=camera, cast=cast, **trust).any()
