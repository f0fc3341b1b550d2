"""Where the pixels of one view lie on the ground: what every kind of ground gives to the grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.types import F32, F64, U8, Reason, Transform

SAMPLED_PX = 4
"""Every so many rows and columns are looked at where a median needs no more."""
PIXELS_PER_HAZARD = 2.0
"""Two samples across a thing are the least that shows it (Nyquist)."""


class Poses(NamedTuple):
    """Hold where the optical frame and the vehicle are in the grid's frame, at one stamp."""

    grid_T_camera: Transform  # noqa: N815
    grid_T_base: Transform  # noqa: N815


@dataclass(frozen=True)
class GroundView:
    """Hold where each tensor pixel meets the ground, and where the grid takes it to lie.

    `range_m` (h, w) is the distance from the camera, NaN where there is no ground; `reason` is
    (h, w) uint8 of `Reason`. `x_m`, `y_m` and `z_m` (h, w) are in the grid's frame.

    `local_x_m` and `local_y_m` are for the grid: x and y less the anchor, a point near the vehicle,
    because float32 resolves but 6 cm a million metres from the origin. A pixel that covers more
    than a cell lies there in the first of its parts, and fill points (N,) in the others, so that
    far cells have no holes; `fill_pixel` is the flat index of the pixel whose content each shows.
    `ground_sample_m` (h, w) is how far neighbouring pixels lie apart on the ground, NaN where there
    is none. `local_z_m` (h, w) is z less the anchor's where the ground was measured, NaN where it
    was not; None where a plane serves. Pixels with NO_DEPTH lie for the grid where a plane would
    have them, so that it can say where nothing was measured.

    `plane_x_m` and `plane_y_m` are in a frame at the anchor whose z axis is the direction in which
    things stand up: across the plane, or straight up where the ground was measured.
    """

    range_m: F32
    reason: U8
    plane_x_m: F32
    plane_y_m: F32
    grid_R_plane: F64  # noqa: N815
    anchor_m: F64
    local_x_m: F32
    local_y_m: F32
    fill_pixel: NDArray[np.intp]
    fill_x_m: F32
    fill_y_m: F32
    ground_sample_m: F32
    local_z_m: F32 | None = None

    @property
    def x_m(self) -> F32:
        """Return x (h, w), NaN where there is no ground."""
        return self._axis(0)

    @property
    def y_m(self) -> F32:
        """Return y (h, w), NaN where there is no ground."""
        return self._axis(1)

    @property
    def z_m(self) -> F32:
        """Return z (h, w), NaN where there is no ground."""
        if self.local_z_m is not None:
            z_m: F32 = self.local_z_m + np.float32(self.anchor_m[2])
            return z_m
        return self._axis(2)

    @property
    def smallest_hazard_m(self) -> float | None:
        """Return the size of the smallest thing that the observed ground resolves.

        That is two ground samples, of the median observed pixel; None where nothing is observed.
        """
        every = (slice(None, None, SAMPLED_PX), slice(None, None, SAMPLED_PX))
        seen = self.ground_sample_m[every][self.reason[every] == Reason.OBSERVED]
        return PIXELS_PER_HAZARD * float(np.median(seen)) if seen.size else None

    def _axis(self, row: int) -> F32:
        values = rotated(self.grid_R_plane, row, self.plane_x_m, self.plane_y_m)
        values += np.float32(self.anchor_m[row])
        return values


def rotated(rotation: F64, row: int, x_m: F32, y_m: F32) -> F32:
    """Return one axis of points of a plane after a rotation."""
    result: F32 = np.float32(rotation[row, 0]) * x_m
    result += np.float32(rotation[row, 1]) * y_m
    return result


def unmeasured_view(shape: tuple[int, int], anchor_m: F64) -> GroundView:
    """Return a view of which nothing is known, for want of a measurement."""
    nothing: F32 = np.full(shape, np.nan, dtype=np.float32)
    return GroundView(
        range_m=nothing,
        reason=np.full(shape, Reason.NO_DEPTH, dtype=np.uint8),
        plane_x_m=nothing,
        plane_y_m=nothing,
        grid_R_plane=np.eye(3),
        anchor_m=anchor_m,
        local_x_m=nothing,
        local_y_m=nothing,
        fill_pixel=np.empty(0, dtype=np.intp),
        fill_x_m=nothing[:0, 0],
        fill_y_m=nothing[:0, 0],
        ground_sample_m=nothing,
    )
