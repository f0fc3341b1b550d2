"""The complete state of the grid as named layers."""

from __future__ import annotations

import numpy as np

from terrain_seg_ros.core.grid.costs import COST_UNKNOWN
from terrain_seg_ros.core.grid.rolling_grid import RollingGrid
from terrain_seg_ros.core.kernel import kernel
from terrain_seg_ros.core.types import F32, GridSnapshot

HAZARD_LAYER = "hazard"
"""The layer that is valid exactly where the ground is observed."""


def grid_to_layers(grid: RollingGrid, snapshot: GridSnapshot) -> dict[str, F32]:
    """Return layers (rows, cols) by name, NaN where nothing is known.

    `hazard` is P(hazard); `class` is the most likely class id and `confidence` its probability;
    `age` is the time in seconds since a cell was last seen; `ground_sample` the distance of pixels
    on the ground at that time, in metres; `reason` the code of `Reason` for cells that are not
    observed, 0 for others; `elevation` the height of the ground in the grid's frame, present only
    if any was measured.

    Args:
        grid: the grid.
        snapshot: its newest snapshot.
    """
    classes, confidence = _winners(grid.evidence.stored, grid.evidence.total)
    unknown = (snapshot.cost == COST_UNKNOWN) | (confidence == 0.0)
    classes[unknown] = confidence[unknown] = np.nan
    layers = {HAZARD_LAYER: snapshot.hazard, "class": classes, "confidence": confidence}
    layers["age"] = grid.evidence.age_s(snapshot.stamp_ns)
    layers["ground_sample"] = grid.evidence.sample_m
    layers["reason"] = snapshot.reason.astype(np.float32)
    if snapshot.elevation_m is not None:
        layers["elevation"] = snapshot.elevation_m
    return layers


@kernel("float32[:, :, :], float32[:, :]")
def _winners(evidence: F32, total: F32) -> tuple[F32, F32]:
    """Return the class with the most evidence and its share (rows, cols), 0 without evidence."""
    classes, share = np.zeros(total.shape, np.float32), np.zeros(total.shape, np.float32)
    for row in range(total.shape[0]):
        for number in range(len(evidence)):
            for col in range(total.shape[1]):
                if evidence[number, row, col] > share[row, col]:
                    classes[row, col], share[row, col] = number, evidence[number, row, col]
        for col in range(total.shape[1]):
            share[row, col] /= total[row, col] if total[row, col] > 0.0 else np.float32(np.inf)
    return classes, share
