"""The intersection of the rays of pixels with a plane, in the plane's frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import GeometryError
from terrain_seg_ros.core.geometry.pixel_rays import PixelRays, Reach
from terrain_seg_ros.core.kernel import kernel
from terrain_seg_ros.core.types import F32, F64, U8, Reason

MAX_FILL = 32
"""Most parts into which a pixel is divided."""
FILL_SHARE = 0.98
"""Largest length of a part as a share of a cell, so that rounding leaves no cell empty."""
MAX_HALF = 0.5
"""Limits how far out a pixel extends that covers more ground than its distance."""
MIN_DISTANCE_M = 1e-6
"""Smallest horizontal distance, to avoid dividing by zero right below the camera."""
MIN_SLOPE = 1e-6
"""Rays that descend less than this per metre do not meet the ground."""
_OBSERVED, _TOO_FAR = np.uint8(Reason.OBSERVED), np.uint8(Reason.TOO_FAR)
_OUTSIDE_VIEW = np.uint8(Reason.OUTSIDE_VIEW)
SAME_TRANSLATION_M = 1e-6
SAME_ROTATION = 1e-7
"""Smaller changes of a mounting are ignored; at 100 m this is a hundredth of a millimetre."""


Index = NDArray[np.intp]


@dataclass(frozen=True)
class FillPoints:
    """Points (N,) in the plane's frame, and the flat index of the pixel of each."""

    pixel: Index
    x_m: F32
    y_m: F32


@dataclass(frozen=True)
class PlaneView:
    """The intersection of rays with the plane z = 0 of the plane's frame, for one mounting.

    `rotation` and `translation_m` are plane_T_camera; `depth_m` is along the optical axis,
    `range_m` along the ray, `spacing_m` the distance of neighbours on the ground. Arrays are
    (h, w), NaN where there is no ground. The ground covered by a pixel is divided into parts
    smaller than a cell: `cell_x_m` and `cell_y_m` are the first part, which for most pixels is the
    whole and equals `x_m` and `y_m`; `fill` has the others.
    """

    rotation: F64
    translation_m: F64
    x_m: F32
    y_m: F32
    depth_m: F32
    range_m: F32
    spacing_m: F32
    reason: U8
    cell_x_m: F32
    cell_y_m: F32
    fill: FillPoints

    def fits(self, rotation: F64, translation_m: F64) -> bool:
        """Return whether this view was computed for the given mounting."""
        return bool(
            np.abs(rotation - self.rotation).max() < SAME_ROTATION
            and np.abs(translation_m - self.translation_m).max() < SAME_TRANSLATION_M
        )


def intersect_plane(rays: PixelRays, mounting: tuple[F64, F64], reach: Reach) -> PlaneView:
    """Return where rays meet the plane z = 0.

    The spacing of neighbours on the ground is range^2 x their angle / the camera's height: the
    footprint of a pixel, stretched by the grazing angle.

    Args:
        rays: the rays of the pixels, optical frame.
        mounting: rotation and translation of plane_T_camera.
        reach: the limits of trust and the spacing of fill points.

    Raises:
        GeometryError: the camera is not above the plane.
    """
    rotation, translation_m = mounting
    height_m = float(translation_m[2])
    if height_m <= 0.0:
        raise GeometryError(
            f"camera is {-height_m:.3f} m below the ground plane; check plane_height_m, "
            "the mounting and the optical frame"
        )
    foot_m = translation_m.astype(np.float32)
    (x_m, y_m, depth_m, range_m, spacing_m), reason = _meet_plane(
        rays.x,
        rays.y,
        rays.length,
        rays.spacing_rad,
        rotation.astype(np.float32),
        foot_m,
        height_m,
        reach.max_range_m,
        reach.max_spacing_m,
    )
    cell_m, fill_pixel, fill_m = _cut(x_m, y_m, spacing_m, reason, foot_m, reach.cell_m)
    view = PlaneView(
        rotation=rotation,
        translation_m=translation_m,
        x_m=x_m,
        y_m=y_m,
        depth_m=depth_m,
        range_m=range_m,
        spacing_m=spacing_m,
        reason=reason,
        cell_x_m=cell_m[0],
        cell_y_m=cell_m[1],
        fill=FillPoints(fill_pixel, fill_m[0], fill_m[1]),
    )
    for shared in (x_m, y_m, range_m, spacing_m, reason):
        shared.setflags(write=False)
    return view


@kernel(
    "float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], "
    "float32[::1], float64, float64, float64"
)
def _meet_plane(  # noqa: PLR0917
    x: F32,
    y: F32,
    length: F32,
    spacing_rad: F32,
    axes: F32,
    foot_m: F32,
    height_m: float,
    most_m: float,
    coarsest_m: float,
) -> tuple[F32, U8]:
    """Return x, y, depth, range and spacing (5, h, w) where rays meet the plane, and the reason."""
    rows, cols = x.shape
    found = np.full((5, rows, cols), np.nan, dtype=np.float32)
    reason = np.full(x.shape, _OUTSIDE_VIEW, dtype=np.uint8)
    down_m, per_height = np.float32(-height_m), np.float32(1.0 / height_m)
    for row in range(rows):
        for col in range(cols):
            across, along = x[row, col], y[row, col]
            rise = axes[2, 0] * across + axes[2, 1] * along + axes[2, 2]
            if not rise < -np.float32(MIN_SLOPE) * length[row, col]:
                continue
            depth_m = down_m / rise
            range_m = depth_m * length[row, col]
            spacing_m = range_m * range_m * spacing_rad[row, col] * per_height
            for axis in range(2):
                share = axes[axis, 0] * across + axes[axis, 1] * along + axes[axis, 2]
                found[axis, row, col] = depth_m * share + foot_m[axis]
            found[2, row, col], found[3, row, col], found[4, row, col] = depth_m, range_m, spacing_m
            is_near = range_m <= np.float32(most_m) and spacing_m <= np.float32(coarsest_m)
            reason[row, col] = _OBSERVED if is_near else _TOO_FAR
    return found, reason


@kernel("float32[:, ::1], float32[:, ::1], float32[:, ::1], uint8[:, ::1], float32[::1], float64")
def _cut(
    x_m: F32, y_m: F32, spacing_m: F32, reason: U8, foot_m: F32, cell_m: float
) -> tuple[F32, Index, F32]:
    """Divide the ground that each observed pixel covers along its ray into parts below a cell.

    A pixel extends by half the angle to its neighbours, which on the ground is farther outwards
    than inwards: from d / (1 + q) to d / (1 - q) for the distance d and q = spacing / (2 d), where
    neighbours meet. The centres of the parts are less than a cell apart, also across that border.

    Returns:
        x and y (2, h, w) of the first part of each pixel; and the pixel (F,), x and y (2, F) of
        each of the others.
    """
    first_m, apart_m = np.stack((x_m, y_m)), np.float32(FILL_SHARE * cell_m)
    firsts, reasons, gaps_m = first_m.reshape(2, -1), reason.reshape(-1), spacing_m.reshape(-1)
    wide = np.flatnonzero((gaps_m > apart_m) & (reasons == _OBSERVED))
    count = np.empty(wide.size, dtype=np.int64)
    scales = np.empty((2, wide.size), dtype=np.float32)
    for place in range(wide.size):
        x, y = firsts[0, wide[place]] - foot_m[0], firsts[1, wide[place]] - foot_m[1]
        distance_m = max(np.sqrt(x * x + y * y), np.float32(MIN_DISTANCE_M))
        half = gaps_m[wide[place]] / (np.float32(2.0) * distance_m)
        inner = np.float32(1.0) / (np.float32(1.0) + half)
        outer = np.float32(1.0) / (np.float32(1.0) - min(half, np.float32(MAX_HALF)))
        parts = min(np.ceil((outer - inner) * distance_m / apart_m), np.float32(MAX_FILL))
        count[place], step = np.int64(parts), (outer - inner) / parts
        scales[0, place], scales[1, place] = inner + np.float32(0.5) * step, step
    pixel, found = np.empty(np.sum(count - 1), dtype=np.int64), 0
    fill_m = np.empty((2, pixel.size), dtype=np.float32)
    for place in range(wide.size):
        x, y = firsts[0, wide[place]] - foot_m[0], firsts[1, wide[place]] - foot_m[1]
        for part in range(count[place]):
            scale = scales[0, place] + np.float32(part) * scales[1, place]
            if part == 0:
                firsts[0, wide[place]] = x * scale + foot_m[0]
                firsts[1, wide[place]] = y * scale + foot_m[1]
                continue
            pixel[found] = wide[place]
            fill_m[0, found], fill_m[1, found] = x * scale + foot_m[0], y * scale + foot_m[1]
            found += 1
    return first_m, pixel, fill_m
