"""The ground points of one view, the common result of all ground models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.kernel import kernel
from terrain_seg_ros.core.types import F32, F64, U8, Reason, Transform

SAMPLED_PX = 4
"""Step in rows and columns at which a median is sampled."""
PIXELS_PER_HAZARD = 2.0
"""Samples across an object needed to resolve it (Nyquist)."""
_OBSERVED = np.uint8(Reason.OBSERVED)


class Poses(NamedTuple):
    """The poses of the optical frame and of the vehicle in the grid's frame, at one stamp."""

    grid_T_camera: Transform  # noqa: N815
    grid_T_base: Transform  # noqa: N815


@dataclass(frozen=True)
class GroundView:
    """The ground point of each tensor pixel, and the points that are entered into the grid.

    `range_m` (h, w) is the distance from the camera, NaN where there is no ground; `reason` is
    (h, w) uint8 of `Reason`. `x_m`, `y_m` and `z_m` (h, w) are in the grid's frame.

    `local_x_m` and `local_y_m` are for the grid: x and y relative to the anchor, a point near the
    vehicle, because float32 resolves only 6 cm a million metres from the origin. A pixel that
    covers more than a cell is divided: its local point is in the first part, and fill points (N,)
    are in the others, so that far cells have no holes; `fill_pixel` is the flat index of the pixel
    that each fill point belongs to. `ground_sample_m` (h, w) is the distance of neighbouring
    pixels on the ground, NaN where there is no ground. `local_z_m` (h, w) is z relative to the
    anchor where the ground was measured, NaN where it was not, and None for a plane. The local
    points of pixels with NO_DEPTH are on a plane, so that the grid can mark the cells in which
    nothing was measured.

    `height_sigma_m` (h, w) is the standard deviation of z by the noise of measured ranges, NaN
    where nothing was measured, None where it is not known.

    `plane_x_m` and `plane_y_m` are in a frame at the anchor whose z axis is the direction in which
    objects stand up: normal to the plane, or vertical where the ground was measured.
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
    height_sigma_m: F32 | None = None

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
        """Return the size of the smallest object that the observed ground resolves.

        It is two ground samples of the median observed pixel; None if nothing is observed.
        """
        seen = _sampled(self.ground_sample_m, self.reason)
        if not seen.size:
            return None
        middle = [(seen.size - 1) // 2, seen.size // 2]
        return PIXELS_PER_HAZARD * float(np.partition(seen, middle)[middle].mean())

    def _axis(self, row: int) -> F32:
        values = rotated(self.grid_R_plane, row, self.plane_x_m, self.plane_y_m)
        values += np.float32(self.anchor_m[row])
        return values


def rotated(rotation: F64, row: int, x_m: F32, y_m: F32) -> F32:
    """Return one coordinate of points in a plane after a rotation."""
    flat: F32 = _weighted(x_m.reshape(-1), y_m.reshape(-1), rotation[row, 0], rotation[row, 1])
    return flat.reshape(x_m.shape)


@kernel("float32[::1], float32[::1], float64, float64")
def _weighted(x_m: F32, y_m: F32, along: float, across: float) -> F32:
    result = np.empty_like(x_m)
    for point in range(x_m.size):
        result[point] = np.float32(along) * x_m[point] + np.float32(across) * y_m[point]
    return result


@kernel("float32[:, ::1], uint8[:, ::1]")
def _sampled(values: F32, reason: U8) -> F32:
    """Return the values of observed pixels in every `SAMPLED_PX`th row and column."""
    found, count = np.empty(values.size, dtype=np.float32), 0
    for row in range(0, values.shape[0], SAMPLED_PX):
        for col in range(0, values.shape[1], SAMPLED_PX):
            if reason[row, col] == _OBSERVED:
                found[count] = values[row, col]
                count += 1
    sampled: F32 = found[:count].copy()
    return sampled


def unmeasured_view(shape: tuple[int, int], anchor_m: F64) -> GroundView:
    """Return a view without any ground, because no measurement is available."""
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
