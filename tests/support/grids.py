"""What tests read of a grid."""

from __future__ import annotations

import numpy as np

from terrain_seg_ros.core.grid.rolling_grid import RollingGrid
from terrain_seg_ros.core.types import F32


def evidence_of(grid: RollingGrid) -> F32:
    """Return the evidence (rows, cols, K) of a grid as of its last decay."""
    evidence: F32 = np.moveaxis(grid.evidence.stored, 0, -1) * np.float32(grid.evidence.scale)
    return evidence
