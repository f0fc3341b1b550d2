"""Test how long a hazard stays, and what takes it back; and that views are fused by the rules."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.grids import evidence_of
from terrain_seg_ros.core.grid.cell_evidence import SURE_VIEW, CellView
from terrain_seg_ros.core.grid.grid_settings import GridSettings
from terrain_seg_ros.core.grid.grid_to_cost import CostSettings, grid_to_cost
from terrain_seg_ros.core.grid.rolling_grid import RollingGrid
from terrain_seg_ros.core.types import Reason

SECOND = 1_000_000_000
HAZARDS = np.array([0.0, 0.0, 1.0], dtype=np.float32)
RULE = CostSettings(hazard_threshold=0.5, min_evidence=0.2, graded=True)
SAFE, ROCK = (0.9, 0.06, 0.04), (0.05, 0.05, 0.9)
ROW = COL = 5


def grid(**changes):
    values = {
        "frame_id": "odom",
        "resolution_m": 0.5,
        "size_m": 5.0,
        "decay_s": 10.0,
        "decay_m": 0.0,
        "max_evidence": 10.0,
        "keep_hazards": True,
        "min_hazard_share": 0.2,
        "half_weight_range_m": 5.0,
    }
    return RollingGrid(GridSettings(**{**values, **changes}), 3)


def see(target, shares, weight=0.5, rule=RULE, cell=(ROW, COL)):
    """Add one view of a cell and return the cost of the grid."""
    evidence = np.array(shares, dtype=np.float32)[:, np.newaxis] * np.float32(weight)
    hazardous = HAZARDS @ evidence >= rule.hazard_threshold * evidence.sum(axis=0)
    target.add(CellView(np.array([cell[0]]), np.array([cell[1]]), evidence, hazardous))
    return rated(target, rule)


def rated(target, rule=RULE, hazards=HAZARDS):
    return grid_to_cost(target, rule, hazards=hazards, stamp_ns=0).cost


def views_until(target, shares, cost, weight, most=200):
    """Return after how many views of one kind the cell has a cost."""
    for count in range(1, most + 1):
        if see(target, shares, weight)[ROW, COL] == cost:
            return count
    return math.inf


@pytest.mark.requirement("TSR-SAFE-005")
def test_a_hazard_that_is_seen_no_more_stays_and_safe_ground_does_not():
    target = grid()
    target.decay_to(0)
    for _ in range(2):
        see(target, ROCK)
        see(target, SAFE, cell=(1, 1))
    for hours in (1, 10, 1000):
        target.decay_to(hours * 3600 * SECOND)
        cost = rated(target)
        assert cost[ROW, COL] == 100
        assert cost[1, 1] == -1
        assert (cost == 100).sum() == 1


def test_without_keeping_a_hazard_turns_stale():
    target = grid(keep_hazards=False)
    target.decay_to(0)
    see(target, ROCK)
    target.decay_to(100 * SECOND)
    assert rated(target)[ROW, COL] == -1
    assert target.ratings.reason[ROW, COL] == Reason.STALE


def test_a_kept_hazard_leaves_with_the_grid():
    target = grid()
    target.decay_to(0)
    see(target, ROCK)
    target.decay_to(1000 * SECOND)
    target.move_to(2.0, 0.0)
    assert rated(target)[ROW, COL - 4] == 100
    target.move_to(50.0, 0.0)
    target.move_to(0.0, 0.0)
    assert (rated(target) == -1).all()


@given(stale_views=st.integers(1, 40), weight=st.floats(0.2, 1.0), wait_s=st.floats(0.0, 1e5))
@settings(max_examples=40)
def test_stale_safe_evidence_never_outvotes_a_fresh_hazard(stale_views, weight, wait_s):
    target = grid()
    target.decay_to(0)
    for _ in range(stale_views):
        see(target, SAFE, 1.0)
    target.decay_to(round(wait_s * SECOND))
    assert views_until(target, ROCK, 100, weight) <= math.ceil(2.0 * SURE_VIEW / weight)


@given(stale_views=st.integers(1, 40), weight=st.floats(0.2, 1.0), wait_s=st.floats(0.0, 1e5))
@settings(max_examples=40)
def test_fresh_safe_evidence_wins_over_a_hazard_within_bounds(stale_views, weight, wait_s):
    target = grid()
    target.decay_to(0)
    for _ in range(stale_views):
        see(target, ROCK, 1.0)
    target.decay_to(round(wait_s * SECOND))
    count = 0
    while see(target, SAFE, weight)[ROW, COL] == 100:
        count += 1
        assert count < math.ceil(math.log(2.0) * 11.0 / weight)
    assert rated(target)[ROW, COL] in range(99)


@pytest.mark.requirement("TSR-SAFE-005")
def test_one_poor_view_does_not_take_a_kept_hazard_back():
    target = grid()
    target.decay_to(0)
    see(target, ROCK, 1.0)
    target.decay_to(10**6 * SECOND)
    assert see(target, SAFE, 0.3)[ROW, COL] == 100
    assert see(target, SAFE, 0.3)[ROW, COL] == 100
    target.decay_to(2 * 10**6 * SECOND)
    assert rated(target)[ROW, COL] == 100
    assert [see(target, SAFE, 1.0)[ROW, COL] for _ in range(3)][-1] < 100


def test_other_rules_rate_kept_hazards_anew():
    target = grid()
    target.decay_to(0)
    see(target, (0.4, 0.0, 0.6))
    target.decay_to(10**5 * SECOND)
    assert rated(target)[ROW, COL] == 100
    higher = CostSettings(hazard_threshold=0.8, min_evidence=0.2, graded=True)
    assert rated(target, higher, hazards=0.7 * HAZARDS)[ROW, COL] == -1
    assert rated(target)[ROW, COL] == 100
    assert rated(target, hazards=np.zeros(3, np.float32))[ROW, COL] == -1
    assert rated(target)[ROW, COL] == 100


def test_a_lost_camera_leaves_only_the_hazards():
    target = grid()
    target.decay_to(0)
    see(target, ROCK)
    see(target, SAFE, cell=(1, 1))
    target.forget(Reason.STALE)
    assert rated(target)[ROW, COL] == 100
    assert rated(target)[1, 1] == -1
    assert target.ratings.reason[1, 1] == Reason.STALE
    assert not evidence_of(target)[1, 1].any()
    target.clear(Reason.OUTSIDE_VIEW)
    assert (rated(target) == -1).all()


opinions = st.lists(
    st.tuples(
        st.tuples(*[st.floats(0.01, 1.0)] * 3).map(lambda p: tuple(v / sum(p) for v in p)),
        st.floats(0.05, 1.0),
    ),
    min_size=2,
    max_size=4,
)


@given(views=opinions)
@settings(max_examples=30)
def test_the_order_of_views_does_not_count_while_hazards_are_not_kept(views):
    found = []
    for order in itertools.permutations(views):
        target = grid(keep_hazards=False)
        for shares, weight in order:
            see(target, shares, weight)
        found.append(evidence_of(target)[ROW, COL])
    np.testing.assert_allclose(found, np.broadcast_to(found[0], (len(found), 3)), atol=1e-5)


@given(
    more=st.floats(0.0, 0.5),
    views=st.integers(1, 12),
    weight=st.floats(0.25, 1.0),
    seed=st.integers(0, 9),
)
@settings(max_examples=40)
def test_cost_does_not_fall_with_hazard_evidence(more, views, weight, seed):
    base = np.random.default_rng(seed).dirichlet(np.ones(3), views)
    worse = base * (1.0 - more) + more * np.array([0.0, 0.0, 1.0])
    costs = []
    for opinion in (base, worse):
        target = grid(keep_hazards=False)
        for shares in opinion:
            cost = see(target, shares, weight)
        costs.append(int(cost[ROW, COL]))
    assert costs[1] >= costs[0] - 1


def test_distance_makes_evidence_fade_as_time_does():
    target = grid(decay_s=0.0, decay_m=2.0, keep_hazards=False)
    target.move_to(0.0, 0.0)
    see(target, SAFE, 1.0)
    target.move_to(0.0, 1.0)
    target.move_to(0.0, 0.0)
    np.testing.assert_allclose(
        target.evidence.total[ROW, COL] * target.evidence.scale, math.exp(-1.0), rtol=1e-5
    )
    target.clear(Reason.STALE)
    target.move_to(2.0, 2.0)
    assert target.evidence.scale == 1.0


def test_fading_for_long_and_far_never_overflows():
    target = grid(decay_s=0.01, decay_m=0.01)
    for step in range(60):
        target.decay_to(step * SECOND)
        target.move_to(0.1 * (step % 2), 0.0)
        cost = see(target, ROCK if step < 20 else SAFE, 1.0)
        assert np.isfinite(evidence_of(target)).all()
    assert cost[ROW, COL] in range(99)


def test_the_age_is_that_of_the_last_view():
    target = grid()
    target.decay_to(5 * SECOND)
    see(target, SAFE)
    target.decay_to(8 * SECOND)
    see(target, SAFE, cell=(1, 1))
    age_s = target.evidence.age_s(9 * SECOND)
    assert age_s[ROW, COL] == pytest.approx(4.0)
    assert age_s[1, 1] == pytest.approx(1.0)
    assert np.isnan(age_s).sum() == age_s.size - 2
