"""From cost to safe centres: where the middle of the vehicle may stand."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.footprint_outline import Corner, check_outline, touched_cells
from terrain_seg_ros.core.grid import COST_FREE, COST_LETHAL, COST_UNKNOWN, I8
from terrain_seg_ros.core.types import F32

CELL_DIAGONAL = math.sqrt(2.0)
"""Two points of two cells are nearer than their centres by at most so many cells."""


@dataclass(frozen=True)
class FootprintSettings:
    """Hold the vehicle's size, and how well it knows where it is.

    Around a safe centre the ground is observed and free of hazards within `margin_m` of the
    vehicle: of a circle, or of the outline `polygon_m`, x and y of each corner in the base frame,
    where there is one.
    """

    radius_m: float
    position_sigma_m: float
    sigmas: float
    polygon_m: tuple[Corner, ...] = ()

    def __post_init__(self) -> None:
        """Check the ranges and the outline."""
        for name in ("radius_m", "position_sigma_m", "sigmas"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0.0):
                raise ConfigError(f"footprint {name} is {value}, expected 0 or more")
        if self.polygon_m:
            check_outline(self.polygon_m)

    @property
    def margin_m(self) -> float:
        """Return how far off its position the vehicle may be."""
        return self.sigmas * self.position_sigma_m

    @property
    def clearance_m(self) -> float:
        """Return how far hazards must be from the vehicle's middle, whatever its heading."""
        radius_m = max((math.hypot(*corner) for corner in self.polygon_m), default=self.radius_m)
        return radius_m + self.margin_m


def cost_to_safe_map(
    cost: I8, settings: FootprintSettings, *, resolution_m: float, yaw_rad: float | None = None
) -> I8:
    """Return 0 for safe centres, 100 for unsafe ones, -1 where that cannot be judged.

    A cell is unsafe if from any of its points the vehicle, or what lies nearer to it than the
    margin, can touch a lethal cell. It is safe if that is not so, and everything it can touch is
    observed. What lies outside the grid is not.

    Args:
        cost: (rows, cols) of a `GridSnapshot`.
        settings: the vehicle.
        resolution_m: side of a cell.
        yaw_rad: heading of the vehicle's x axis from that of the grid; None judges for all
            headings. Only an outline asks for it.
    """
    if settings.polygon_m and yaw_rad is not None:
        return _outline_map(cost, settings, resolution_m=resolution_m, yaw_rad=yaw_rad)
    reach_cells = settings.clearance_m / resolution_m + CELL_DIAGONAL
    lethal = cost == COST_LETHAL
    blocked = np.pad(lethal | (cost == COST_UNKNOWN), 1, constant_values=True)
    result: I8 = np.full(cost.shape, COST_UNKNOWN, dtype=np.int8)
    result[_distance_cells(blocked)[1:-1, 1:-1] >= reach_cells] = COST_FREE
    if lethal.any():
        result[_distance_cells(lethal) < reach_cells] = COST_LETHAL
    return result


def _outline_map(
    cost: I8, settings: FootprintSettings, *, resolution_m: float, yaw_rad: float
) -> I8:
    """Return the safe map of an outline at a heading."""
    cos, sin = math.cos(yaw_rad), math.sin(yaw_rad)
    turned_m = np.array(settings.polygon_m) @ np.array([[cos, sin], [-sin, cos]])
    reach = math.ceil(settings.clearance_m / resolution_m + CELL_DIAGONAL)
    touched = touched_cells(
        turned_m / resolution_m,
        margin_cells=settings.margin_m / resolution_m,
        reach_cells=min(reach, max(cost.shape)),
    )
    lethal = cost == COST_LETHAL
    result: I8 = np.full(cost.shape, COST_UNKNOWN, dtype=np.int8)
    if not touched.any():  # The vehicle lies so far from its origin that it is never on the grid.
        return result
    blocked = lethal | (cost == COST_UNKNOWN)
    result[~_any_touched(blocked, touched, outside=True)] = COST_FREE
    if lethal.any():
        result[_any_touched(lethal, touched, outside=False)] = COST_LETHAL
    return result


def _any_touched(
    targets: NDArray[np.bool_], touched: NDArray[np.bool_], *, outside: bool
) -> NDArray[np.bool_]:
    """Return for every cell whether one that is touched from it is a target."""
    found = cv2.dilate(
        targets.view(np.uint8),
        touched.view(np.uint8),
        borderType=cv2.BORDER_CONSTANT,
        borderValue=(float(outside),),
    )
    return np.asarray(found, dtype=np.bool_)


def _distance_cells(targets: NDArray[np.bool_]) -> F32:
    """Return the distance of every cell to the nearest target, between centres."""
    free = np.logical_not(targets).view(np.uint8)
    found = cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(found, dtype=np.float32)
