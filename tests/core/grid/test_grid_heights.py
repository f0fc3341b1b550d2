"""Test heights, slopes and ground samples in the grid."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.numpy_heights import numpy_add_heights
from terrain_seg_ros.core.grid.cell_evidence import CellView
from terrain_seg_ros.core.grid.cell_heights import CellHeights
from terrain_seg_ros.core.grid.elevation_to_slope import SlopeSettings
from terrain_seg_ros.core.grid.grid_settings import GridSettings
from terrain_seg_ros.core.grid.grid_to_cost import CostSettings, grid_to_cost
from terrain_seg_ros.core.grid.grid_to_layers import grid_to_layers
from terrain_seg_ros.core.grid.ground_to_grid import ground_to_grid
from terrain_seg_ros.core.grid.rolling_grid import RollingGrid
from terrain_seg_ros.core.grid.scrolling_layers import ScrollingLayers
from terrain_seg_ros.core.ground.ground_view import GroundView
from terrain_seg_ros.core.types import Reason, Segmentation

SECOND = 1_000_000_000
HAZARDS = np.array([0.0, 1.0], dtype=np.float32)
RULE = CostSettings(hazard_threshold=0.5, min_evidence=0.2, graded=True)
SLOPE = SlopeSettings(
    max_slope_deg=20.0,
    max_roughness_m=0.2,
    baseline_m=0.5,
    height_sigma_m=0.01,
    max_step_m=0.0,
    step_baseline_m=1.0,
)
RES_M = 0.1
SIDE = 40


def grid(**changes):
    values = {
        "frame_id": "odom",
        "resolution_m": RES_M,
        "size_m": SIDE * RES_M,
        "decay_s": 10.0,
        "decay_m": 0.0,
        "max_evidence": 10.0,
        "keep_hazards": True,
        "min_hazard_share": 0.2,
        "half_weight_range_m": 1e6,
    }
    return RollingGrid(GridSettings(**{**values, **changes}), 2)


def lattice(per_cell=2, side=SIDE):
    """Return x and y of points that fill the grid."""
    along = (np.arange(side * per_cell) + 0.5) * RES_M / per_cell - side * RES_M / 2.0
    return np.meshgrid(along, along)


def view(x_m, y_m, z_m, *, anchor=(0.0, 0.0, 0.0), reason=None, sigma_m=None):
    x_m, y_m = np.float32(x_m), np.float32(y_m)
    nothing = np.empty(0, np.float32)
    return GroundView(
        range_m=np.ones(x_m.shape, np.float32),
        reason=np.zeros(x_m.shape, np.uint8) if reason is None else reason,
        plane_x_m=x_m,
        plane_y_m=y_m,
        grid_R_plane=np.eye(3),
        anchor_m=np.array(anchor),
        local_x_m=x_m,
        local_y_m=y_m,
        fill_pixel=np.empty(0, np.intp),
        fill_x_m=nothing,
        fill_y_m=nothing,
        ground_sample_m=np.full(x_m.shape, 0.03, np.float32),
        local_z_m=None if z_m is None else np.broadcast_to(np.float32(z_m), x_m.shape).copy(),
        height_sigma_m=None if sigma_m is None else np.full(x_m.shape, sigma_m, np.float32),
    )


def fuse(target, seen, hazard=0, slope=SLOPE):
    shape = seen.reason.shape
    chances = np.zeros((2, *shape), np.uint8)
    chances[hazard] = 255
    mask, sure = np.full(shape, hazard, np.uint8), np.full(shape, 255, np.uint8)
    said = Segmentation(chances, mask, sure, mask, sure)
    ground_to_grid(target, seen, segmentation=said, hazards=HAZARDS, hazard_threshold=0.5)
    return grid_to_cost(target, RULE, hazards=HAZARDS, stamp_ns=0, slope=slope)


def test_where_a_plane_serves_there_is_no_elevation():
    target = grid()
    found = fuse(target, view(*lattice(), None))
    assert found.elevation_m is None
    assert target.heights.heights_m is None
    assert (found.cost == 0).all()
    assert "elevation" not in grid_to_layers(target, found)


@given(z_m=st.floats(-1e6, 1e6), x_m=st.floats(-1e6, 1e6), seed=st.integers(0, 9))
@settings(max_examples=25)
def test_heights_are_exact_far_from_the_origin(z_m, x_m, seed):
    target = grid()
    target.move_to(x_m, -x_m)
    bumps = np.random.default_rng(seed).uniform(-0.05, 0.05, lattice(1)[0].shape)
    at_m = target.origin_x_m + 2.0, target.origin_y_m + 2.0
    found = fuse(target, view(*lattice(1), bumps, anchor=(*at_m, z_m)))
    np.testing.assert_allclose(target.heights.heights_m, bumps, atol=1e-6)
    assert target.heights.level_m == z_m
    np.testing.assert_allclose(found.elevation_m, bumps + z_m, atol=1e-6 + 1e-7 * abs(z_m))
    fuse(target, view(*lattice(1), bumps - 0.25, anchor=(*at_m, z_m + 0.25)))
    np.testing.assert_allclose(target.heights.heights_m, bumps, atol=1e-5)


def test_a_rock_that_takes_a_part_of_a_cell_shows_at_its_height():
    x_m, y_m = lattice(4)
    z_m = np.zeros_like(x_m)
    z_m[80, 80] = 0.4
    assert fuse(grid(), view(x_m, y_m, z_m)).elevation_m[20, 20] == pytest.approx(0.4)


def test_noise_lifts_every_cell_alike():
    x_m, y_m = lattice(4)
    noise = np.random.default_rng(0).normal(0.0, 0.02, x_m.shape)
    heights_m = fuse(grid(), view(x_m, y_m, noise)).elevation_m
    assert heights_m.mean() == pytest.approx(0.8 * 0.02, abs=0.003)
    assert heights_m.std() < 0.01


def test_new_heights_win_over_old_ones():
    target = grid()
    for _ in range(20):
        fuse(target, view(*lattice(1), 0.0))
    for _ in range(12):
        found = fuse(target, view(*lattice(1), 1.0))
    assert (found.elevation_m > 0.95).all()


def test_pixels_without_a_height_say_nothing_of_it():
    z_m = np.zeros(lattice(1)[0].shape)
    z_m[3, 4] = np.nan
    target = grid()
    found = fuse(target, view(*lattice(1), z_m))
    assert np.isnan(found.elevation_m[3, 4])
    assert np.isfinite(found.elevation_m).sum() == SIDE * SIDE - 1
    found = fuse(target, view(*lattice(1), 0.5))
    assert found.elevation_m[3, 4] == pytest.approx(0.5)


@pytest.mark.requirement("TSR-SAFE-004")
@pytest.mark.parametrize("degrees", [5.0, 35.0])
def test_steep_ground_is_a_hazard_whatever_its_class(degrees):
    x_m, y_m = lattice(1)
    found = fuse(grid(), view(x_m, y_m, x_m * math.tan(math.radians(degrees))))
    inner = found.cost[5:-5, 5:-5]
    assert (inner == (100 if degrees > SLOPE.max_slope_deg else 0)).all()


def test_a_rock_is_a_hazard_by_its_height_alone_and_is_kept():
    x_m, y_m = lattice(2)
    z_m = np.where(np.hypot(x_m, y_m) < 0.15, 0.5, 0.0)
    target = grid()
    target.decay_to(0)
    found = fuse(target, view(x_m, y_m, z_m))
    assert (found.cost[19:21, 19:21] == 100).all()
    assert (found.cost[:10] == 0).all()
    target.decay_to(10**5 * SECOND)
    later = grid_to_cost(target, RULE, hazards=HAZARDS, stamp_ns=0, slope=SLOPE)
    assert (later.cost[19:21, 19:21] == 100).all()
    assert np.isfinite(later.elevation_m[19:21, 19:21]).all()
    assert (later.cost[:10] == -1).all()
    assert np.isnan(later.elevation_m[:10]).all()


@given(seed=st.integers(0, 20), parts=st.integers(2, 5))
@settings(max_examples=15)
def test_slopes_judged_where_something_changed_equal_those_of_the_whole(seed, parts):
    random = np.random.default_rng(seed)
    x_m, y_m = lattice(1)
    z_m = np.cumsum(random.normal(0.0, 0.04, x_m.shape), axis=1)
    piecewise = grid()
    for part in np.array_split(random.permutation(SIDE), parts):
        reason = np.full(x_m.shape, Reason.NO_DEPTH, np.uint8)
        reason[part, : SIDE - 7] = Reason.OBSERVED
        found = fuse(piecewise, view(x_m, y_m, z_m, reason=reason))
    piecewise.rated_by = None
    whole = grid_to_cost(piecewise, RULE, hazards=HAZARDS, stamp_ns=0, slope=SLOPE)
    np.testing.assert_allclose(found.hazard, whole.hazard, atol=1e-5)


@pytest.mark.requirement("TSR-SAFE-004")
def test_class_and_slope_are_independent_causes():
    x_m, y_m = lattice(1)
    target = grid()
    z_m = x_m * math.tan(math.radians(20.0))
    half = fuse(target, view(x_m, y_m, z_m)).hazard[20, 20]
    assert half == pytest.approx(0.5, abs=0.05)
    evidence = np.array([[0.7], [0.3]], np.float32)
    other = grid()
    fuse(other, view(x_m, y_m, z_m))
    for _ in range(60):
        other.add(CellView(np.array([20]), np.array([20]), evidence))
    mixed = grid_to_cost(other, RULE, hazards=HAZARDS, stamp_ns=0, slope=SLOPE).hazard[20, 20]
    assert mixed == pytest.approx(1.0 - (1.0 - half) * 0.7, abs=0.01)


def test_layers_tell_class_confidence_age_and_sample():
    target = grid()
    target.decay_to(0)
    x_m, y_m = lattice(1)
    reason = np.full(x_m.shape, Reason.TOO_FAR, np.uint8)
    reason[:20] = Reason.OBSERVED
    found = fuse(target, view(x_m, y_m, None, reason=reason), hazard=1)
    layers = grid_to_layers(target, found)
    for name, value in (("class", 1.0), ("confidence", 1.0), ("age", 0.0), ("hazard", 1.0)):
        assert (layers[name][:20] == value).all()
        assert np.isnan(layers[name][20:]).all()
    np.testing.assert_allclose(layers["ground_sample"][:20], 0.03)
    assert (layers["reason"][20:] == Reason.TOO_FAR).all()
    assert not layers["reason"][:20].any()
    assert all(layer.dtype == np.float32 for layer in layers.values())


def test_a_low_rock_is_a_hazard_whatever_its_class_where_steps_are_checked():
    x_m, y_m = lattice(1)
    z_m = np.zeros_like(x_m)
    z_m[20:22, 20:22] = 0.1
    steps = replace(SLOPE, max_step_m=0.07, step_baseline_m=0.7)
    cost = fuse(grid(), view(x_m, y_m, z_m), slope=steps).cost
    assert (cost[20:22, 20:22] == 100).all()
    assert (cost == 100).sum() == 4
    assert (fuse(grid(), view(x_m, y_m, z_m)).cost < 100).all()


def test_the_noise_of_heights_is_the_mean_of_the_views_and_unknown_where_none_is_given():
    target = grid()
    fuse(target, view(*lattice(1), 0.0))
    assert target.heights.sigma_m is None
    fuse(target, view(*lattice(1), 0.0, sigma_m=0.1))
    np.testing.assert_allclose(target.heights.sigma_m, 0.05, atol=0.01)
    for _ in range(12):
        found = fuse(target, view(*lattice(1), 0.0, sigma_m=0.1))
    np.testing.assert_allclose(target.heights.sigma_m, 0.1, atol=0.01)
    assert found.hazard.mean() > 0.02


@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.01, 1.0))
@settings(max_examples=40)
def test_the_compiled_loop_equals_its_numpy_reference(seed, scale):
    random = np.random.default_rng(seed)
    layers = ScrollingLayers(8)
    heights, slots = CellHeights(layers), layers.every_slot()
    expected = {
        name: np.full(slots.max() + 1, blank, np.float32)
        for name, blank in (("mean_m", np.nan), ("total", 0.0), ("sigma_m", 0.0))
    }
    for turn in range(4):
        some = random.permutation(slots)[:40]
        height_m = random.choice([-0.5, 0.2, 3.0, np.nan], 40).astype(np.float32)
        weight = random.choice([0.0, 0.3, 2.0], 40).astype(np.float32)
        sigma_m = random.choice([0.0, 0.1, np.nan], 40).astype(np.float32)
        given_m = {"sigma_m": sigma_m if turn != 2 else None, "scale": scale}
        heights.add(some, height_m, weight, **given_m)
        numpy_add_heights(expected, some, height_m, weight, **given_m)
    names = {"height_m": "mean_m", "height_weight": "total", "height_sigma_m": "sigma_m"}
    for name, same in names.items():
        np.testing.assert_array_equal(layers.take(name, slots), expected[same][slots])
