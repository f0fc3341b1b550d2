"""Grids that change, for the tests of the downlink."""

from __future__ import annotations

import numpy as np

from terrain_seg_ros.core.types import GridSnapshot, Reason

SECOND_NS = 1_000_000_000
CELL_M = 0.25


def snapshot(cost, stamp_ns, *, first=(0, 0), cell_m=CELL_M, frame_id="odom"):
    """Return a grid of costs (rows, cols) whose first cell is a row and column of the frame."""
    cost = np.asarray(cost, dtype=np.int8)
    hazard = np.where(cost < 0, np.nan, cost / 100.0).astype(np.float32)
    reason = np.where(cost < 0, int(Reason.OUTSIDE_VIEW), 0).astype(np.uint8)
    row, col = first
    return GridSnapshot(
        cost, hazard, reason, cell_m, col * cell_m, row * cell_m, frame_id, stamp_ns
    )


def ground(rng, rows, cols):
    """Return costs of a piece of ground: graded, with hazards and what is not observed."""
    cost = rng.integers(0, 99, (rows, cols))
    kind = rng.random((rows // 8 + 1, cols // 8 + 1)).repeat(8, axis=0).repeat(8, axis=1)
    kind = kind[:rows, :cols]
    cost[kind < 0.3] = -1
    cost[kind > 0.85] = 100
    return cost.astype(np.int8)


def assert_never_safer(shown, truth):
    """Check a decoded grid against the one it was made from: hazards kept, costs not lowered."""
    assert ((shown == 100) == (truth == 100)).all()
    assert ((shown == -1) == (truth == -1)).all()
    assert (shown >= truth).all()
    assert (shown[truth >= 0] - truth[truth >= 0]).max(initial=0) < 8
