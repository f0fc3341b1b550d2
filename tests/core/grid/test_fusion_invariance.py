"""Test that the grid does not care where, which way round, or in what order it sees the ground."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.grids import evidence_of
from support.scenes import STRETCH, mounting, pose, project, projector
from terrain_seg_ros.core.geometry.frames import rotation_from_rpy
from terrain_seg_ros.core.grid.grid_settings import GridSettings
from terrain_seg_ros.core.grid.grid_to_cost import CostSettings, grid_to_cost
from terrain_seg_ros.core.grid.ground_to_grid import ground_to_grid
from terrain_seg_ros.core.grid.rolling_grid import RollingGrid
from terrain_seg_ros.core.types import Segmentation, Transform

HAZARDS = np.array([0.0, 0.2, 1.0], dtype=np.float32)
RULE = CostSettings(hazard_threshold=0.5, min_evidence=0.05, graded=True)
SHAPE = (STRETCH.height_px, STRETCH.width_px)


def grid(*, resolution_m=0.1, size_m=20.0, keep_hazards=False):
    return RollingGrid(
        GridSettings(
            frame_id="odom",
            resolution_m=resolution_m,
            size_m=size_m,
            decay_s=0.0,
            decay_m=0.0,
            max_evidence=1000.0,
            keep_hazards=keep_hazards,
            min_hazard_share=0.25,
            half_weight_range_m=10.0,
        ),
        3,
    )


def opinion(seed):
    """Return what a network says of blobs, so that cells differ from their neighbours."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (3, SHAPE[0] // 8, SHAPE[1] // 8))
    chances = np.repeat(np.repeat(coarse, 8, axis=1), 8, axis=2).astype(np.uint8)
    sure = random.integers(128, 256, SHAPE).astype(np.uint8)
    mask = chances.argmax(axis=0).astype(np.uint8)
    return Segmentation(chances, mask, sure, mask, sure)


def see(target, base, seed, *, of=None, mount=None):
    """Add one view from a pose of the vehicle; return the snapshot."""
    view = project(of or projector(), base, mount=mount)
    ground_to_grid(target, view, segmentation=opinion(seed), hazards=HAZARDS, hazard_threshold=0.5)
    return grid_to_cost(target, RULE, hazards=HAZARDS, stamp_ns=0)


def drive(target, poses, *, shift=(0.0, 0.0)):
    for seed, (x_m, y_m, yaw_rad) in enumerate(poses):
        base = pose(x=x_m + shift[0], y=y_m + shift[1], yaw=yaw_rad)
        target.move_to(*base.translation_m[:2])
        found = see(target, base, seed)
    return found


paths = st.lists(
    st.tuples(st.floats(-3, 3), st.floats(-3, 3), st.floats(-3.1, 3.1)), min_size=1, max_size=3
)


@given(path=paths, cells=st.tuples(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6)))
@settings(max_examples=15)
def test_a_shift_by_whole_cells_shifts_the_grid(path, cells):
    """A power of two as resolution keeps the shifted poses exact: 10^6 cells are 125 km."""
    path = [(round(x * 1024) / 1024, round(y * 1024) / 1024, yaw) for x, y, yaw in path]
    here, there = (grid(resolution_m=0.125) for _ in range(2))
    expected = drive(here, path)
    found = drive(there, path, shift=(cells[0] * 0.125, cells[1] * 0.125))
    np.testing.assert_array_equal(found.cost, expected.cost)
    np.testing.assert_allclose(evidence_of(there), evidence_of(here), atol=1e-5)
    assert found.origin_x_m - expected.origin_x_m == cells[0] * 0.125


@given(yaw_rad=st.floats(-3.1, 3.1), quarter=st.integers(1, 3), seed=st.integers(0, 99))
@settings(max_examples=15)
def test_a_quarter_turn_turns_the_grid(yaw_rad, quarter, seed):
    """But for points on the border of two cells, which rounding puts into either."""
    turned = []
    for angle in (yaw_rad, yaw_rad + quarter * np.pi / 2.0):
        target = grid()
        see(target, pose(yaw=angle), seed)
        turned.append(evidence_of(target))
    expected = np.rot90(turned[0], -quarter)
    differs = np.abs(turned[1] - expected).max(axis=-1) > 1e-4
    assert differs.sum() <= 0.01 * (expected.sum(axis=-1) > 0.0).sum()


@given(yaws=st.permutations([0.0, 0.7, -0.9, 2.0]))
@settings(max_examples=10)
def test_cameras_are_fused_in_any_order(yaws):
    """Four cameras of one vehicle, each with its own mounting, look at one place."""
    of = projector()
    orders = []
    for order in (sorted(yaws), yaws):
        target = grid()
        for yaw_rad in order:
            turn = Transform(rotation_from_rpy(0.0, 0.0, yaw_rad), np.zeros(3))
            seed = round(10.0 * yaw_rad) + 50
            found = see(target, pose(), seed, of=of, mount=turn @ mounting())
        orders.append((evidence_of(target), found))
    np.testing.assert_allclose(orders[0][0], orders[1][0], atol=1e-4)
    differs = np.abs(orders[0][1].cost.astype(int) - orders[1][1].cost) > 1
    assert differs.sum() <= 2
    seen = orders[0][0].sum(axis=-1) > 0.0
    alone = grid()
    see(alone, pose(), 0, of=of)
    assert seen.sum() > 1.5 * (evidence_of(alone).sum(axis=-1) > 0.0).sum()


@given(path=paths, home=st.tuples(st.floats(-40, 40), st.floats(-40, 40)))
@settings(max_examples=15)
def test_moving_the_grid_changes_no_cell_that_stays(path, home):
    target = grid(keep_hazards=True)
    before = drive(target, path)
    evidence = evidence_of(target)
    corner = np.array([before.origin_y_m, before.origin_x_m])
    target.move_to(*home)
    after = grid_to_cost(target, RULE, hazards=HAZARDS, stamp_ns=0)
    moved = np.rint((np.array([after.origin_y_m, after.origin_x_m]) - corner) / 0.1).astype(int)
    rows, cols = (np.arange(200) + step for step in moved)
    stays = np.ix_((rows >= 0) & (rows < 200), (cols >= 0) & (cols < 200))
    old_rows, old_cols = rows[(rows >= 0) & (rows < 200)], cols[(cols >= 0) & (cols < 200)]
    old = np.ix_(old_rows, old_cols)
    np.testing.assert_array_equal(after.cost[stays], before.cost[old])
    np.testing.assert_array_equal(after.hazard[stays], before.hazard[old])
    np.testing.assert_array_equal(evidence_of(target)[stays], evidence[old])
    entered = np.ones((200, 200), bool)
    entered[stays] = False
    assert (after.cost[entered] == -1).all()


@pytest.mark.requirement("TSR-SAFE-001")
@given(path=paths)
@settings(max_examples=10)
def test_no_cell_is_safe_without_evidence(path):
    target = grid(keep_hazards=True)
    found = drive(target, path)
    assert (found.cost[target.evidence.total < RULE.min_evidence] == -1).all()
    assert (found.cost >= 0).any()


@pytest.mark.parametrize(("resolution_m", "size_m"), [(0.001, 0.5), (100.0, 10_000.0)])
@pytest.mark.parametrize("offset_m", [0.0, 1e6])
def test_extremes_of_resolution_and_place(resolution_m, size_m, offset_m):
    target = grid(resolution_m=resolution_m, size_m=size_m)
    of = projector(cell_m=resolution_m, max_ground_sample_m=1e3, max_range_m=1e4)
    base = pose(x=offset_m, y=-offset_m)
    target.move_to(offset_m + 1.5, -offset_m)
    found = see(target, base, 3, of=of)
    assert (found.cost >= 0).any()
    assert set(np.unique(found.cost)) <= {-1, *range(99), 100}
    assert np.isfinite(found.hazard[found.cost >= 0]).all()
    assert abs(found.origin_x_m + size_m / 2.0 - offset_m - 1.5) <= resolution_m + 1e-6
