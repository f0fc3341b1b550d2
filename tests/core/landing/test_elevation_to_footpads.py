import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terrain_seg_ros.core.grid.elevation_to_slope import SlopeSettings
from terrain_seg_ros.core.landing.elevation_to_footpads import elevation_to_footpads

RESOLUTION_M = 0.1
LANDER = SlopeSettings(
    max_slope_deg=10.0,
    max_roughness_m=0.3,
    baseline_m=2.0,
    height_sigma_m=0.0,
    max_step_m=0.0,
    step_baseline_m=1.0,
)
NOISY = SlopeSettings(
    max_slope_deg=10.0,
    max_roughness_m=0.3,
    baseline_m=2.0,
    height_sigma_m=0.05,
    max_step_m=0.0,
    step_baseline_m=1.0,
)
MIDDLE = np.array([30], dtype=np.intp)


def plane(slope_deg, azimuth_deg, side=61):
    rows, cols = np.indices((side, side)) * RESOLUTION_M
    gradient, azimuth = math.tan(math.radians(slope_deg)), math.radians(azimuth_deg)
    heights = gradient * (cols * math.cos(azimuth) + rows * math.sin(azimuth))
    return heights.astype(np.float32)


def stand(elevation_m, limits=LANDER, row=30, col=30):
    rows, cols = np.array([row], dtype=np.intp), np.array([col], dtype=np.intp)
    found = elevation_to_footpads(elevation_m, rows, cols, limits, resolution_m=RESOLUTION_M)
    return float(found.slope_deg[0]), float(found.roughness_m[0]), float(found.p_safe[0])


@given(st.floats(0.0, 35.0), st.floats(0.0, 360.0))
@settings(max_examples=40)
def test_on_a_plane_it_stands_as_the_plane_lies(slope_deg, azimuth_deg):
    found_deg, roughness_m, p_safe = stand(plane(slope_deg, azimuth_deg))
    # Pads stand on cells, so each may be half a cell off its place.
    assert found_deg == pytest.approx(slope_deg, abs=0.5 + 0.06 * slope_deg)
    assert roughness_m < 0.03 + 0.1 * math.tan(math.radians(slope_deg))
    if slope_deg < 8.5:
        assert p_safe > 0.999
    if slope_deg > 12.0:
        assert p_safe < 1e-3


@given(st.integers(0, 359), st.floats(0.2, 1.0))
@settings(max_examples=40)
def test_a_rock_below_a_pad_tilts_the_lander_in_the_worst_azimuth(azimuth_deg, height_m):
    elevation_m = plane(0.0, 0.0)
    row = 30 + round(10 * math.sin(math.radians(azimuth_deg)))
    col = 30 + round(10 * math.cos(math.radians(azimuth_deg)))
    elevation_m[row, col] = height_m
    # It stands on the rock and on two pads beside it, rocked about the other diagonal.
    gradient = math.hypot(height_m / 2.0, height_m / 2.0) / 1.0
    assert stand(elevation_m)[0] >= math.degrees(math.atan(gradient)) - 1e-3


def test_a_rock_between_the_pads_is_roughness_and_no_slope():
    elevation_m = plane(0.0, 0.0)
    elevation_m[30, 30] = 0.5
    slope_deg, roughness_m, p_safe = stand(elevation_m)
    assert (slope_deg, roughness_m) == (0.0, pytest.approx(0.5))
    assert p_safe < 1e-3


def test_a_pit_below_one_pad_rocks_the_lander_into_it():
    elevation_m = plane(0.0, 0.0)
    elevation_m[29:32, 39:43] = -0.5
    elevation_m[26:35, 38:43] = -0.5
    slope_deg, _, p_safe = stand(elevation_m)
    assert slope_deg > 20.0
    assert p_safe < 1e-3


def test_rocks_outside_the_pads_do_not_count():
    elevation_m = plane(0.0, 0.0)
    elevation_m[30, 44] = elevation_m[10, 30] = 3.0
    assert stand(elevation_m) == (0.0, 0.0, pytest.approx(1.0, abs=1e-4))


@pytest.mark.parametrize("azimuth_deg", [0.0, 20.0, 45.0])
def test_noise_makes_it_less_sure(azimuth_deg):
    sure, unsure = (stand(plane(8.5, azimuth_deg), limits)[2] for limits in (LANDER, NOISY))
    assert unsure < sure
    assert 0.0 < stand(plane(10.0, azimuth_deg), NOISY)[2] < 0.6


@given(st.integers(0, 2**32 - 1), st.integers(0, 3), st.integers(-8, 8), st.integers(-8, 8))
@settings(max_examples=25)
def test_turning_or_moving_the_ground_changes_nothing(seed, turns, rows, cols):
    ground = np.random.default_rng(seed).normal(0.0, 0.1, (61, 61)).astype(np.float32)
    expected = stand(ground, NOISY)
    np.testing.assert_allclose(stand(np.rot90(ground, turns).copy(), NOISY), expected, atol=2e-3)
    moved = np.roll(ground, (rows, cols), axis=(0, 1))
    np.testing.assert_allclose(stand(moved, NOISY, 30 + rows, 30 + cols), expected, atol=2e-3)


@given(st.integers(0, 2**32 - 1), st.integers(20, 40), st.integers(20, 40), st.floats(0.05, 2.0))
@settings(max_examples=40)
def test_more_noise_or_a_rock_between_the_pads_is_never_safer(seed, row, col, height_m):
    ground = np.random.default_rng(seed).normal(0.0, 0.05, (61, 61)).astype(np.float32)
    inner = np.hypot(row - 30, col - 30) < 8
    before = stand(ground, NOISY)[2]
    if inner:
        ground[row, col] += np.float32(height_m)
        assert stand(ground, NOISY)[2] <= before + 1e-6


def test_unknown_ground_is_indefinite():
    elevation_m = plane(0.0, 0.0)
    elevation_m[:, 38:] = np.nan
    assert np.isnan(stand(elevation_m)).all()
    assert np.isnan(stand(plane(0.0, 0.0), row=5)).all()
    assert np.isfinite(stand(elevation_m, col=20)).all()
    holes = plane(0.0, 0.0)
    holes[::5, ::5] = np.nan
    assert np.isfinite(stand(holes)).all()


def test_no_places_give_nothing():
    none = np.empty(0, dtype=np.intp)
    found = elevation_to_footpads(plane(0.0, 0.0), none, none, LANDER, resolution_m=RESOLUTION_M)
    assert found.slope_deg.size == found.roughness_m.size == found.p_safe.size == 0


def test_it_looks_at_many_places_at_once():
    elevation_m = plane(0.0, 0.0)
    elevation_m[30, 30] = 1.0
    rows, cols = np.array([30, 45, 3]), np.array([30, 45, 3])
    found = elevation_to_footpads(elevation_m, rows, cols, LANDER, resolution_m=RESOLUTION_M)
    assert found.roughness_m[0] == pytest.approx(1.0)
    assert found.roughness_m[1] == 0.0
    assert np.isnan(found.roughness_m[2])
