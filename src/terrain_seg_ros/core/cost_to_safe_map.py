"""From cost to safe centres: where the middle of the vehicle may stand."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.grid import COST_FREE, COST_LETHAL, COST_UNKNOWN, I8
from terrain_seg_ros.core.types import F32

CELL_DIAGONAL = math.sqrt(2.0)
"""Two points of two cells are nearer than their centres by at most so many cells."""


@dataclass(frozen=True)
class FootprintSettings:
    """Hold the vehicle's size, and how well it knows where it is.

    Around a safe centre the ground is observed and free of hazards within
    `radius_m + sigmas * position_sigma_m`.
    """

    radius_m: float
    position_sigma_m: float
    sigmas: float

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("radius_m", "position_sigma_m", "sigmas"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0.0):
                raise ConfigError(f"footprint {name} is {value}, expected 0 or more")

    @property
    def clearance_m(self) -> float:
        """Return how far hazards must be from the vehicle's middle."""
        return self.radius_m + self.sigmas * self.position_sigma_m


def cost_to_safe_map(cost: I8, settings: FootprintSettings, *, resolution_m: float) -> I8:
    """Return 0 for safe centres, 100 for unsafe ones, -1 where that cannot be judged.

    A cell is unsafe if a lethal one is nearer than the clearance to any of its points. It is
    safe if none is, and everything that near is observed. What lies outside the grid is not.

    Args:
        cost: (rows, cols) of a `GridSnapshot`.
        settings: the vehicle.
        resolution_m: side of a cell.
    """
    reach_cells = settings.clearance_m / resolution_m + CELL_DIAGONAL
    lethal = cost == COST_LETHAL
    blocked = np.pad(lethal | (cost == COST_UNKNOWN), 1, constant_values=True)
    result: I8 = np.full(cost.shape, COST_UNKNOWN, dtype=np.int8)
    result[_distance_cells(blocked)[1:-1, 1:-1] >= reach_cells] = COST_FREE
    if lethal.any():
        result[_distance_cells(lethal) < reach_cells] = COST_LETHAL
    return result


def _distance_cells(targets: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> F32:
    """Return the distance of every cell to the nearest target, between centres."""
    free = np.logical_not(targets).view(np.uint8)
    found = cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(found, dtype=np.float32)
