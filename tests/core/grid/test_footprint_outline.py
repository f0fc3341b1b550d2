import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.outlines import outlines
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.geometry.frames import rotation_from_rpy
from terrain_seg_ros.core.grid.cost_to_safe_map import FootprintSettings
from terrain_seg_ros.core.grid.footprint_outline import corners_of, heading_rad
from terrain_seg_ros.core.types import Transform


@pytest.mark.parametrize(
    ("corners", "words"),
    [
        (((0.0, 0.0), (1.0, 0.0)), "2 corners"),
        (((0.0, 0.0), (1.0, 0.0), (math.nan, 1.0)), "is nan, expected a list of numbers"),
        (((0.0, 0.0), (1.0, 1.0), (1.0, 0.0), (0.0, 1.0)), "crosses or touches itself"),
        (((0.0, 0.0), (1.0, 0.0), (2.0, 0.0)), "crosses or touches itself"),
        (((0.0, 0.0), (0.0, 0.0), (1.0, 0.0), (0.0, 1.0)), "none of them twice"),
        (((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.0, 0.0)), "none of them twice"),
        (((0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (1.0, 0.0), (0.0, 2.0)), "touches itself"),
    ],
    ids=["two", "nan", "crossing", "flat", "same corner", "closed", "corner on an edge"],
)
def test_outlines_that_are_none_are_refused(corners, words):
    with pytest.raises(ConfigError, match=words):
        FootprintSettings(0.5, 0.1, 2.0, corners)


@given(outlines())
def test_outlines_without_crossing_are_taken_in_either_order(corners):
    for good in (corners, corners[::-1]):
        assert FootprintSettings(0.5, 0.1, 2.0, good).polygon_m == good


@given(outlines())
def test_corners_come_from_a_flat_list_and_one_number_is_no_outline(corners):
    assert corners_of([value for corner in corners for value in corner]) == corners
    assert corners_of([0.0]) == corners_of([]) == ()


@pytest.mark.parametrize("count", [2, 3, 4, 5, 7, 9])
def test_lists_that_are_not_pairs_or_too_short_are_refused(count):
    with pytest.raises(ConfigError, match=f"has {count} numbers.*use the radius"):
        corners_of([1.0] * count)


@given(st.floats(-3.1, 3.1), st.floats(-0.9, 0.9), st.floats(-0.9, 0.9), st.floats(-9.0, 9.0))
def test_the_heading_is_the_yaw_however_the_body_is_tilted(yaw_rad, roll_rad, pitch_rad, x_m):
    rotation = rotation_from_rpy(roll_rad, pitch_rad, yaw_rad)
    assert heading_rad(Transform(rotation, np.array([x_m, 0.0, 0.0]))) == pytest.approx(yaw_rad)


@pytest.mark.parametrize("pitch_rad", [1.2, -1.2, math.pi / 2.0])
def test_an_axis_that_points_up_or_down_has_no_heading(pitch_rad):
    rotation = rotation_from_rpy(0.0, pitch_rad, 0.5)
    assert heading_rad(Transform(rotation, np.zeros(3))) is None
