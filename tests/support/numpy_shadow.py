"""The hiding of view shadows in numpy, which the compiled loops must equal."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.ground.ground_view import GroundView
from terrain_seg_ros.core.ground.standing_objects import (
    BIN_SAMPLES,
    GAP_SAMPLES,
    JUMP_SAMPLES,
    JUMP_WIDTHS,
    SeenPixels,
    StandingObjects,
    look_from_foot,
)
from terrain_seg_ros.core.ground.view_shadow import (
    BESIDE_SAMPLES,
    MIN_PIXELS,
    _Cells,
    _clear_cells,
)
from terrain_seg_ros.core.types import F32, F64, U8, Reason

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
