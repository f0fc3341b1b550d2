"""The shape of the grid and the rules of fusion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.settings import setting, settings

MAX_CELLS_PER_SIDE = 2000
"""Keeps eight classes and all other layers within 330 MB."""


@settings
@dataclass(frozen=True)
class GridSettings:
    """The shape of the grid and the rules of fusing."""

    frame_id: Annotated[
        str,
        setting(
            "Fixed frame of the grid, such as odom; it must not move with the vehicle.",
            name="grid_frame",
        ),
    ]
    resolution_m: Annotated[float, setting("Side of a cell.", low=0.001, high=100.0)]
    size_m: Annotated[float, setting("Side of the square grid.", low=0.1, high=10000.0)]
    max_evidence: Annotated[
        float,
        setting(
            "Upper limit of a cell's evidence, where one view adds at most 1. With a lower limit "
            "new views outweigh old ones sooner.",
            low=0.01,
            high=1e6,
            dynamic=True,
        ),
    ]
    decay_s: Annotated[
        float,
        setting(
            "Time constant with which evidence decays; 0 disables decay over time.",
            low=0.0,
            high=1e6,
            dynamic=True,
        ),
    ]
    decay_m: Annotated[
        float,
        setting(
            "Distance travelled over which evidence decays to 1/e; 0 disables decay over distance.",
            low=0.0,
            high=1e6,
            dynamic=True,
        ),
    ]
    keep_hazards: Annotated[
        bool,
        setting(
            "Keep a hazard, however old, until its ground has been observed again well enough or "
            "leaves the grid. A view that shows a hazard also reduces earlier evidence of safe "
            "ground in that cell.",
            dynamic=True,
        ),
    ]
    min_hazard_share: Annotated[
        float,
        setting(
            "If at least this share of a cell's pixels in a view is hazardous, only those pixels "
            "count.",
            low=0.001,
            high=1.0,
            dynamic=True,
        ),
    ]
    half_weight_range_m: Annotated[
        float,
        setting(
            "Distance from the camera at which a view has half its weight.",
            low=0.1,
            high=1e6,
            dynamic=True,
        ),
    ]

    def __post_init__(self) -> None:
        """Check the frame, and that the grid has a whole number of cells."""
        if not self.frame_id.strip():
            raise ConfigError(
                "frame_id of the grid (grid_frame) is empty; set a fixed frame such as 'odom'"
            )
        cells = self.size_m / self.resolution_m
        if abs(cells - round(cells)) > 1e-6 * cells or not 1 <= round(cells) <= MAX_CELLS_PER_SIDE:
            raise ConfigError(
                f"grid.size_m {self.size_m} over grid.resolution_m {self.resolution_m} is {cells} "
                f"cells, expected a whole number from 1 to {MAX_CELLS_PER_SIDE}"
            )

    @property
    def cells_per_side(self) -> int:
        """Return the number of rows, which equals the number of columns."""
        return round(self.size_m / self.resolution_m)
