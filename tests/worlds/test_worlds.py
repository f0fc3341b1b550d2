"""Test what a world says of itself."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.decoders import surface_grid_m
from support.small_worlds import flat, rough, world
from terrain_seg_ros.core.errors import ConfigError, GeometryError
from terrain_seg_ros.worlds.world import BEDROCK, SOIL, Sun


@given(x=st.floats(-4.0, 4.0), y=st.floats(-4.0, 4.0))
def test_ground_is_bilinear(x, y):
    target = rough(2, side_m=8.0, spacing_m=1.0, rock_count=0)
    col, row = x + 4.0, y + 4.0
    left, low = min(int(col), 7), min(int(row), 7)
    u, v = col - left, row - low
    posts = target.ground_m[low : low + 2, left : left + 2].astype(float)
    expected = (posts * np.outer([1 - v, v], [1 - u, u])).sum()
    assert float(target.ground_height_m(x, y)) == pytest.approx(expected, abs=1e-6)


def test_there_is_no_ground_outside():
    target = flat(8.0, 1.0)
    assert np.isnan(target.ground_height_m([4.01, 0.0, -4.01], [0.0, 4.01, -4.01])).all()
    assert (target.ground_height_m([4.0, -4.0], [-4.0, 4.0]) == 0.0).all()


@pytest.mark.parametrize("baseline_m", [0.1, 0.5, 2.0])
def test_slope_is_that_of_the_fitted_plane(baseline_m):
    target = rough(7, rock_count=0)
    reach = max(1, round(0.5 * baseline_m / target.spacing_m))
    places = np.arange(-reach, reach + 1) * target.spacing_m
    grid_x, grid_y = np.meshgrid(places, places)
    design = np.stack([grid_x.ravel(), grid_y.ravel(), np.ones(grid_x.size)], axis=1)
    row, col = 30, 41
    part = target.ground_m[row - reach : row + reach + 1, col - reach : col + reach + 1]
    plane = np.linalg.lstsq(design, part.ravel().astype(float), rcond=None)[0]
    expected = math.atan(math.hypot(plane[0], plane[1]))
    assert target.slope_rad(baseline_m)[row, col] == pytest.approx(expected, rel=1e-4)


def test_a_tilted_plane_has_its_slope():
    places = np.arange(-5.0, 5.01, 0.25)
    ground = math.tan(0.3) * (0.6 * places[np.newaxis, :] + 0.8 * places[:, np.newaxis])
    slope = world(ground, 0.25).slope_rad(1.0)
    np.testing.assert_allclose(slope[2:-2, 2:-2], 0.3, rtol=1e-4)


def test_class_is_that_of_the_nearest_post():
    classes = np.full((5, 5), SOIL, dtype=np.uint8)
    classes[3, 4] = BEDROCK
    target = world(np.zeros((5, 5)), 1.0, classes=classes)
    np.testing.assert_array_equal(
        target.class_at([2.0, 1.51, 1.49, 9.0], [1.0, 0.51, 1.0, 1.2]),
        [BEDROCK, BEDROCK, SOIL, BEDROCK],
    )


def test_surface_and_cover_know_rocks():
    target = flat(8.0, 0.5, (1.0, -1.0, 0.1, 0.6, 0.3, 0.5, math.pi / 2))
    x, y = np.array([0.5, 1.0, 1.2, 1.4]), np.array([-1.5, -1.0, 0.0])
    surface = surface_grid_m(target, x, y)
    assert surface[1, 1] == pytest.approx(0.6)
    assert surface[0, 1] == pytest.approx(0.1 + 0.5 * math.sqrt(1.0 - (0.5 / 0.6) ** 2))
    assert surface[1, 3] == 0.0  # half as wide across as along
    np.testing.assert_array_equal(
        target.rock_cover(x, y), [[0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    )
    assert target.rock_cover(x, y, min_diameter_m=0.91).sum() == 0


def test_sun_points_up_its_elevation():
    direction = Sun(azimuth_rad=math.pi / 2, elevation_rad=0.3).direction()
    np.testing.assert_allclose(direction, [0.0, math.cos(0.3), math.sin(0.3)], atol=1e-12)


def test_layers_that_do_not_agree_are_refused():
    target = flat(8.0, 1.0)
    with pytest.raises(ConfigError, match="expected one shape"):
        replace(target, classes=target.classes[1:])
    with pytest.raises(ConfigError, match=r"expected \(n, n\)"):
        replace(target, ground_m=target.ground_m[1:])
    with pytest.raises(ConfigError, match="spacing_m"):
        replace(target, spacing_m=0.0)
    with pytest.raises(GeometryError, match="expected one"):
        replace(target.rocks, x_m=np.zeros(3))
