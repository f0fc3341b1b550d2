"""Test what a navigation stack is told of the evidence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.grids import evidence_of
from support.numpy_cost import numpy_rating
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.grid.cell_evidence import CellView
from terrain_seg_ros.core.grid.grid_settings import GridSettings
from terrain_seg_ros.core.grid.grid_to_cost import CostSettings, cost_of_hazard, grid_to_cost
from terrain_seg_ros.core.grid.rolling_grid import RollingGrid
from terrain_seg_ros.core.types import Reason

SECOND = 1_000_000_000
HAZARDS = np.array([0.0, 0.5, 1.0], dtype=np.float32)
RULE = CostSettings(hazard_threshold=0.5, min_evidence=1.0, graded=True)


def grid(decay_s=0.0, *, keep_hazards=False, **changes):
    values = {
        "frame_id": "odom",
        "resolution_m": 0.5,
        "size_m": 5.0,
        "decay_s": decay_s,
        "decay_m": 0.0,
        "max_evidence": 10.0,
        "keep_hazards": keep_hazards,
        "min_hazard_share": 0.2,
        "half_weight_range_m": 5.0,
    }
    return RollingGrid(GridSettings(**{**values, **changes}), 3)


def add(target, row, col, evidence):
    values = np.array(evidence, dtype=np.float32)[:, np.newaxis]
    hazardous = HAZARDS @ values >= 0.5 * values.sum(axis=0)
    target.add(CellView(np.array([row]), np.array([col]), values, hazardous))


def rated(target, rule=RULE, hazards=HAZARDS):
    return grid_to_cost(target, rule, hazards=hazards, stamp_ns=7)


@pytest.mark.requirement("TSR-SAFE-001")
def test_an_empty_grid_is_unknown_everywhere():
    empty = rated(grid())
    assert (empty.cost == -1).all()
    assert np.isnan(empty.hazard).all()
    assert (empty.reason == Reason.OUTSIDE_VIEW).all()
    assert (empty.frame_id, empty.stamp_ns, empty.resolution_m) == ("odom", 7, 0.5)
    assert (empty.origin_x_m, empty.origin_y_m) == (-2.5, -2.5)


def test_costs_by_hand():
    target = grid()
    add(target, 0, 0, (2.0, 0.0, 0.0))
    add(target, 0, 1, (0.0, 2.0, 0.0))
    add(target, 0, 2, (1.2, 0.8, 0.0))
    add(target, 0, 3, (0.0, 0.0, 2.0))
    add(target, 0, 4, (0.5, 0.0, 0.0))
    target.set_reason(np.array([0]), np.array([4]), np.uint8(Reason.SHADOW))
    target.set_reason(np.array([0]), np.array([3]), np.uint8(Reason.SHADOW))
    found = rated(target)
    assert found.cost[0, :5].tolist() == [0, 100, 39, 100, -1]
    np.testing.assert_allclose(found.hazard[0, :4], [0.0, 0.5, 0.2, 1.0])
    assert found.reason[0, :5].tolist() == [0, 0, 0, 0, Reason.SHADOW]


def test_without_grading_a_cell_is_free_lethal_or_unknown():
    target = grid()
    add(target, 0, 0, (1.2, 0.8, 0.0))
    add(target, 0, 1, (0.0, 0.0, 1.0))
    found = rated(target, CostSettings(hazard_threshold=0.5, min_evidence=1.0, graded=False))
    assert found.cost[0, :3].tolist() == [0, 100, -1]


cells = st.lists(
    st.tuples(
        st.integers(0, 9),
        st.integers(0, 9),
        st.tuples(*[st.floats(0.0, 3.0, width=32) for _ in range(3)]),
        st.floats(0.0, 20.0),
    ),
    max_size=12,
)


@pytest.mark.requirement("TSR-SAFE-001")
@given(cells=cells, threshold=st.floats(0.01, 1.0), minimum=st.floats(0.01, 5.0))
@settings(max_examples=80)
def test_no_cell_is_known_without_evidence_and_the_cache_tells_the_truth(cells, threshold, minimum):
    rule = CostSettings(hazard_threshold=threshold, min_evidence=minimum, graded=True)
    target, stamp = grid(decay_s=10.0), 0
    for row, col, evidence, wait in cells:
        stamp += round(wait * SECOND)
        target.decay_to(stamp)
        add(target, row, col, evidence)
        found = rated(target, rule)
        total = evidence_of(target).sum(axis=-1)
        assert (found.cost[total < minimum * (1 - 1e-5)] == -1).all()
        assert (found.cost[total > minimum * (1 + 1e-5)] >= 0).all()
        assert ((found.reason == Reason.OBSERVED) == (found.cost >= 0)).all()
        assert (np.isnan(found.hazard) == (found.cost < 0)).all()
    cached = rated(target, rule)
    target.rated_by = None
    fresh = rated(target, rule)
    clear = ~(np.abs(fresh.hazard - threshold) < 1e-5)
    difference = np.abs(cached.cost.astype(int) - fresh.cost)[clear]
    assert difference.max(initial=0) <= 1
    np.testing.assert_allclose(cached.hazard, fresh.hazard, rtol=1e-5)


@pytest.mark.requirement("TSR-NAV-002")
@given(
    hazards=st.lists(st.floats(0.0, 1.0, width=32), min_size=2, max_size=50),
    threshold=st.floats(0.01, 1.0),
    graded=st.booleans(),
)
def test_cost_rises_with_hazard_and_has_only_legal_values(hazards, threshold, graded):
    ordered = np.sort(np.array(hazards, dtype=np.float32))
    cost = np.array([cost_of_hazard(hazard, threshold, graded) for hazard in ordered])
    assert (np.diff(cost) >= 0).all()
    assert set(cost) <= {*range(99), 100}
    assert (cost[ordered >= threshold] == 100).all()
    assert cost_of_hazard(0.0, threshold, graded) == 0
    assert cost_of_hazard(np.nan, threshold, graded) == -1


def test_evidence_that_fades_turns_stale():
    target = grid(decay_s=10.0)
    target.decay_to(0)
    add(target, 2, 3, (1.5, 0.0, 0.0))
    assert rated(target).cost[2, 3] == 0
    target.decay_to(3 * SECOND)
    assert rated(target).cost[2, 3] == 0
    target.decay_to(5 * SECOND)
    faded = rated(target)
    assert faded.cost[2, 3] == -1
    assert faded.reason[2, 3] == Reason.STALE
    assert np.isnan(faded.hazard[2, 3])


def test_other_hazards_or_thresholds_rate_every_cell_again():
    target = grid()
    add(target, 1, 1, (0.0, 2.0, 0.0))
    assert rated(target).cost[1, 1] == 100
    assert rated(target, hazards=np.zeros(3, dtype=np.float32)).cost[1, 1] == 0
    assert rated(target).cost[1, 1] == 100
    higher = CostSettings(hazard_threshold=0.6, min_evidence=1.0, graded=True)
    assert rated(target, higher).cost[1, 1] == round(98 * 0.5 / 0.6)
    stricter = CostSettings(hazard_threshold=0.6, min_evidence=3.0, graded=True)
    assert rated(target, stricter).cost[1, 1] == -1


def test_a_snapshot_does_not_change_afterwards():
    target = grid()
    before = rated(target)
    add(target, 0, 0, (2.0, 0.0, 0.0))
    rated(target)
    target.clear(Reason.STALE)
    assert (before.cost == -1).all()
    assert (before.reason == Reason.OUTSIDE_VIEW).all()


def test_ratings_move_with_the_grid():
    target = grid()
    add(target, 5, 5, (0.0, 0.0, 2.0))
    rated(target)
    target.move_to(1.0, -0.5)
    moved = rated(target)
    assert moved.cost[6, 3] == 100
    assert (moved.cost == 100).sum() == 1
    assert (moved.origin_x_m, moved.origin_y_m) == (-1.5, -3.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"hazard_threshold": 0.0},
        {"hazard_threshold": 1.1},
        {"min_evidence": 0.0},
        {"min_evidence": float("nan")},
    ],
)
def test_settings_out_of_range_are_refused_by_name(changes):
    values = {"hazard_threshold": 0.5, "min_evidence": 1.0, "graded": True, **changes}
    with pytest.raises(ConfigError, match=next(iter(changes))):
        CostSettings(**values)


@pytest.mark.parametrize("evidence", [(0.01, 1.99, 0.0), (0.9, 1.0, 0.0), (0.5, 0.3, 0.3)])
def test_a_class_at_the_threshold_makes_a_cell_lethal_that_it_nearly_fills(evidence):
    target = grid(keep_hazards=True)
    add(target, 0, 0, evidence)
    found = rated(target)
    assert found.cost[0, 0] == 100
    assert found.hazard[0, 0] >= 0.5
    target.decay_to(10**15)
    assert rated(target).cost[0, 0] == 100


@given(
    seed=st.integers(0, 2**32 - 1),
    threshold=st.floats(0.01, 1.0),
    minimum=st.floats(0.01, 5.0),
    graded=st.booleans(),
    keep_hazards=st.booleans(),
)
@settings(max_examples=60)
def test_the_compiled_loop_equals_its_numpy_reference(
    seed, threshold, minimum, graded, keep_hazards
):
    random = np.random.default_rng(seed)
    rule = CostSettings(hazard_threshold=threshold, min_evidence=minimum, graded=graded)
    target = grid(keep_hazards=keep_hazards)
    shape = (target.side, target.side)
    evidence = random.choice([0.0, 0.5, 1.0, 3.0], (3, *shape)).astype(np.float32)
    steep, kept = random.random(shape, np.float32), random.random(shape) < 0.5
    target.heights.steepness[...] = steep
    for name, values in (("evidence", evidence), ("total", evidence.sum(axis=0)), ("kept", kept)):
        target.layers.window(name)[...] = values
    found = rated(target, rule)
    cost, hazard = numpy_rating(
        rule, hazards=HAZARDS, evidence=evidence, steep=steep, kept=kept & keep_hazards
    )
    np.testing.assert_array_equal(found.cost, cost)
    np.testing.assert_array_equal(found.hazard, hazard)
