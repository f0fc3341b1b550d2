"""Test the truth of cells against fine sampling."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.small_worlds import flat, rough, world
from terrain_seg_ros.core.errors import ConfigError, GeometryError
from terrain_seg_ros.worlds.truth import (
    CellGrid,
    HazardDefinition,
    rock_cells,
    truth_layers,
)
from terrain_seg_ros.worlds.world import BEDROCK

RULE = HazardDefinition(min_hazard_m=0.2, max_slope_rad=math.radians(20.0), baseline_m=0.5)
GRID = CellGrid(rows=40, cols=30, resolution_m=0.2, origin_x_m=-3.0, origin_y_m=-4.0)


def fine(grid, parts):
    """Return x and y of points that cut cells into parts, borders included."""
    x = grid.origin_x_m + np.arange(grid.cols * parts + 1) * grid.resolution_m / parts
    y = grid.origin_y_m + np.arange(grid.rows * parts + 1) * grid.resolution_m / parts
    return x, y


def any_in_cell(values, grid, parts):
    """Return whether any point of each cell, borders included, is set."""
    return np.array(
        [
            [
                values[r * parts : (r + 1) * parts + 1, c * parts : (c + 1) * parts + 1].any()
                for c in range(grid.cols)
            ]
            for r in range(grid.rows)
        ]
    )


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000))
def test_a_rock_stands_on_every_cell_it_touches(seed):
    rng = np.random.default_rng(seed)
    rows = [
        (*rng.uniform(-4.0, 4.0, 2), 0.0, *rng.uniform(0.02, 0.6, 2), 0.3, rng.uniform(-3, 3))
        for _ in range(25)
    ]
    target = flat(8.0, 1.0, *rows)
    parts = 16
    cover = any_in_cell(target.rock_cover(*fine(GRID, parts)), GRID, parts)
    truth = truth_layers(target, GRID, RULE)
    stands = truth.rock >= 0
    assert (stands[cover]).all()
    # What sampling misses is thinner than a sample: a little larger rocks cover it.
    grown = [(*row[:3], row[3] + 0.013, row[4] + 0.013, *row[5:]) for row in rows]
    around = any_in_cell(flat(8.0, 1.0, *grown).rock_cover(*fine(GRID, parts)), GRID, parts)
    assert (around[stands]).all()
    np.testing.assert_array_equal(truth.hazard, truth.rock_diameter_m >= np.float32(0.2))


def test_a_corner_that_is_touched_counts():
    centre = (0.3, 0.3)  # the corner (0.2, 0.2) of cell (0, 0) is 0.1 x sqrt(2) away
    grid = CellGrid(rows=3, cols=3, resolution_m=0.2, origin_x_m=0.0, origin_y_m=0.0)
    for radius, expected in ((0.1415, True), (0.1413, False)):
        target = flat(4.0, 1.0, (*centre, 0.0, radius, radius, radius, 0.0))
        assert bool(truth_layers(target, grid, RULE).hazard[0, 0]) is expected


def test_a_cell_inside_a_rock_counts():
    grid = CellGrid(rows=1, cols=1, resolution_m=0.1, origin_x_m=0.1, origin_y_m=0.1)
    target = flat(4.0, 1.0, (0.0, 0.0, 0.0, 1.0, 0.8, 0.5, 0.4))
    assert truth_layers(target, grid, RULE).hazard.all()


def test_small_rocks_are_known_but_no_hazard():
    target = flat(8.0, 1.0, (0.05, 0.05, 0.0, 0.08, 0.08, 0.1, 0.0))
    truth = truth_layers(target, GRID, RULE)
    assert not truth.hazard.any()
    assert truth.rock_diameter_m.max() == pytest.approx(0.16)


def test_the_largest_rock_names_the_cell():
    big, small = (0.1, 0.1, 0.0, 0.3, 0.3, 0.2, 0.0), (0.15, 0.1, 0.0, 0.12, 0.12, 0.2, 0.0)
    for order in ((big, small), (small, big)):
        truth = truth_layers(flat(8.0, 1.0, *order), GRID, RULE)
        assert truth.rock_diameter_m.max() == pytest.approx(0.6)
        cell = (int((0.1 + 4.0) / 0.2), int((0.1 + 3.0) / 0.2))
        assert truth.rock_diameter_m[cell] == pytest.approx(0.6)


def test_a_buried_rock_is_no_hazard_and_a_sunk_one_is_smaller():
    grid = CellGrid(rows=40, cols=40, resolution_m=0.05, origin_x_m=-1.0, origin_y_m=-1.0)
    buried = flat(8.0, 1.0, (0.0, 0.0, -0.4, 0.5, 0.5, 0.3, 0.0))
    assert rock_cells(buried, grid)[0].size == 0
    sunk = flat(8.0, 1.0, (0.0, 0.0, -0.24, 0.5, 0.5, 0.3, 0.0))  # 0.6 x 0.5 m at the ground
    cells = truth_layers(sunk, grid, RULE).rock >= 0
    x, y = grid.centres()
    distance = np.hypot(x[np.newaxis, :], y[:, np.newaxis])
    assert cells[distance < 0.3 - 0.01].all()
    assert not cells[distance > 0.3 + 0.036].any()


@pytest.mark.parametrize("seed", range(3))
def test_every_cell_with_rock_above_rough_ground_counts(seed):
    target = rough(seed, rock_count=60)
    parts = 8
    grid = CellGrid(rows=60, cols=60, resolution_m=0.1, origin_x_m=-3.0, origin_y_m=-3.0)
    cover = any_in_cell(target.rock_cover(*fine(grid, parts)), grid, parts)
    stands = truth_layers(target, grid, RULE).rock >= 0
    assert cover.mean() > 0.05
    assert np.mean(stands[cover]) > 0.995
    assert stands.mean() < 1.35 * cover.mean()  # an outline also holds what the ground hides


def test_steep_ground_is_a_hazard():
    places = np.arange(-4.0, 4.05, 0.1)
    ground = np.where(places > 0.0, math.tan(math.radians(25.0)) * places, 0.0)
    truth = truth_layers(world(np.tile(ground, (81, 1)), 0.1), GRID, RULE)
    x, _ = GRID.centres()
    assert truth.steep[:, x > 0.4].all()
    assert not truth.steep[:, x < -0.1].any()
    np.testing.assert_array_equal(truth.hazard, truth.steep)
    np.testing.assert_allclose(truth.slope_rad[:, x > 0.4], math.radians(25.0), rtol=1e-4)


def test_height_and_class_are_those_of_the_middle():
    target = rough(4)
    target.classes[:, 40:] = BEDROCK
    truth = truth_layers(target, GRID, RULE)
    x, y = GRID.centres()
    expected = target.ground_height_m(x[np.newaxis, :], y[:, np.newaxis])
    np.testing.assert_allclose(truth.elevation_m, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(truth.classes == BEDROCK, np.tile(x > -0.05, (40, 1)))


def test_cells_that_leave_the_world_are_not_known():
    grid = CellGrid(rows=4, cols=5, resolution_m=1.0, origin_x_m=2.5, origin_y_m=-1.0)
    truth = truth_layers(flat(8.0, 1.0, (3.9, 0.0, 0.0, 0.4, 0.4, 0.3, 0.0)), grid, RULE)
    np.testing.assert_array_equal(truth.known, np.tile([True, False, False, False, False], (4, 1)))
    assert not truth.hazard[~truth.known].any()
    assert np.isnan(truth.elevation_m[~truth.known]).all()
    assert np.isnan(truth.slope_rad[~truth.known]).all()
    assert np.isnan(truth.rock_diameter_m[~truth.known]).all()


@pytest.mark.parametrize(
    "changes",
    [{"rows": 0}, {"cols": 100_000_000}, {"resolution_m": 0.0}, {"origin_x_m": math.nan}],
)
def test_impossible_grids_are_refused(changes):
    values = {"rows": 4, "cols": 4, "resolution_m": 0.1, "origin_x_m": 0.0, "origin_y_m": 0.0}
    with pytest.raises(GeometryError, match="grid has"):
        CellGrid(**{**values, **changes})


@pytest.mark.parametrize("name", ["min_hazard_m", "max_slope_rad", "baseline_m"])
def test_impossible_rules_are_refused(name):
    values = {"min_hazard_m": 0.2, "max_slope_rad": 0.3, "baseline_m": 0.5}
    with pytest.raises(ConfigError, match=name):
        HazardDefinition(**{**values, name: 0.0})
