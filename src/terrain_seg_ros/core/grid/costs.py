"""Values of cost grids, as defined by Nav2 and nav_msgs/OccupancyGrid."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

COST_UNKNOWN = -1
"""Not observed; `Reason` explains why."""
COST_FREE = 0
COST_GRADED_MAX = 98
"""The highest cost below the hazard threshold; 99 is never used."""
COST_LETHAL = 100

I8 = NDArray[np.int8]
