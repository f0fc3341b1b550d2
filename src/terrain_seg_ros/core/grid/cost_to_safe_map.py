"""From cost to safe centres: where the centre of the vehicle may be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator

from terrain_seg_ros.core.grid.costs import COST_FREE, COST_LETHAL, COST_UNKNOWN, I8
from terrain_seg_ros.core.grid.footprint_cells import Polygon, footprint_cells
from terrain_seg_ros.core.grid.footprint_outline import check_outline, corners_of
from terrain_seg_ros.core.kernel import kernel
from terrain_seg_ros.core.settings import list_setting, setting, settings
from terrain_seg_ros.core.types import F32

CELL_DIAGONAL = math.sqrt(2.0)
"""Points of two cells are closer than the centres of the cells by at most this many cells."""
MAX_DILATED = 1500
"""Footprints of more cells than this are evaluated by a Fourier transform."""


@settings
@dataclass(frozen=True)
class FootprintSettings:
    """The vehicle's size, and how well its position is known.

    Around a safe centre the ground is observed and free of hazards within
    `sigmas * position_sigma_m` of the vehicle: of a disc of `radius_m`, or of the polygon with the
    corners `polygon_m`, (x, y) in the vehicle's frame and in order, where there is one.
    """

    radius_m: Annotated[
        float,
        setting(
            "Radius of a circle around the origin of base_frame that contains the vehicle, for "
            "`safe_map`.",
            low=0.0,
            high=100.0,
            dynamic=True,
        ),
    ]
    position_sigma_m: Annotated[
        float,
        setting(
            "Standard deviation of the vehicle's position; `safe_map` keeps footprint.sigmas times "
            "this distance from hazards.",
            low=0.0,
            high=100.0,
            dynamic=True,
        ),
    ]
    sigmas: Annotated[
        float,
        setting(
            "Number of standard deviations of the position that `safe_map` keeps from hazards.",
            low=0.0,
            high=10.0,
            dynamic=True,
        ),
    ]
    polygon_m: Annotated[
        Polygon,
        BeforeValidator(corners_of),
        list_setting(
            "Outline of the vehicle in base_frame: x and y of each corner in order, at least three "
            "corners. `safe_map` then depends on the vehicle's heading; landing sites use the "
            "circle around the origin that contains the outline. A single number: use the radius.",
            least=0,
            dynamic=True,
        ),
    ] = ()

    def __post_init__(self) -> None:
        """Check the polygon."""
        if self.polygon_m:
            check_outline(self.polygon_m)

    @property
    def margin_m(self) -> float:
        """Return the distance that hazards must have from the vehicle, metres."""
        return self.sigmas * self.position_sigma_m

    @property
    def clearance_m(self) -> float:
        """Return the distance, metres, that hazards must have from the centre at any heading."""
        reach_m = max((math.hypot(*corner) for corner in self.polygon_m), default=self.radius_m)
        return reach_m + self.margin_m


def cost_to_safe_map(
    cost: I8, settings: FootprintSettings, *, resolution_m: float, heading_rad: float | None = None
) -> I8:
    """Return 0 for safe centres, 100 for unsafe ones, -1 where it cannot be decided.

    A cell is unsafe if a vehicle whose centre is anywhere in it could be closer than the margin to
    any point of a lethal cell. It is safe if no lethal cell is that close and every cell that close
    is observed. Ground outside the grid is not observed.

    Args:
        cost: (rows, cols) int8 of a `GridSnapshot`.
        settings: size of the vehicle and uncertainty of its position.
        resolution_m: side of a cell.
        heading_rad: heading of the vehicle in the grid's frame, used with a polygon; None: the
            result holds for all headings.
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
    exact: F32 = _rounded(np.asarray(found, dtype=np.float32))
    return exact


@kernel("float32[:, ::1]")
def _rounded(distance: F32) -> F32:
    """Return the roots of whole numbers nearest to distances."""
    rounded = np.empty_like(distance)
    for row in range(distance.shape[0]):
        for col in range(distance.shape[1]):
            squared = np.float64(distance[row, col]) * np.float64(distance[row, col])
            rounded[row, col] = np.sqrt(np.rint(squared))
    return rounded
