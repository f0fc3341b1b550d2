"""From class evidence to speed limits: slow where the ground is soft."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.grid.rolling_grid import COST_UNKNOWN, I8, RollingGrid
from terrain_seg_ros.core.settings import item, setting, settings
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import F32, GridSnapshot

NO_LIMIT = 0
"""Value of a cell without a limit for Nav2's speed filter."""
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
        """Return the limit per class id (K,), in per cent.

        Raises:
            ConfigError: a name is not a class of the model.
        """
        unknown = sorted(set(self.percents) - set(taxonomy.names))
        if unknown:
            raise ConfigError(
                f"speed_percent names {unknown} are not classes of this model; it has "
                f"{list(taxonomy.names)}"
            )
        return np.array([self.percents.get(n, FULL_PERCENT) for n in taxonomy.names], np.float32)


def grid_to_speed(
    grid: RollingGrid, snapshot: GridSnapshot, percents: F32, *, unobserved_percent: float
) -> I8:
    """Return speed limits (rows, cols) in whole per cent, 1 to 99, and 0 for no limit.

    A cell's limit is the mean of its classes' limits, weighted by P(class) and rounded down.

    Args:
        grid: evidence by class.
        snapshot: of the same grid; its cost says which cells are observed.
        percents: (K,) limit by class id.
        unobserved_percent: limit of cells that are not observed.
    """
    evidence = grid.evidence
    total = evidence.sum(axis=-1)
    percent: F32 = np.full(total.shape, np.float32(unobserved_percent))
    seen = (snapshot.cost != COST_UNKNOWN) & (total > 0.0)
    percent[seen] = (evidence[seen] @ percents) / total[seen]
    limit: I8 = np.maximum(np.floor(percent + np.float32(1e-3)), 1.0).astype(np.int8)
    limit[limit >= round(FULL_PERCENT)] = NO_LIMIT
    return limit
