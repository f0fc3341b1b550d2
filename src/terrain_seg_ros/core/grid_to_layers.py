"""From the grid to named layers, for those who want to see all that it knows."""

from __future__ import annotations

import numpy as np

from terrain_seg_ros.core.grid import COST_UNKNOWN, RollingGrid
from terrain_seg_ros.core.types import F32, GridSnapshot

HAZARD_LAYER = "hazard"
"""The layer whose cells are valid exactly where the ground is observed."""


def grid_to_layers(grid: RollingGrid, snapshot: GridSnapshot) -> dict[str, F32]:
    """Return layers (rows, cols) by name, NaN where nothing is known.

    `hazard` is P(hazard); `class` the likeliest class id and `confidence` its probability; `age`
    seconds since a cell was last seen; `ground_sample` how far pixels lay apart then, in metres;
    `reason` the code of `Reason` for cells that are not observed, 0 for others; `elevation` the
    ground's height in the grid's frame, only where any was measured.

    Args:
        grid: the evidence.
        snapshot: what was said of it last.
    """
    evidence = grid.evidence
    total = evidence.sum(axis=-1)
    known = (snapshot.cost != COST_UNKNOWN) & (total > 0.0)
    layers = {HAZARD_LAYER: snapshot.hazard}
    layers["class"] = np.where(known, evidence.argmax(axis=-1), np.nan).astype(np.float32)
    layers["confidence"] = np.full_like(total, np.nan)
    np.divide(evidence.max(axis=-1), total, out=layers["confidence"], where=known)
    layers["age"] = grid.age_s(snapshot.stamp_ns)
    layers["ground_sample"] = grid.sample_m
    layers["reason"] = snapshot.reason.astype(np.float32)
    if snapshot.elevation_m is not None:
        layers["elevation"] = snapshot.elevation_m
    return layers
