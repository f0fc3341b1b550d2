import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.outlines import outlines
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.grid import cost_to_safe_map as stage
from terrain_seg_ros.core.grid.cost_to_safe_map import FootprintSettings, cost_to_safe_map

SAFE, UNSAFE, INDEFINITE = 0, 100, -1
SIDE = 15
costs = st.sampled_from([0, 0, 0, 40, 98, 100, -1])


def by_hand(cost, clearance_m, resolution_m):
    """Judge every cell by its distance to every other, and to the cells around the grid."""
    padded = np.pad(cost, 1, constant_values=-1)
    rows, cols = np.indices(padded.shape) - 1
    expected = np.empty_like(cost)
    for row in range(cost.shape[0]):
        for col in range(cost.shape[1]):
            apart_m = (np.hypot(rows - row, cols - col) - np.sqrt(2.0)) * resolution_m
            near = padded[apart_m < clearance_m - 1e-6]
            expected[row, col] = (
                UNSAFE if (near == 100).any() else INDEFINITE if (near == -1).any() else SAFE
            )
    return expected


def safe_map(cost, radius_m, resolution_m=0.1, sigma_m=0.0, sigmas=0.0):
    footprint = FootprintSettings(radius_m, sigma_m, sigmas)
    return cost_to_safe_map(cost, footprint, resolution_m=resolution_m)


@given(
    cells=st.lists(costs, min_size=SIDE * SIDE, max_size=SIDE * SIDE),
    radius_m=st.floats(0.0, 0.9),
)
@settings(max_examples=60)
def test_it_equals_the_judgement_by_all_distances(cells, radius_m):
    radius_m += 0.00123  # no distance between cells is exactly the clearance
    cost = np.array(cells, dtype=np.int8).reshape(SIDE, SIDE)
    found = safe_map(cost, radius_m)
    np.testing.assert_array_equal(found, by_hand(cost, radius_m, 0.1))
    assert found.dtype == np.int8


@pytest.mark.requirement("TSR-SAFE-010")
@given(st.integers(0, 24), st.integers(0, 24), st.floats(0.05, 1.0))
@settings(max_examples=40)
def test_no_point_of_a_safe_cell_is_within_the_clearance_of_a_point_of_a_hazard(row, col, radius_m):
    cost = np.zeros((25, 25), dtype=np.int8)
    cost[row, col] = 100
    safe = np.argwhere(safe_map(cost, radius_m) == SAFE)
    gap = np.maximum(np.abs(safe - [row, col]) - 1, 0)
    assert (np.hypot(*gap.T) * 0.1 >= radius_m - 1e-6).all()


@given(outline=outlines(), heading_rad=st.floats(-4.0, 4.0), seed=st.integers(0, 99))
@settings(max_examples=20)
def test_footprints_of_many_cells_are_judged_alike(outline, heading_rad, seed):
    cost = np.random.default_rng(seed).choice([0, 100, -1], (33, 29), p=[0.98, 0.01, 0.01])
    footprint = FootprintSettings(0.0, 0.3, 1.0, outline)
    found = []
    for most in (stage.MAX_DILATED, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stage, "MAX_DILATED", most)
            found.append(
                cost_to_safe_map(
                    cost.astype(np.int8), footprint, resolution_m=1.0, heading_rad=heading_rad
                )
            )
    np.testing.assert_array_equal(*found)


def test_the_position_s_sigma_counts_as_often_as_asked():
    cost = np.zeros((61, 61), dtype=np.int8)
    cost[30, 30] = 100
    np.testing.assert_array_equal(
        safe_map(cost, 0.5, sigma_m=0.25, sigmas=2.0), safe_map(cost, 1.0)
    )
    assert (safe_map(cost, 1.0) == UNSAFE).sum() > (safe_map(cost, 0.5) == UNSAFE).sum()


@pytest.mark.requirement("TSR-SAFE-010")
def test_ground_beyond_the_edge_is_not_known_to_be_safe():
    found = safe_map(np.zeros((21, 21), dtype=np.int8), 0.3)
    assert (found[0] == INDEFINITE).all()
    assert (found[:, -1] == INDEFINITE).all()
    assert found[10, 10] == SAFE


def test_a_grid_without_observations_is_indefinite():
    assert (safe_map(np.full((9, 9), -1, dtype=np.int8), 0.0) == INDEFINITE).all()


def test_a_single_cell_works():
    assert safe_map(np.array([[100]], dtype=np.int8), 1.0) == UNSAFE
    assert safe_map(np.array([[0]], dtype=np.int8), 1.0) == INDEFINITE


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["radius_m", "position_sigma_m", "sigmas"])
def test_values_out_of_range_are_named(name, value):
    values = {"radius_m": 0.5, "position_sigma_m": 0.1, "sigmas": 2.0, name: value}
    with pytest.raises(ConfigError, match=name):
        FootprintSettings(**values)


HERE = 12
GRID_SIDE = 2 * HERE + 1
angles = st.floats(-math.pi, math.pi)


def turned(corners, heading_rad):
    x, y = np.array(corners).T
    cos, sin = math.cos(heading_rad), math.sin(heading_rad)
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)


def points_of(corners, spacing=0.1):
    """Return points that cover a filled outline: a lattice inside and along the edges."""
    low, high = corners.min(axis=0), corners.max(axis=0)
    lattice = [np.arange(a, b + spacing, spacing) for a, b in zip(low, high)]
    points = np.stack(np.meshgrid(*lattice), axis=-1).reshape(-1, 2)
    winding = np.zeros(len(points))
    along = [corners]
    for a, b in zip(corners, np.roll(corners, -1, axis=0)):
        to_a, to_b = a - points, b - points
        cross = to_a[:, 0] * to_b[:, 1] - to_a[:, 1] * to_b[:, 0]
        winding += np.arctan2(cross, (to_a * to_b).sum(axis=1))
        share = np.linspace(0.0, 1.0, 2 + int(np.hypot(*(b - a)) / spacing))[:, np.newaxis]
        along.append(a + share * (b - a))
    return np.concatenate([points[np.abs(winding) > math.pi], *along])


def touched_by_samples(corners, margin):
    """Return which cells points of the outline touch, the vehicle's origin anywhere in its cell."""
    offset = np.arange(GRID_SIDE) - HERE
    points = points_of(corners)
    gaps = [np.maximum(np.abs(points[:, axis, None] - offset) - 1.0, 0.0) for axis in (0, 1)]
    squared = gaps[1][:, :, None] ** 2 + gaps[0][:, None, :] ** 2
    return squared.min(axis=0) <= margin**2


def outline_map(cost, corners, heading_rad, margin=0.0):
    """Judge an outline given in cells."""
    footprint = FootprintSettings(0.0, margin, 1.0, corners)
    return cost_to_safe_map(cost, footprint, resolution_m=1.0, heading_rad=heading_rad)


def one_cell(value, row=HERE, col=HERE):
    cost = np.zeros((GRID_SIDE, GRID_SIDE), dtype=np.int8)
    cost[row, col] = value
    return cost


@given(outlines(), angles, st.floats(0.0, 1.5))
@settings(max_examples=60)
def test_an_outline_touches_the_cells_that_its_points_touch(corners, heading_rad, margin):
    unsafe = outline_map(one_cell(100), corners, heading_rad, margin) == UNSAFE
    # Seen from a centre the hazard lies the other way.
    found = unsafe[::-1, ::-1]
    at_least = touched_by_samples(turned(corners, heading_rad), margin)
    at_most = touched_by_samples(turned(corners, heading_rad), margin + 0.11)
    assert found[at_least].all()
    assert at_most[found].all()


@pytest.mark.requirement("TSR-SAFE-010")
@given(outlines(), angles, st.floats(0.0, 1.0), st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_no_point_of_an_outline_on_a_safe_centre_lies_on_a_cell_that_is_not_free(
    corners, heading_rad, margin, random
):
    rng = np.random.default_rng(random.randrange(1 << 30))
    cost = np.where(rng.random((26, 26)) < 0.004, 100, 0).astype(np.int8)
    cost[rng.random(cost.shape) < 0.004] = -1
    found = outline_map(cost, corners, heading_rad, margin)
    points = points_of(turned(corners, heading_rad))
    for value, wrong in ((SAFE, (100, -1)), (INDEFINITE, (100,))):
        for row, col in np.argwhere(found == value):
            middle = np.array([col, row]) + rng.random(2)
            off = margin * np.sqrt(rng.random(len(points))) * 0.999
            angle = rng.uniform(-math.pi, math.pi, len(points))
            at = middle + points + np.stack([off * np.cos(angle), off * np.sin(angle)], axis=-1)
            cols, rows = np.floor(at).astype(int).T
            inside = (rows >= 0) & (rows < 26) & (cols >= 0) & (cols < 26)
            assert inside.all() or value == INDEFINITE
            assert not np.isin(cost[rows[inside], cols[inside]], wrong).any()


@given(outlines(), angles, st.floats(0.0, 1.0))
@settings(max_examples=40)
def test_a_quarter_turn_of_vehicle_and_ground_turns_the_map(corners, heading_rad, margin):
    rng = np.random.default_rng(len(corners))
    cost = rng.choice(np.array([0] * 60 + [100, -1], dtype=np.int8), (31, 31))
    found = outline_map(cost, corners, heading_rad, margin)
    quarter = outline_map(np.rot90(cost, -1), corners, heading_rad + math.pi / 2.0, margin)
    # Rows count along y: turning the array clockwise turns the ground counter-clockwise.
    np.testing.assert_array_equal(quarter, np.rot90(found, -1))


@given(st.floats(0.5, 6.0), st.floats(0.0, 1.0), angles)
@settings(max_examples=40)
def test_an_outline_like_a_disc_agrees_with_the_radius_within_a_cell(radius, margin, heading_rad):
    direction = np.arange(64) / 64.0 * 2.0 * math.pi
    corners = tuple(zip((radius * np.cos(direction)).tolist(), (radius * np.sin(direction))))
    cost = one_cell(100)
    disc = outline_map(cost, corners, heading_rad, margin) == UNSAFE
    larger, smaller = (
        cost_to_safe_map(cost, FootprintSettings(r, margin, 1.0), resolution_m=1.0) == UNSAFE
        for r in (radius, max(0.0, radius - 1.0))
    )
    assert larger[disc].all()
    assert disc[smaller].all()


@given(outlines(), angles, st.floats(0.0, 1.0))
@settings(max_examples=40)
def test_without_a_heading_the_circle_about_the_outline_is_judged(corners, heading_rad, margin):
    footprint = FootprintSettings(0.0, margin, 1.0, corners)
    assert footprint.clearance_m == pytest.approx(max(math.hypot(*c) for c in corners) + margin)
    any_heading = cost_to_safe_map(one_cell(100), footprint, resolution_m=1.0)
    circle = FootprintSettings(footprint.clearance_m, 0.0, 0.0)
    np.testing.assert_array_equal(
        any_heading, cost_to_safe_map(one_cell(100), circle, resolution_m=1.0)
    )
    at_heading = outline_map(one_cell(100), corners, heading_rad, margin)
    assert (any_heading[at_heading == UNSAFE] == UNSAFE).all()


def test_a_long_vehicle_passes_where_its_circle_does_not():
    cost = np.zeros((41, 41), dtype=np.int8)
    cost[[14, 26], :] = 100
    long = ((-6.0, -2.0), (6.0, -2.0), (6.0, 2.0), (-6.0, 2.0))
    assert outline_map(cost, long, 0.0)[20, 20] == SAFE
    assert outline_map(cost, long, math.pi / 2.0)[20, 20] == UNSAFE
    wide = FootprintSettings(0.0, 0.0, 0.0, long)
    assert cost_to_safe_map(cost, wide, resolution_m=1.0)[20, 20] == UNSAFE


def test_an_outline_ahead_of_its_base_frame_leaves_the_ground_behind_alone():
    ahead = ((1.0, -1.0), (5.0, -1.0), (5.0, 1.0), (1.0, 1.0))
    assert outline_map(one_cell(100, col=HERE + 4), ahead, 0.0)[HERE, HERE] == UNSAFE
    assert outline_map(one_cell(100, col=HERE - 4), ahead, 0.0)[HERE, HERE] == SAFE
    assert outline_map(one_cell(100, col=HERE - 4), ahead, math.pi)[HERE, HERE] == UNSAFE


@pytest.mark.parametrize("far", [8.0, 30.0, 90.0])
def test_an_outline_that_leaves_the_grid_is_never_safe(far):
    ahead = ((far - 1.0, -1.0), (far + 1.0, -1.0), (far + 1.0, 1.0), (far - 1.0, 1.0))
    cost = np.zeros((9, 9), dtype=np.int8)
    cost[4, 4] = 100
    found = outline_map(cost, ahead, 0.3)
    assert not (found == SAFE).any()
    assert (found == INDEFINITE).any()


@given(outlines(), angles)
@settings(max_examples=20)
def test_the_order_of_the_corners_does_not_matter(corners, heading_rad):
    cost = one_cell(100)
    np.testing.assert_array_equal(
        outline_map(cost, corners, heading_rad), outline_map(cost, corners[::-1], heading_rad)
    )
