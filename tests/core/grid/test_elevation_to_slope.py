import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.numpy_slope import numpy_elevation_to_slope
from terrain_seg_ros.core.errors import ConfigError, GeometryError
from terrain_seg_ros.core.grid.elevation_to_slope import (
    SlopeSettings,
    elevation_to_slope,
    probability_below,
)

RESOLUTION_M = 0.1
ROVER = SlopeSettings(
    max_slope_deg=20.0,
    max_roughness_m=0.2,
    baseline_m=1.0,
    height_sigma_m=0.02,
    max_step_m=0.0,
    step_baseline_m=1.0,
)
EXACT = SlopeSettings(
    max_slope_deg=20.0,
    max_roughness_m=0.2,
    baseline_m=1.0,
    height_sigma_m=0.0,
    max_step_m=0.0,
    step_baseline_m=1.0,
)


def plane(slope_deg, azimuth_deg, side=41, level_m=0.0):
    rows, cols = np.indices((side, side)) * RESOLUTION_M
    gradient = math.tan(math.radians(slope_deg))
    azimuth = math.radians(azimuth_deg)
    heights = level_m + gradient * (cols * math.cos(azimuth) + rows * math.sin(azimuth))
    return heights.astype(np.float32)


def judge(elevation_m, limits=ROVER, resolution_m=RESOLUTION_M):
    return elevation_to_slope(elevation_m, limits, resolution_m=resolution_m)


def by_hand(elevation_m, row, col):
    """Fit a plane with numpy's solver to the known cells of one patch of 1.0 m.

    Of the 11 cells across it the outermost lie half inside.
    """
    rows, cols = np.indices(elevation_m.shape)
    away = np.maximum(np.abs(rows - row), np.abs(cols - col))
    near = (away <= 5) & np.isfinite(elevation_m)
    weights = np.where(np.abs(rows - row) == 5, 0.5, 1.0) * np.where(
        np.abs(cols - col) == 5, 0.5, 1.0
    )
    columns = np.stack(
        [(cols[near] - col) * RESOLUTION_M, (rows[near] - row) * RESOLUTION_M, np.ones(near.sum())],
        axis=1,
    )
    root = np.sqrt(weights[near])
    fit = np.linalg.lstsq(columns * root[:, None], elevation_m[near] * root, rcond=None)
    gx, gy, height_m = fit[0]
    return math.degrees(math.atan(math.hypot(gx, gy))), abs(elevation_m[row, col] - height_m)


@given(st.floats(0.0, 40.0), st.floats(0.0, 360.0), st.floats(-500.0, 500.0))
@settings(max_examples=40)
def test_a_plane_has_its_slope_everywhere_and_no_roughness(slope_deg, azimuth_deg, level_m):
    found = judge(plane(slope_deg, azimuth_deg, level_m=level_m))
    known = np.isfinite(found.slope_deg)
    assert known[5:-5, 5:-5].all()
    np.testing.assert_allclose(found.slope_deg[known], slope_deg, atol=0.05)
    np.testing.assert_allclose(found.roughness_m[known], 0.0, atol=2e-3)


@given(st.integers(0, 2**32 - 1), st.floats(0.0, 0.4))
@settings(max_examples=30)
def test_it_is_the_least_squares_plane_of_the_known_cells(seed, unknown_share):
    random = np.random.default_rng(seed)
    elevation_m = plane(12.0, 40.0, side=21) + random.normal(0.0, 0.01, (21, 21)).astype(np.float32)
    elevation_m[random.random((21, 21)) < unknown_share] = np.nan
    elevation_m[10, 10] = 0.8
    elevation_m[10, 10] = np.nanmean(elevation_m[5:16, 5:16])
    found = judge(elevation_m)
    slope_deg, roughness_m = by_hand(elevation_m, 10, 10)
    assert found.slope_deg[10, 10] == pytest.approx(slope_deg, abs=0.02)
    assert found.roughness_m[10, 10] == pytest.approx(roughness_m, abs=1e-3)


@given(
    st.integers(1, 6),
    st.floats(0.2, 1.5),
    st.floats(0.0, 15.0),
    st.floats(0.0, 360.0),
    st.integers(10, 24),
    st.integers(10, 24),
)
@settings(max_examples=60)
def test_a_rock_of_0_2_m_shows_its_whole_height_on_any_slope(
    width, height_m, slope_deg, azimuth_deg, row, col
):
    elevation_m = plane(slope_deg, azimuth_deg)
    elevation_m[row : row + width, col : col + width] += np.float32(height_m)
    rock = np.zeros(elevation_m.shape, dtype=bool)
    rock[row : row + width, col : col + width] = True
    found = judge(elevation_m, EXACT)
    # On a slope the patch's plane tilts a little where a wide rock hides its ground.
    assert found.roughness_m[rock].min() > 0.95 * height_m
    assert (found.roughness_m[~rock] < 0.1 * height_m + 1e-3).mean() > 0.95


@pytest.mark.parametrize("baseline_m", [0.9, 1.0, 1.1, 1.5])
def test_the_patch_is_as_wide_as_the_baseline(baseline_m):
    """Over a width of w the plane of x^3 rises by 3 w^2 / 20."""
    cols = np.tile((np.arange(61) - 30) * RESOLUTION_M, (61, 1))
    limits = SlopeSettings(20.0, 100.0, baseline_m, 0.0, 0.0, 1.0)
    found = judge((cols**3).astype(np.float32), limits)
    gradient = math.tan(math.radians(found.slope_deg[30, 30]))
    assert gradient == pytest.approx(3.0 * baseline_m**2 / 20.0, rel=0.05)


def test_a_pit_shows_too():
    elevation_m = plane(0.0, 0.0)
    elevation_m[20, 20] -= 0.5
    found = judge(elevation_m)
    assert found.roughness_m[20, 20] > 0.4
    assert found.p_safe[20, 20] < 0.01


def test_ground_within_the_limits_is_safe_and_beyond_them_is_not():
    assert np.nanmin(judge(plane(15.0, 30.0)).p_safe) > 0.99
    assert np.nanmax(judge(plane(25.0, 30.0)).p_safe) < 0.01
    at_limit = judge(plane(20.0, 30.0)).p_safe[20, 20]
    assert at_limit == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("azimuth_deg", [0.0, 30.0, 45.0, 90.0])
def test_the_probability_is_that_of_the_noise(azimuth_deg):
    noisy = SlopeSettings(20.0, 10.0, 1.0, 0.05, 0.0, 1.0)
    random = np.random.default_rng(4)
    clean = plane(19.8, azimuth_deg, side=11)
    draws = [
        judge(clean + random.normal(0.0, 0.05, clean.shape).astype(np.float32), noisy)
        for _ in range(400)
    ]
    share = np.mean([draw.slope_deg[5, 5] < 20.0 for draw in draws])
    assert judge(clean, noisy).p_safe[5, 5] == pytest.approx(share, abs=0.08)


def test_without_noise_it_is_certain():
    found = judge(plane(19.0, 10.0), EXACT).p_safe
    assert set(np.unique(found[np.isfinite(found)]).round(3)) == {1.0}
    found = judge(plane(21.0, 10.0), EXACT).p_safe
    assert np.nanmax(found) < 1e-3


def test_what_is_not_known_is_indefinite():
    elevation_m = plane(5.0, 0.0)
    elevation_m[:, 20:] = np.nan
    elevation_m[5, 5] = np.nan
    found = judge(elevation_m)
    for layer in (found.slope_deg, found.roughness_m, found.p_safe):
        assert np.isnan(layer[:, 20:]).all()
        assert np.isnan(layer[5, 5])
        assert np.isfinite(layer[10:30, 10:15]).all()


def test_a_line_or_a_lonely_cell_gives_no_plane():
    line = np.full((41, 41), np.nan, dtype=np.float32)
    line[20] = 0.0
    assert np.isnan(judge(line).slope_deg).all()
    assert np.isnan(judge(np.full((41, 41), np.nan, dtype=np.float32)).p_safe).all()


@given(st.integers(0, 2**32 - 1), st.integers(-15, 15), st.integers(-15, 15), st.integers(0, 3))
@settings(max_examples=25)
def test_where_the_ground_lies_and_how_it_is_turned_does_not_matter(seed, rows, cols, turns):
    random = np.random.default_rng(seed)
    ground = np.full((61, 61), np.nan, dtype=np.float32)
    ground[16:45, 16:45] = random.normal(0.0, 0.1, (29, 29))
    moved = np.rot90(np.roll(ground, (rows, cols), axis=(0, 1)), turns)
    before, after = judge(ground), judge(np.ascontiguousarray(moved))
    for name, tolerance in (("slope_deg", 0.02), ("roughness_m", 1e-4), ("p_safe", 1e-3)):
        expected = np.rot90(np.roll(getattr(before, name), (rows, cols), axis=(0, 1)), turns)
        np.testing.assert_allclose(getattr(after, name), expected, atol=tolerance)


def test_the_normal_distribution_is_near_the_exact_one():
    z = np.linspace(-6.0, 6.0, 200, dtype=np.float32)
    exact = [0.5 * (1.0 + math.erf(value / math.sqrt(2.0))) for value in z]
    np.testing.assert_allclose(probability_below(z, np.zeros_like(z), 1.0), exact, atol=2e-4)


@pytest.mark.parametrize(
    "values",
    [
        (0.0, 0.2, 1.0, 0.0, 0.0, 1.0),
        (91.0, 0.2, 1.0, 0.0, 0.0, 1.0),
        (20.0, -1.0, 1.0, 0.0, 0.0, 1.0),
        (20.0, 0.2, math.nan, 0.0, 0.0, 1.0),
        (20.0, 0.2, 1.0, -0.1, 0.0, 1.0),
    ],
)
def test_wrong_settings_are_refused(values):
    with pytest.raises(ConfigError, match="SlopeSettings"):
        SlopeSettings(*values)


def test_wrong_arguments_are_refused():
    with pytest.raises(GeometryError, match="float32"):
        judge(np.zeros((5, 5)))
    with pytest.raises(GeometryError, match="resolution"):
        judge(np.zeros((5, 5), dtype=np.float32), resolution_m=0.0)


@pytest.mark.parametrize("rows", [63, 64, 65, 130])
def test_bands_leave_no_seams(rows):
    random = np.random.default_rng(rows)
    elevation_m = random.normal(0.0, 0.1, (rows, 30)).astype(np.float32)
    elevation_m[random.random(elevation_m.shape) < 0.2] = np.nan
    found, turned = judge(elevation_m), judge(np.ascontiguousarray(elevation_m.T))
    for name in ("slope_deg", "roughness_m", "p_safe"):
        np.testing.assert_allclose(getattr(found, name), getattr(turned, name).T, atol=2e-3)


STEPS = replace(EXACT, max_step_m=0.06, step_baseline_m=0.7)


def with_rock(height_m, *, slope_deg=0.0, side=41):
    """Return a plane with a rock of two by two cells of 0.1 m in its middle."""
    heights = plane(slope_deg, 30.0, side=side)
    middle = side // 2
    heights[middle : middle + 2, middle : middle + 2] += np.float32(height_m)
    return heights


@given(st.floats(0.0, 18.0), st.floats(0.0, 0.5))
@settings(max_examples=40)
def test_a_step_is_the_height_above_the_ground_around_it_on_any_slope(slope_deg, height_m):
    found = judge(with_rock(height_m, slope_deg=slope_deg), STEPS)
    assert found.step_m[20:22, 20:22] == pytest.approx(height_m, abs=0.2 * height_m + 2e-3)
    assert np.abs(found.step_m[5:10, 5:10]).max() < 2e-3


@pytest.mark.parametrize(("height_m", "safe"), [(0.03, True), (0.1, False), (0.18, False)])
def test_a_rock_too_low_to_be_rough_is_a_step(height_m, safe):
    found = judge(with_rock(height_m), STEPS)
    assert (found.p_safe[20, 20] > 0.5) == safe
    assert found.p_safe[8, 8] > 0.99
    assert judge(with_rock(height_m), EXACT).p_safe[20, 20] > 0.5


def test_a_hollow_is_no_step():
    found = judge(with_rock(-0.15), STEPS)
    assert found.step_m[20, 20] < -0.1
    assert found.p_safe[20, 20] > 0.5


def test_without_a_limit_steps_are_not_computed():
    found = judge(with_rock(0.1), EXACT)
    assert np.isnan(found.step_m).all()


def step_chance(elevation_m, sigma_m):
    return elevation_to_slope(
        elevation_m,
        STEPS,
        resolution_m=RESOLUTION_M,
        sigma_m=np.full(elevation_m.shape, sigma_m, np.float32),
    ).p_safe[20, 20]


def test_the_noisier_a_height_the_less_a_step_says():
    chances = [step_chance(with_rock(0.1), sigma_m) for sigma_m in (0.0, 0.02, 0.05)]
    assert chances == sorted(chances)
    assert chances[0] < 0.01
    assert chances[-1] > 0.2


def test_heights_noisier_than_their_limits_say_nothing():
    assert step_chance(with_rock(0.1), 0.3) > 0.95
    assert step_chance(plane(0.0, 0.0), 0.3) > 0.95


def test_noise_differs_from_cell_to_cell():
    elevation_m = plane(0.0, 0.0)
    sigma_m = np.zeros_like(elevation_m)
    sigma_m[:, 30:] = 0.05
    found = elevation_to_slope(elevation_m, STEPS, resolution_m=RESOLUTION_M, sigma_m=sigma_m)
    assert found.p_safe[20, 10] > 0.99
    assert found.p_safe[20, 35] < 0.95


@given(seed=st.integers(0, 2**32 - 1), baseline_m=st.floats(0.2, 2.0), step_m=st.floats(0.0, 0.2))
@settings(max_examples=60)
def test_the_compiled_loops_equal_their_numpy_reference(seed, baseline_m, step_m):
    """Both sum up float32 in their own order, so that cells at a limit may be decided otherwise."""
    random = np.random.default_rng(seed)
    shape = random.integers(1, 40, 2)
    row, col = np.mgrid[0 : shape[0], 0 : shape[1]]
    elevation_m = 100.0 + random.normal(0.0, 0.05, 2) @ [row.ravel(), col.ravel()]
    elevation_m = elevation_m.reshape(shape) + random.normal(0.0, 0.03, shape)
    elevation_m[random.random(shape) < 0.2] = np.nan
    elevation_m[random.random(shape) < 0.02] += 0.4
    sigma_m = random.uniform(0.0, 0.02, shape).astype(np.float32)
    given = (
        elevation_m.astype(np.float32),
        replace(ROVER, baseline_m=baseline_m, max_step_m=step_m),
    )
    found, expected = (
        way(*given, resolution_m=0.1, sigma_m=sigma_m)
        for way in (elevation_to_slope, numpy_elevation_to_slope)
    )
    for name, tolerance in (("slope_deg", 0.01), ("roughness_m", 1e-4), ("step_m", 1e-4)):
        differ = ~np.isclose(
            getattr(found, name), getattr(expected, name), rtol=1e-3, atol=tolerance, equal_nan=True
        )
        assert differ.mean() <= 0.01
    differ = ~np.isclose(found.p_safe, expected.p_safe, atol=0.01, equal_nan=True)
    assert differ.mean() <= 0.01
