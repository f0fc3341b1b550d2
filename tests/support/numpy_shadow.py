"""The hiding of view shadows in numpy, which the compiled loops must equal."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.ground.ground_view import GroundView
from terrain_seg_ros.core.ground.standing_objects import (
    BIN_SAMPLES,
    GAP_SAMPLES,
    JUMP_SAMPLES,
    JUMP_WIDTHS,
    MIN_PIXELS,
    STEEP,
)
from terrain_seg_ros.core.ground.view_shadow import BESIDE_SAMPLES, CELL_REACH, MAX_REACH_PX
from terrain_seg_ros.core.types import F32, F64, U8, Reason

_AROUND = tuple((rows, cols) for rows in (-1, 0, 1) for cols in (-1, 0, 1) if rows or cols)
_OBSERVED = np.uint8(Reason.OBSERVED)
_PLACED = np.array(
    [
        code not in {Reason.TOO_FAR, Reason.OUTSIDE_VIEW, Reason.NO_DEPTH}
        for code in range(len(Reason))
    ]
)
"""Whether a pixel with a reason has a ground point within the limits, by the reason's code."""
_SQUARE = np.ones((3, 3), dtype=np.uint8)

Index = NDArray[np.intp]
Flags = NDArray[np.bool_]


class SeenPixels(NamedTuple):
    """Pixels (N,) as seen from the camera's foot (2,), in the frame of the plane.

    The foot is the point of the plane below the camera. `width_m` is the width of a pixel at its
    range, across the ray.
    """

    foot_m: F64
    distance_m: F32
    azimuth_rad: F32
    sample_m: F32
    width_m: F32
    steep: Flags


def look_from_foot(view: GroundView, pixel: Index, camera_m: F64) -> SeenPixels:
    """Return pixels as seen from the camera's foot; `camera_m` is in the plane's frame."""
    x_m = view.plane_x_m.reshape(-1).take(pixel) - np.float32(camera_m[0])
    y_m = view.plane_y_m.reshape(-1).take(pixel) - np.float32(camera_m[1])
    sample_m = view.ground_sample_m.reshape(-1).take(pixel)
    height_m = np.float32(max(camera_m[2], 1e-6))
    width_m = sample_m * height_m / np.maximum(view.range_m.reshape(-1).take(pixel), height_m)
    distance_m = np.hypot(x_m, y_m)
    # Measured from the centre of the view, so that few views cross the wrap-around.
    share = 1.0 / np.maximum(distance_m, np.float32(1e-6))
    share, x, y = (axis.astype(np.float64) for axis in (share, x_m, y_m))
    ahead_x, ahead_y = float(x @ share), float(y @ share)
    azimuth_rad = np.arctan2(ahead_x * y - ahead_y * x, ahead_x * x + ahead_y * y)
    return SeenPixels(
        camera_m[:2], distance_m, azimuth_rad, sample_m, width_m, distance_m < STEEP * height_m
    )


class StandingObjects(NamedTuple):
    """Pixels sorted by direction and distance and split into runs, and the object of each run.

    `pixel` (P,) are indices into the seen pixels, `foot_m` (P,) the distance of the first pixel
    of each pixel's run. `nearest_m`, `width_m` and `pixel_count` (P,) are those of its object.
    """

    pixel: Index
    distance_m: F32
    sample_m: F32
    foot_m: F32
    nearest_m: F32
    width_m: F64
    pixel_count: Index

    def within(self, depth_ratio: float) -> Flags:
        """Return which pixels are assumed to show the object itself, not what it hides."""
        near = self.distance_m <= self.nearest_m + depth_ratio * self.width_m
        near |= self.distance_m <= self.foot_m + 0.5 * self.sample_m
        return near


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
    return (rows.astype(np.float64) * side + cols).astype(np.intp)


def _among(cell: Index, given: Index) -> Flags:
    """Return which points share a cell with the `given` points."""
    return np.isin(cell, cell[given])


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


def find_objects(seen: SeenPixels, far: Index) -> StandingObjects:
    """Group pixels into objects.

    In each direction pixels are split into runs without a gap; the first pixel of a run is a foot.
    Runs in adjacent directions belong to one object if their feet are at about the same distance.

    Args:
        seen: the pixels as seen from the camera's foot.
        far: (P,) indices of the pixels to group, not empty.
    """
    distance_m, sample_m = seen.distance_m[far], seen.sample_m[far]
    bin_rad = BIN_SAMPLES * float((seen.width_m[far] / distance_m).max())
    direction = np.floor(seen.azimuth_rad[far] * (1.0 / bin_rad)).astype(np.float64)
    scale = 1.0 / (1.001 * float(distance_m.max()))
    order = np.argsort(direction + distance_m * scale)
    direction, distance_m, sample_m = direction[order], distance_m[order], sample_m[order]
    begins = np.ones(order.size, dtype=np.bool_)
    begins[1:] = direction[1:] != direction[:-1]
    begins[1:] |= distance_m[1:] - distance_m[:-1] > GAP_SAMPLES * sample_m[1:]
    run, first = np.cumsum(begins) - 1, np.flatnonzero(begins)
    feet_m = distance_m[first]
    allowed_m = JUMP_SAMPLES * sample_m[first] + JUMP_WIDTHS * bin_rad * feet_m
    owner = _joined(direction[first], feet_m, feet_m * scale, allowed_m)
    nearest_m: F32 = np.full(first.size, feet_m.max(), dtype=np.float32)
    np.minimum.at(nearest_m, owner, feet_m)
    width_m = np.bincount(owner, minlength=first.size) * bin_rad * nearest_m
    of_pixel = owner[run]
    return StandingObjects(
        pixel=far[order],
        distance_m=distance_m,
        sample_m=sample_m,
        foot_m=feet_m[run],
        nearest_m=nearest_m[of_pixel],
        width_m=width_m[of_pixel],
        pixel_count=np.bincount(of_pixel, minlength=first.size)[of_pixel],
    )


def _joined(direction: F64, feet_m: F32, place: F32, allowed_m: F32) -> Index:
    """Return the object of each run, joining runs in adjacent directions with feet close together.

    Args:
        direction: (R,) ascending integers.
        feet_m: (R,) distances, ascending within a direction.
        place: (R,) the same, scaled to below 1.
        allowed_m: (R,) largest difference of the feet of one object.

    Returns:
        (R,) the index of the first run of each run's object.
    """
    key = direction + place
    after = np.searchsorted(key, key - 1.0)
    link = np.arange(key.size)
    best_m = allowed_m.astype(np.float64)
    for place_of_key in (after, after - 1):
        candidate = np.minimum(np.maximum(place_of_key, 0), key.size - 1)
        apart_m = np.abs(feet_m[candidate] - feet_m)
        closer = (direction[candidate] == direction - 1.0) & (apart_m <= best_m)
        link[closer], best_m[closer] = candidate[closer], apart_m[closer]
    while True:
        further = link[link]
        if np.array_equal(further, link):
            return link
        link = further
