"""Speed limits computed from class evidence, such as slow driving on soft ground."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.grid.costs import COST_UNKNOWN, I8
from terrain_seg_ros.core.grid.rolling_grid import RollingGrid
from terrain_seg_ros.core.kernel import kernel
from terrain_seg_ros.core.settings import item, setting, settings
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import F32, GridSnapshot

NO_LIMIT = 0
"""The value of a cell without a limit in Nav2's speed filter."""
FULL_PERCENT = 100.0


@settings
@dataclass(frozen=True)
class SpeedSettings:
    """Speed limits in per cent of the full speed, by class name and where nothing was observed."""

    percents: Annotated[
        Mapping[str, Annotated[float, item(1.0, FULL_PERCENT)]],
        setting(
            "Speed limit on a class of the model, by name, for `speed_mask`; 100, the value of "
            "classes that are not set, is no limit.",
            name="speed_percent.<class>",
            dynamic=True,
        ),
    ]
    unobserved_percent: Annotated[
        float,
        setting(
            "Speed limit on ground that is not observed; 100 is no limit.",
            low=1.0,
            high=FULL_PERCENT,
            name="filter_masks.unobserved_speed_percent",
            dynamic=True,
        ),
    ]

    def per_class(self, taxonomy: Taxonomy) -> F32:
        """Return the limit per class id (K,), in percent.

        Raises:
            ConfigError: a name is not a class of the model.
        """
        unknown = sorted(set(self.percents) - set(taxonomy.names))
        if unknown:
            raise ConfigError(
                f"speed_percent is set for {unknown}, which are not classes of this model; it has "
                f"{list(taxonomy.names)}"
            )
        return np.array([self.percents.get(n, FULL_PERCENT) for n in taxonomy.names], np.float32)


def grid_to_speed(
    grid: RollingGrid, snapshot: GridSnapshot, percents: F32, *, unobserved_percent: float
) -> I8:
    """Return speed limits (rows, cols) in whole percent, 1 to 99, and 0 for no limit.

    A cell's limit is the mean of its classes' limits, weighted by P(class) and rounded down.

    Args:
        grid: the grid.
        snapshot: its newest snapshot, which defines the observed cells.
        percents: (K,) limits by class id.
        unobserved_percent: limit of cells that are not observed.
    """
    limit: I8 = _limits(grid.evidence.stored, snapshot.cost, percents, unobserved_percent)
    return limit


@kernel("float32[:, :, :], int8[:, :], float32[::1], float64")
def _limits(evidence: F32, cost: I8, percents: F32, unobserved_percent: float) -> I8:
    """Return speed limits (rows, cols) of evidence (K, rows, cols)."""
    limits = np.empty(cost.shape, dtype=np.int8)
    for row in range(cost.shape[0]):
        weighted, total = np.zeros((2, cost.shape[1]), dtype=np.float32)
        for number in range(len(evidence)):
            for col in range(cost.shape[1]):
                total[col] += evidence[number, row, col]
                weighted[col] += evidence[number, row, col] * percents[number]
        for col in range(cost.shape[1]):
            percent = np.float32(unobserved_percent)
            if cost[row, col] != COST_UNKNOWN and total[col] > 0.0:
                percent = weighted[col] / total[col]
            limit = max(np.floor(percent + np.float32(1e-3)), np.float32(1.0))
            limits[row, col] = NO_LIMIT if limit >= FULL_PERCENT else np.int8(limit)
    return limits
