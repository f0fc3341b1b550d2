"""Test the rolling grid: scrolling, decay, caps, exactness far away."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.grids import evidence_of
from terrain_seg_ros.core.errors import ConfigError, GeometryError
from terrain_seg_ros.core.grid.cell_evidence import CellView
from terrain_seg_ros.core.grid.grid_settings import GridSettings
from terrain_seg_ros.core.grid.rolling_grid import RollingGrid
from terrain_seg_ros.core.types import Reason

SECOND = 1_000_000_000
VALUES = {
    "frame_id": "odom",
    "resolution_m": 0.25,
    "size_m": 5.0,
    "decay_s": 0.0,
    "decay_m": 0.0,
    "max_evidence": 8.0,
    "keep_hazards": False,
    "min_hazard_share": 0.2,
    "half_weight_range_m": 5.0,
}


def grid(class_count=2, **changes):
    return RollingGrid(GridSettings(**{**VALUES, **changes}), class_count)


def add(target, x_m, y_m, evidence):
    """Add evidence at points given in the grid's frame, where these are inside."""
    res = target.settings.resolution_m
    col = math.floor(x_m / res) - round(target.origin_x_m / res)
    row = math.floor(y_m / res) - round(target.origin_y_m / res)
    if 0 <= row < target.side and 0 <= col < target.side:
        values = np.array(evidence, dtype=np.float32)[:, np.newaxis]
        target.add(CellView(np.array([row]), np.array([col]), values))


inside = st.floats(-2.2, 2.2)
steps = st.lists(
    st.tuples(st.floats(-3, 3), st.floats(-3, 3), inside, inside), min_size=1, max_size=25
)


@given(steps=steps)
@settings(max_examples=60)
def test_scrolling_equals_an_endless_grid_that_forgets_what_leaves(steps):
    rolling, endless = grid(), {}
    x_m = y_m = 0.0
    for index, (dx, dy, px, py) in enumerate(steps):
        x_m, y_m = x_m + dx, y_m + dy
        rolling.move_to(x_m, y_m)
        row0, col0 = round(rolling.origin_y_m / 0.25), round(rolling.origin_x_m / 0.25)
        rows, cols = range(row0, row0 + 20), range(col0, col0 + 20)
        endless = {cell: v for cell, v in endless.items() if cell[0] in rows and cell[1] in cols}
        evidence = np.array([0.25, 0.25 * (index % 3)])
        cell = (math.floor((y_m + py) / 0.25), math.floor((x_m + px) / 0.25))
        endless[cell] = endless.get(cell, 0.0) + evidence
        add(rolling, x_m + px, y_m + py, evidence)
    expected = np.zeros((20, 20, 2))
    for (row, col), evidence in endless.items():
        expected[row - row0, col - col0] = evidence * min(1.0, 8.0 / evidence.sum())
    np.testing.assert_allclose(evidence_of(rolling), expected, rtol=1e-5)


@given(path=st.lists(st.tuples(st.floats(-40, 40), st.floats(-40, 40)), max_size=30))
@settings(max_examples=50)
def test_moving_never_shows_what_was_forgotten(path):
    moving = grid()
    for x_m, y_m in path:
        moving.move_to(x_m, y_m)
        rows, cols = np.divmod(np.arange(moving.side**2), moving.side)
        total, reason = moving.evidence.total, moving.ratings.reason
        entered = total == 0.0
        assert (reason[entered] == Reason.OUTSIDE_VIEW).all()
        ones = np.ones((2, rows.size), dtype=np.float32)
        moving.add(CellView(rows, cols, ones))
        moving.set_reason(rows, cols, np.uint8(Reason.SHADOW))
        assert (moving.evidence.total > 0.0).all()
    moving.move_to(1e6, 1e6)
    assert not evidence_of(moving).any()


@pytest.mark.requirement("TSR-NAV-003")
@given(x_m=st.floats(-1e6, 1e6), y_m=st.floats(-1e6, 1e6))
def test_the_origin_is_a_multiple_of_the_resolution_and_the_vehicle_in_the_middle(x_m, y_m):
    moved = grid(resolution_m=0.1, size_m=4.0)
    moved.move_to(x_m, y_m)
    for at, origin in ((x_m, moved.origin_x_m), (y_m, moved.origin_y_m)):
        assert abs(origin / 0.1 - round(origin / 0.1)) < 1e-6
        assert origin + 2.0 - 1e-6 <= at <= origin + 2.1 + 1e-6


def test_a_move_within_a_cell_changes_nothing():
    still = grid()
    still.move_to(0.01, 0.01)
    before = still.origin_x_m
    still.move_to(0.24, 0.2)
    assert still.origin_x_m == before
    still.move_to(0.26, 0.2)
    assert still.origin_x_m == before + 0.25


@given(
    decay_s=st.floats(0.5, 100.0),
    waits=st.lists(st.floats(0.0, 200.0), min_size=1, max_size=8),
)
@settings(max_examples=60)
def test_lazy_decay_equals_plain_decay(decay_s, waits):
    lazy, plain, stamp = grid(decay_s=decay_s), np.zeros(2), 0
    lazy.decay_to(0)
    for wait in waits:
        wait_ns = round(wait * SECOND)
        stamp += wait_ns
        lazy.decay_to(stamp)
        plain = plain * math.exp(-wait_ns / SECOND / decay_s) + [0.5, 0.25]
        add(lazy, 0.0, 0.0, (0.5, 0.25))
    row = col = lazy.side // 2
    plain *= min(1.0, 8.0 / plain.sum())
    np.testing.assert_allclose(evidence_of(lazy)[row, col], plain, rtol=1e-4)


def test_without_decay_and_for_earlier_stamps_evidence_stays():
    for kept, stamps in ((grid(), (0, 10**15)), (grid(decay_s=1.0), (10**12, 0))):
        kept.decay_to(stamps[0])
        add(kept, 0.0, 0.0, (1.0, 1.0))
        kept.decay_to(stamps[1])
        assert evidence_of(kept).sum() == 2.0


def test_evidence_is_capped_and_keeps_its_shares():
    capped = grid()
    for _ in range(40):
        add(capped, 0.0, 0.0, (0.75, 0.25))
    row = col = capped.side // 2
    np.testing.assert_allclose(evidence_of(capped)[row, col], [6.0, 2.0], rtol=1e-5)
    assert capped.evidence.total[row, col] == pytest.approx(8.0)


def test_new_views_win_over_capped_old_ones():
    turned = grid()
    for _ in range(100):
        add(turned, 0.0, 0.0, (1.0, 0.0))
    for _ in range(100):
        add(turned, 0.0, 0.0, (0.0, 1.0))
    row = col = turned.side // 2
    assert evidence_of(turned)[row, col, 1] > 7.9


def test_clearing_gives_every_cell_the_reason():
    cleared = grid()
    add(cleared, 0.0, 0.0, (1.0, 0.0))
    cleared.clear(Reason.STALE)
    assert not evidence_of(cleared).any()
    assert (cleared.ratings.reason == Reason.STALE).all()


def test_changed_cells_are_named_once_and_survive_a_recentring():
    changing = grid()
    add(changing, 0.0, 0.0, (1.0, 0.0))
    assert changing.ratings.slots_to_rate("rule").size == changing.side**2
    add(changing, 0.0, 0.0, (1.0, 0.0))
    add(changing, 0.0, 0.0, (1.0, 0.0))
    assert changing.ratings.slots_to_rate("rule").size == 1
    assert changing.ratings.slots_to_rate("rule").size == 0
    assert changing.ratings.slots_to_rate("other rule").size == changing.side**2
    add(changing, 0.0, 0.0, (1.0, 0.0))
    for index in range(40):
        changing.move_to(index * 2.0, 0.0)
    assert changing.ratings.slots_to_rate("other rule").size == changing.side**2


@pytest.mark.parametrize(
    "changes",
    [
        {"frame_id": ""},
        {"resolution_m": 0.0},
        {"resolution_m": math.nan},
        {"size_m": -5.0},
        {"size_m": 5.1},
        {"size_m": 2500.0},
        {"decay_s": -1.0},
        {"decay_s": math.inf},
        {"decay_m": -1.0},
        {"max_evidence": 0.0},
        {"min_hazard_share": 0.0},
        {"min_hazard_share": 1.5},
        {"half_weight_range_m": 0.0},
    ],
)
def test_settings_out_of_range_are_refused_by_name(changes):
    with pytest.raises(ConfigError, match=next(iter(changes))):
        grid(**changes)


def test_a_pose_that_is_not_finite_is_refused():
    with pytest.raises(GeometryError, match="nan"):
        grid().move_to(math.nan, 0.0)
    with pytest.raises(ConfigError, match="0 classes"):
        grid(class_count=0)
