"""The hiding of view shadows in numpy, which the compiled loops must equal."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.ground.ground_view import GroundView
from terrain_seg_ros.core.ground.standing_objects import find_objects, look_from_foot
from terrain_seg_ros.core.ground.view_shadow import (
    _PLACED,
    BESIDE_SAMPLES,
    CELL_REACH,
    MAX_BOX_CELLS,
    MAX_REACH_PX,
    MIN_PIXELS,
)
from terrain_seg_ros.core.types import F32, F64, U8, Reason

EXACT_BELOW = 2.0**24
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


class _Cells(NamedTuple):
    """The side of a cell and the width of the narrowest pixel of an object.

    If the ground was measured, `foot_m` (2,) is the camera's foot: pixels show only the near side
    of objects, which are assumed to extend at least half a cell behind it.
    """

    side_m: float
    narrowest_m: float
    foot_m: F64 | None


def _clear_cells(view: GroundView, standing: U8, rim: Flags, cells: _Cells) -> GroundView:
    """Return the view without ground in the cells touched by objects and by the pixels around them.

    Only pixels within the width of a cell around an object in the image are examined. Their reason
    is written into the view's array, which must not be shared; fill points are set to NaN.
    """
    reach_px = min(math.ceil(CELL_REACH * cells.side_m / cells.narrowest_m), MAX_REACH_PX)
    box = np.ones((2 * reach_px + 1, 2 * reach_px + 1), dtype=np.uint8)
    around = cv2.dilate(standing, box).view(np.bool_).reshape(-1)
    flat = view.reason.reshape(-1)
    touches = (standing.view(np.bool_) | rim).reshape(-1)
    touches &= _PLACED.take(flat)
    fill = np.flatnonzero(around.take(view.fill_pixel))
    pixel = np.flatnonzero(around & ((flat == _OBSERVED) | touches))
    x_m = np.concatenate([view.local_x_m.reshape(-1).take(pixel), view.fill_x_m.take(fill)])
    y_m = np.concatenate([view.local_y_m.reshape(-1).take(pixel), view.fill_y_m.take(fill)])
    taken = touches.take(np.concatenate([pixel, view.fill_pixel.take(fill)]))
    given = np.flatnonzero(taken)
    if cells.foot_m is not None:
        behind_m = _behind(x_m.take(given), y_m.take(given), cells)
        given = np.concatenate([given, np.arange(given.size) + x_m.size])
        x_m, y_m = np.concatenate([x_m, behind_m[0]]), np.concatenate([y_m, behind_m[1]])
    cell = _cells(view, x_m, y_m, cells.side_m)
    shared = np.flatnonzero(_among(cell, given)[: taken.size] & ~taken)
    split = int(np.searchsorted(shared, pixel.size))
    flat[pixel.take(shared[:split])] = Reason.HIDDEN
    fill_x_m = view.fill_x_m.copy()
    fill_x_m[fill[shared[split:] - pixel.size]] = np.nan
    return replace(view, fill_x_m=fill_x_m)


def _behind(x_m: F32, y_m: F32, cells: _Cells) -> tuple[F32, F32]:
    """Return points moved by half a cell away from the camera's foot."""
    foot_m = np.zeros(2) if cells.foot_m is None else cells.foot_m
    away_x_m, away_y_m = (
        axis_m - np.float32(origin_m) for axis_m, origin_m in zip((x_m, y_m), foot_m)
    )
    share = 0.5 * cells.side_m / np.maximum(np.hypot(away_x_m, away_y_m), cells.side_m)
    return x_m + share * away_x_m, y_m + share * away_y_m


def _cells(view: GroundView, x_m: F32, y_m: F32, cell_m: float) -> Index:
    """Return the index, from 0, of the grid's cell of each point."""
    rows, cols = (
        np.floor(local_m * np.float32(1.0 / cell_m) + np.float32(anchor_m / cell_m % 1.0))
        for local_m, anchor_m in ((y_m, view.anchor_m[1]), (x_m, view.anchor_m[0]))
    )
    rows -= rows.min(initial=np.inf)
    cols -= cols.min(initial=np.inf)
    side = int(cols.max(initial=0.0)) + 1
    exact = rows.max(initial=0.0) * side < EXACT_BELOW
    numbers = rows * np.float32(side) + cols if exact else rows.astype(np.float64) * side + cols
    return np.asarray(numbers.astype(np.intp))


def _among(cell: Index, given: Index) -> Flags:
    """Return which points share a cell with the `given` points."""
    count = int(cell.max(initial=0)) + 1
    if count > MAX_BOX_CELLS:
        return np.isin(cell, cell[given])
    table = np.zeros(count, dtype=np.bool_)
    table[cell.take(given)] = True
    return table.take(cell)


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
