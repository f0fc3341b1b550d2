"""Test safe centres of a vehicle with corners: no point of it may meet what is not safe."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from terrain_seg_ros.core import cost_to_safe_map as stage
from terrain_seg_ros.core.cost_to_safe_map import (
    FootprintSettings,
    corners_of,
    cost_to_safe_map,
)
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.footprint_cells import footprint_cells

SAFE, UNSAFE, INDEFINITE = 0, 100, -1
BOX = ((0.6, 0.3), (0.6, -0.3), (-0.4, -0.3), (-0.4, 0.3))
ARROW = ((0.8, 0.0), (-0.4, 0.5), (-0.1, 0.0), (-0.4, -0.5))
SIDE = 41
outlines = st.one_of(
    st.sampled_from([BOX, ARROW]),
    st.lists(st.tuples(st.floats(-0.8, 0.8), st.floats(-0.8, 0.8)), min_size=3, max_size=6).map(
        tuple
    ),
)


def safe_map(cost, polygon, heading_rad=0.0, margin_m=0.0, resolution_m=0.1):
    vehicle = FootprintSettings(9.0, margin_m, 1.0, polygon)
    return cost_to_safe_map(cost, vehicle, resolution_m=resolution_m, heading_rad=heading_rad)


def turned(points, heading_rad):
    cos, sin = math.cos(heading_rad), math.sin(heading_rad)
    return np.asarray(points) @ np.array([[cos, sin], [-sin, cos]])


def points_of(polygon, seed, count=300):
    """Return points on the outline and, by even-odd crossing of the triangle fan, inside."""
    random = np.random.default_rng(seed)
    corners = np.array(polygon)
    start = random.integers(0, len(corners), count)
    share = random.random((count, 1))
    edge = corners[start] * share + np.roll(corners, -1, axis=0)[start] * (1.0 - share)
    return np.concatenate([corners, edge])


@given(
    polygon=outlines,
    heading_rad=st.floats(-4.0, 4.0),
    margin_m=st.floats(0.0, 0.3),
    at=st.tuples(st.integers(5, 35), st.integers(5, 35)),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_no_point_of_the_vehicle_meets_a_hazard_from_a_safe_cell(
    polygon, heading_rad, margin_m, at, seed
):
    cost = np.zeros((SIDE, SIDE), np.int8)
    cost[at] = 100
    found = safe_map(cost, polygon, heading_rad, margin_m)
    random = np.random.default_rng(seed)
    body = turned(points_of(polygon, seed), heading_rad) / 0.1
    shift = margin_m / 0.1 * random.random((len(body), 1)) * 0.999
    angle = random.uniform(-math.pi, math.pi, len(body))
    body = body + shift * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    middle = random.random((len(body), 2))
    for row, col in np.argwhere(found == SAFE):
        touched = np.floor(np.array([col, row]) + middle + body).astype(int)
        assert not (touched == [at[1], at[0]]).all(axis=1).any()


@given(
    polygon=st.sampled_from([BOX, ARROW]),
    heading_rad=st.floats(-4.0, 4.0),
    at=st.tuples(st.integers(10, 30), st.integers(10, 30)),
)
@settings(max_examples=40, deadline=None)
def test_what_is_unsafe_could_indeed_be_touched(polygon, heading_rad, at):
    """Look for a touch with a fine lattice of middles, less a tolerance of its spacing."""
    cost = np.zeros((SIDE, SIDE), np.int8)
    cost[at] = 100
    found = safe_map(cost, polygon, heading_rad)
    lattice = np.linspace(-1.0, 1.0, 21)
    body = turned(points_of(polygon, 0, 3000), heading_rad) / 0.1
    reached = np.zeros_like(found, dtype=bool)
    for dx in lattice:
        for dy in lattice:
            cells = np.rint([at[1] - dx, at[0] - dy] - body).astype(int)
            keep = ((cells >= 0) & (cells < SIDE)).all(axis=1)
            reached[cells[keep, 1], cells[keep, 0]] = True
    inside = found == UNSAFE
    grown = np.zeros_like(reached)
    for row, col in np.argwhere(reached):
        grown[max(0, row - 1) : row + 2, max(0, col - 1) : col + 2] = True
    outline = inside & ~np.pad(
        inside[1:-1, 1:-1]
        & inside[:-2, 1:-1]
        & inside[2:, 1:-1]
        & inside[1:-1, :-2]
        & inside[1:-1, 2:],
        1,
    )
    assert not (outline & ~grown).any()


@given(polygon=outlines, quarter=st.integers(-3, 3), margin_m=st.floats(0.0, 0.3))
@settings(max_examples=40, deadline=None)
def test_it_turns_with_the_vehicle(polygon, quarter, margin_m):
    margin_m += 0.00123
    values = {"margin_m": margin_m, "resolution_m": 0.1, "most": 99}
    ahead = footprint_cells(polygon, heading_rad=0.3, **values)
    beside = footprint_cells(polygon, heading_rad=0.3 + quarter * math.pi / 2.0, **values)
    assume(ahead.shape == beside.shape)
    np.testing.assert_array_equal(np.rot90(ahead, -quarter), beside)


@given(polygon=outlines, margin_m=st.floats(0.0, 0.3))
@settings(max_examples=40, deadline=None)
def test_a_disc_around_it_is_never_smaller(polygon, margin_m):
    cost = np.zeros((SIDE, SIDE), np.int8)
    cost[20, 20] = 100
    vehicle = FootprintSettings(0.0, margin_m, 1.0, polygon)
    disc = FootprintSettings(vehicle.clearance_m + 1e-6, 0.0, 0.0)
    around = cost_to_safe_map(cost, disc, resolution_m=0.1)
    exact = cost_to_safe_map(cost, vehicle, resolution_m=0.1)
    assert (around[exact == UNSAFE] != SAFE).all()
    assert (exact[around == SAFE] == SAFE).all()


def test_unknown_ground_and_the_edge_are_not_safe():
    cost = np.zeros((SIDE, SIDE), np.int8)
    cost[20, 30] = -1
    found = safe_map(cost, BOX)
    assert found[20, 20] == SAFE
    assert found[20, 24] == INDEFINITE
    assert (found[:, -1] == INDEFINITE).all()
    assert (safe_map(np.full((9, 9), -1, np.int8), BOX) == INDEFINITE).all()


def test_heading_matters_to_a_long_vehicle():
    cost = np.zeros((SIDE, SIDE), np.int8)
    cost[20, 25] = 100
    assert safe_map(cost, BOX)[20, 20] == UNSAFE
    assert safe_map(cost, BOX, math.pi / 2.0)[20, 20] == SAFE


def test_a_footprint_larger_than_the_grid_is_nowhere_safe():
    big = tuple((10.0 * x, 10.0 * y) for x, y in BOX)
    assert (safe_map(np.zeros((9, 9), np.int8), big) == INDEFINITE).all()


@given(heading_rad=st.floats(-4.0, 4.0), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_large_footprints_give_the_same(heading_rad, seed):
    cost = np.random.default_rng(seed).choice([0, 100, -1], (SIDE, SIDE), p=[0.99, 0.005, 0.005])
    cost = cost.astype(np.int8)
    expected = safe_map(cost, ARROW, heading_rad, 0.05)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "MAX_DILATED", 0)
        np.testing.assert_array_equal(safe_map(cost, ARROW, heading_rad, 0.05), expected)


def test_numbers_become_corners():
    assert corners_of((0.0,)) == ()
    assert corners_of((0.0, 1.0, 2.0, 3.0)) == ()
    assert corners_of((0, 1, 2, 3, 4, 5)) == ((0.0, 1.0), (2.0, 3.0), (4.0, 5.0))
    with pytest.raises(ConfigError, match="7 numbers"):
        corners_of((0.0,) * 7)
    with pytest.raises(ConfigError, match="polygon_m"):
        FootprintSettings(0.5, 0.1, 2.0, ((0.0, 0.0), (1.0, math.nan), (1.0, 1.0)))
    assert not FootprintSettings(0.5, 0.0, 0.0, ((0.0, 0.0), (1.0, 1.0))).has_polygon
    assert FootprintSettings(0.5, 0.1, 2.0, BOX).clearance_m == pytest.approx(
        math.hypot(0.6, 0.3) + 0.2
    )
