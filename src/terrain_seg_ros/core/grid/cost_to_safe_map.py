"""The safe map: where the centre of the vehicle may be placed, computed from the cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.grid.costs import COST_FREE, COST_LETHAL, COST_UNKNOWN, I8
from terrain_seg_ros.core.grid.footprint_cells import Polygon, footprint_cells
from terrain_seg_ros.core.grid.footprint_outline import check_outline
from terrain_seg_ros.core.types import F32

CELL_DIAGONAL = math.sqrt(2.0)
"""Points of two cells are closer than the centres of the cells by at most this many cells."""
MAX_DILATED = 1500
"""Footprints of more cells than this are evaluated by a Fourier transform."""


@dataclass(frozen=True)
class FootprintSettings:
    """Hold the vehicle's size, and how well it knows where it is.

    Around a safe centre the ground is observed and free of hazards within
    `sigmas * position_sigma_m` of the vehicle. That is a disc of `radius_m`, or the polygon whose
    corners (x, y) in the vehicle's frame are `polygon_m`, in order, where there is one.
    """

    radius_m: float
    position_sigma_m: float
    sigmas: float
    polygon_m: Polygon = ()

    def __post_init__(self) -> None:
        """Check the ranges and the polygon."""
        for name in ("radius_m", "position_sigma_m", "sigmas"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0.0):
                raise ConfigError(f"footprint {name} is {value}, expected 0 or more")
        if self.polygon_m:
            check_outline(self.polygon_m)

    @property
    def margin_m(self) -> float:
        """Return the required distance of hazards from the vehicle."""
        return self.sigmas * self.position_sigma_m

    @property
    def clearance_m(self) -> float:
        """Return the required distance of hazards from the vehicle's centre, at any heading."""
        reach_m = max((math.hypot(*corner) for corner in self.polygon_m), default=self.radius_m)
        return reach_m + self.margin_m


def cost_to_safe_map(
    cost: I8, settings: FootprintSettings, *, resolution_m: float, heading_rad: float | None = None
) -> I8:
    """Return 0 for safe centres, 100 for unsafe ones, -1 where this is unknown.

    A cell is unsafe if a vehicle whose centre is anywhere in it could be closer than the margin to
    any point of a lethal cell. It is safe if there is no such cell and everything within the margin
    is observed. Cells outside the grid count as not observed.

    Args:
        cost: (rows, cols) of a `GridSnapshot`.
        settings: the footprint of the vehicle.
        resolution_m: side of a cell.
        heading_rad: the heading of the vehicle in the grid's frame, used for polygons; None
            evaluates all headings at once.
    """
    lethal = cost == COST_LETHAL
    blocked = lethal | (cost == COST_UNKNOWN)
    if settings.polygon_m and heading_rad is not None:
        under = footprint_cells(
            settings.polygon_m,
            heading_rad=heading_rad,
            margin_m=settings.margin_m,
            resolution_m=resolution_m,
            most=max(cost.shape),
        )
        touches, unsafe = _touched(blocked, under, beyond=1), _touched(lethal, under, beyond=0)
    else:
        reach_cells = settings.clearance_m / resolution_m + CELL_DIAGONAL
        around = np.pad(blocked, 1, constant_values=True)
        touches = distance_cells(around)[1:-1, 1:-1] < reach_cells
        unsafe = np.zeros_like(lethal)
        if lethal.any():
            unsafe = distance_cells(lethal) < reach_cells
    result: I8 = np.full(cost.shape, COST_FREE, dtype=np.int8)
    result[touches] = COST_UNKNOWN
    result[unsafe] = COST_LETHAL
    return result


def _touched(
    targets: NDArray[np.bool_], under: NDArray[np.uint8], *, beyond: int
) -> NDArray[np.bool_]:
    """Return for which centre cells the footprint covers a target.

    `beyond` is 1 if cells outside the grid are targets, else 0. Large footprints are counted by a
    Fourier transform, whose errors in float64 are far below 1.
    """
    size = np.count_nonzero(under)
    if size == 0:  # The footprint is so far from the vehicle's frame that it is never on the grid.
        return np.full_like(targets, beyond)
    if size > MAX_DILATED:
        reach = under.shape[0] // 2
        padded = np.pad(targets, reach, constant_values=bool(beyond)).astype(np.float64)
        count = cv2.filter2D(
            padded, cv2.CV_64F, under.astype(np.float64), borderType=cv2.BORDER_CONSTANT
        )
        touched: NDArray[np.bool_] = count[reach:-reach, reach:-reach] > 0.5
        return touched
    found = cv2.dilate(
        targets.view(np.uint8), under, borderType=cv2.BORDER_CONSTANT, borderValue=beyond
    )
    return np.asarray(found, dtype=np.uint8).view(np.bool_)


def distance_cells(targets: NDArray[np.bool_]) -> F32:
    """Return the distance of every cell to the nearest target, between centres, in cells.

    The squared distance is an integer and is rounded to one, which makes the result repeatable:
    the last bit of OpenCV's result depends on its threads.
    """
    free = np.logical_not(targets).view(np.uint8)
    found = cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    squared = np.asarray(found, dtype=np.float64)
    squared *= squared
    exact: F32 = np.sqrt(np.rint(squared, out=squared), out=squared).astype(np.float32)
    return exact
