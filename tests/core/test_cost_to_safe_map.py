import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terrain_seg_ros.core.cost_to_safe_map import FootprintSettings, cost_to_safe_map
from terrain_seg_ros.core.errors import ConfigError

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
@settings(max_examples=60, deadline=None)
def test_it_equals_the_judgement_by_all_distances(cells, radius_m):
    radius_m += 0.00123  # no distance between cells is exactly the clearance
    cost = np.array(cells, dtype=np.int8).reshape(SIDE, SIDE)
    found = safe_map(cost, radius_m)
    np.testing.assert_array_equal(found, by_hand(cost, radius_m, 0.1))
    assert found.dtype == np.int8


@given(st.integers(0, 24), st.integers(0, 24), st.floats(0.05, 1.0))
@settings(max_examples=40, deadline=None)
def test_no_point_of_a_safe_cell_is_within_the_clearance_of_a_point_of_a_hazard(row, col, radius_m):
    cost = np.zeros((25, 25), dtype=np.int8)
    cost[row, col] = 100
    safe = np.argwhere(safe_map(cost, radius_m) == SAFE)
    gap = np.maximum(np.abs(safe - [row, col]) - 1, 0)
    assert (np.hypot(*gap.T) * 0.1 >= radius_m - 1e-6).all()


def test_the_position_s_sigma_counts_as_often_as_asked():
    cost = np.zeros((61, 61), dtype=np.int8)
    cost[30, 30] = 100
    np.testing.assert_array_equal(
        safe_map(cost, 0.5, sigma_m=0.25, sigmas=2.0), safe_map(cost, 1.0)
    )
    assert (safe_map(cost, 1.0) == UNSAFE).sum() > (safe_map(cost, 0.5) == UNSAFE).sum()


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
