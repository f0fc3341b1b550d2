"""The shape of the grid and the rules of fusion."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from terrain_seg_ros.core.errors import ConfigError

MAX_CELLS_PER_SIDE = 2000
"""Keeps eight classes and all other layers within 330 MB."""

Fusion = Literal["dirichlet", "log_odds"]


@dataclass(frozen=True)
class GridSettings:
    """Hold the shape of the grid and the rules of fusing.

    The evidence of one view of a cell is at most 1: its confidence, halved at
    `half_weight_range_m` from the camera. Evidence decays with the time constant `decay_s` and
    over the distance `decay_m` travelled (0: never), and its sum is capped at `max_evidence`.
    `min_hazard_share` is the share of a cell's pixels that must be hazardous for the view to
    speak of these alone (see `ground_to_grid`). `fusion` and `keep_hazards` are explained at
    `RollingGrid`.
    """

    frame_id: str
    resolution_m: float
    size_m: float
    decay_s: float
    decay_m: float
    max_evidence: float
    fusion: Fusion
    keep_hazards: bool
    min_hazard_share: float
    half_weight_range_m: float

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not self.frame_id:
            raise ConfigError("grid frame_id is empty, expected a fixed frame such as 'odom'")
        for name, low in (
            ("resolution_m", 1e-3),
            ("size_m", 1e-3),
            ("decay_s", 0.0),
            ("decay_m", 0.0),
        ):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= low):
                raise ConfigError(f"grid {name} is {value}, expected {low} or more")
        for name in ("max_evidence", "half_weight_range_m"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0.0):
                raise ConfigError(f"grid {name} is {value}, expected more than 0")
        if self.fusion not in get_args(Fusion):
            raise ConfigError(
                f"grid fusion is {self.fusion!r}, expected one of {list(get_args(Fusion))}"
            )
        if not 0.0 < self.min_hazard_share <= 1.0:
            raise ConfigError(
                f"grid min_hazard_share is {self.min_hazard_share}, expected more than 0, at most 1"
            )
        cells = self.size_m / self.resolution_m
        if abs(cells - round(cells)) > 1e-6 * cells or not 1 <= round(cells) <= MAX_CELLS_PER_SIDE:
            raise ConfigError(
                f"grid size_m {self.size_m} over resolution_m {self.resolution_m} is {cells} "
                f"cells, expected a whole number from 1 to {MAX_CELLS_PER_SIDE}"
            )

    @property
    def cells_per_side(self) -> int:
        """Return the number of rows, which equals the number of columns."""
        return round(self.size_m / self.resolution_m)
