"""The hiding of view shadows in numpy, which the compiled loops must equal."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.ground.ground_view import GroundView
from terrain_seg_ros.core.ground.standing_objects import find_objects, look_from_foot
from terrain_seg_ros.core.ground.view_shadow import (
    BESIDE_SAMPLES,
    MIN_PIXELS,
    _Cells,
    _clear_cells,
)
from terrain_seg_ros.core.types import F64, U8, Reason

_AROUND = tuple((rows, cols) for rows in (-1, 0, 1) for cols in (-1, 0, 1) if rows or cols)
_OBSERVED = np.uint8(Reason.OBSERVED)
_SQUARE = np.ones((3, 3), dtype=np.uint8)

Index = NDArray[np.intp]
Flags = NDArray[np.bool_]


def numpy_hide_shadows(
    view: GroundView,
    protruding: U8,
    *,
    camera_m: F64,
    depth_ratio: float | None,
    cell_m: float,
) -> GroundView:
    """Return the view with ground behind objects hidden, as `core.ground.view_shadow` does."""
    pixel = np.flatnonzero(protruding.view(np.bool_))
    pixel = pixel[np.isfinite(view.range_m.reshape(-1).take(pixel))]
    if not pixel.size:
        return view
    seen = look_from_foot(view, pixel, view.grid_R_plane.T @ (camera_m - view.anchor_m))
    far = np.flatnonzero(~seen.steep)
    shown, speckle = np.ones(pixel.size, dtype=np.bool_), np.zeros(pixel.size, dtype=np.bool_)
    if far.size:
        objects = find_objects(seen, far)
        speckle[objects.pixel] = objects.pixel_count < MIN_PIXELS
        if depth_ratio is not None:
            shown[objects.pixel] = objects.within(depth_ratio)
    standing = protruding.copy()
    standing.reshape(-1)[pixel[speckle]] = 0
    rim = (cv2.dilate(standing, _SQUARE) - standing).view(np.bool_)
    if depth_ratio is None:
        rim = _joined_rim(view, standing, rim)
    reason = view.reason.copy()
    flat = reason.reshape(-1)
    hidden = pixel[~(shown | speckle)]
    for some in (hidden[flat[hidden] == Reason.OBSERVED], _observed(flat, rim)):
        flat[some] = Reason.HIDDEN
    narrowest_m = float(seen.width_m.min())
    view = _clear_cells(
        replace(view, reason=reason),
        standing,
        rim,
        _Cells(cell_m, narrowest_m, None if depth_ratio is not None else seen.foot_m),
    )
    feet = pixel[shown & ~speckle]
    return _with_rim(view, feet[flat[feet] == Reason.OBSERVED], rim, cell_m, seen.foot_m)


def _joined_rim(view: GroundView, standing: U8, rim: Flags) -> Flags:
    """Return the pixels around objects that are close to them in space, not far behind them."""
    height, width = rim.shape
    pixel = np.flatnonzero(rim)
    row, col = np.divmod(pixel, width)
    beside = np.zeros(pixel.size, dtype=np.bool_)
    for rows, cols in _AROUND:
        other = np.clip(row + rows, 0, height - 1) * width + np.clip(col + cols, 0, width - 1)
        apart_m = np.hypot(
            *(
                axis_m.reshape(-1).take(other) - axis_m.reshape(-1).take(pixel)
                for axis_m in (view.plane_x_m, view.plane_y_m)
            )
        )
        sample_m = view.ground_sample_m.reshape(-1)
        near = apart_m <= BESIDE_SAMPLES * np.fmax(sample_m.take(other), sample_m.take(pixel))
        beside |= near & (standing.reshape(-1).take(other) != 0)
    joined = np.zeros(rim.size, dtype=np.bool_)
    joined[pixel[beside]] = True
    return joined.reshape(rim.shape)


def _observed(reason: U8, some: Flags) -> Index:
    return np.flatnonzero(some.reshape(-1) & (reason.reshape(-1) == _OBSERVED))


def _with_rim(view: GroundView, feet: Index, rim: Flags, cell_m: float, foot_m: F64) -> GroundView:
    """Return the view with fill points that extend objects to the ground in front and beside them.

    The foot of an object may be at the ground point of an adjacent pixel that is not farther than
    the pixel that shows the object. Pixels coarser than a cell need no such points, because their
    own fill points reach half way.

    Args:
        view: the ground points.
        feet: (N,) observed pixels that show an object.
        rim: (h, w) pixels around objects.
        cell_m: side of a cell.
        foot_m: (2,) the camera's foot in the plane's frame.
    """
    height, width = rim.shape
    framed = np.zeros((height + 2, width + 2), dtype=np.bool_)
    framed[1:-1, 1:-1] = rim
    place = feet + 2 * (feet // width) + width + 3
    owners, others = [], []
    for step, framed_step in ((width, width + 2), (-width, -width - 2), (1, 1), (-1, -1)):
        found = np.flatnonzero(framed.reshape(-1).take(place + framed_step))
        owners.append(feet[found])
        others.append(feet[found] + step)
    owner, other = np.concatenate(owners), np.concatenate(others)
    fine = view.ground_sample_m.reshape(-1).take(other) <= cell_m
    owner, other = owner[fine], other[fine]
    sample_m = view.ground_sample_m.reshape(-1).take(owner)
    (x_m, y_m), (other_x_m, other_y_m) = (
        [part.reshape(-1).take(some) for part in (view.plane_x_m, view.plane_y_m)]
        for some in (owner, other)
    )
    beyond_m = np.hypot(other_x_m - foot_m[0], other_y_m - foot_m[1])
    beyond_m -= np.hypot(x_m - foot_m[0], y_m - foot_m[1])
    good = np.hypot(other_x_m - x_m, other_y_m - y_m) <= BESIDE_SAMPLES * sample_m
    good &= beyond_m <= 0.5 * sample_m
    owner, other = owner[good], other[good]
    return replace(
        view,
        fill_pixel=np.concatenate([view.fill_pixel, owner]),
        fill_x_m=np.concatenate([view.fill_x_m, view.local_x_m.reshape(-1).take(other)]),
        fill_y_m=np.concatenate([view.fill_y_m, view.local_y_m.reshape(-1).take(other)]),
    )
