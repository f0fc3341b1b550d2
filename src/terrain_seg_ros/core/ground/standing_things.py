"""Which pixels that stand out of the ground show one thing, and how far it goes back."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.ground.ground_view import GroundView
from terrain_seg_ros.core.types import F32, F64

STEEP = 0.25
"""Closer to the camera's foot than this share of its height things are seen from above: what
they hide is small against their own size."""
BIN_SAMPLES = 1.25
"""Directions are told apart by so many pixels, so that none of a thing's is empty."""
GAP_SAMPLES = 2.5
"""Pixels of one direction that lie farther apart, in ground samples, belong to two things."""
JUMP_SAMPLES = 2.0
JUMP_WIDTHS = 4.0
"""Feet in directions side by side belong to two things where they differ by more than so many
ground samples and so many widths of a direction."""

Index = NDArray[np.intp]
Flags = NDArray[np.bool_]


class SeenPixels(NamedTuple):
    """Hold pixels (N,) as seen from the camera's foot (2,), in the frame of the plane.

    `width_m` is how wide a pixel is at its range, across the ray.
    """

    foot_m: F64
    distance_m: F32
    azimuth_rad: F32
    sample_m: F32
    width_m: F32
    steep: Flags


def look_from_foot(view: GroundView, pixel: Index, camera_m: F64) -> SeenPixels:
    """Return pixels as seen from the camera's foot; the camera is given in the plane's frame."""
    x_m = view.plane_x_m.reshape(-1).take(pixel) - np.float32(camera_m[0])
    y_m = view.plane_y_m.reshape(-1).take(pixel) - np.float32(camera_m[1])
    sample_m = view.ground_sample_m.reshape(-1).take(pixel)
    height_m = np.float32(max(camera_m[2], 1e-6))
    width_m = sample_m * height_m / np.maximum(view.range_m.reshape(-1).take(pixel), height_m)
    distance_m = np.hypot(x_m, y_m)
    # Measured from the middle of the view, so that few views straddle the seam.
    share = 1.0 / np.maximum(distance_m, np.float32(1e-6))
    ahead_x, ahead_y = float(x_m @ share), float(y_m @ share)
    azimuth_rad = np.arctan2(ahead_x * y_m - ahead_y * x_m, ahead_x * x_m + ahead_y * y_m)
    return SeenPixels(
        camera_m[:2], distance_m, azimuth_rad, sample_m, width_m, distance_m < STEEP * height_m
    )


class Things(NamedTuple):
    """Hold things: pixels by direction and distance, cut into runs, and the runs' things.

    `pixel` (P,) are indices into the seen pixels, `run` (P,) the run of each, `foot_m` (P,) the
    distance of its run's first pixel; `pixel_count` (P,) that of its thing. `nearest_m` and
    `width_m` (P,) are the thing's.
    """

    pixel: Index
    distance_m: F32
    sample_m: F32
    foot_m: F32
    nearest_m: F32
    width_m: F64
    pixel_count: Index

    def within(self, depth_ratio: float) -> Flags:
        """Return which pixels are thought to show the thing itself, and not what it hides."""
        near = self.distance_m <= self.nearest_m + depth_ratio * self.width_m
        near |= self.distance_m <= self.foot_m + 0.5 * self.sample_m
        return near


def find_things(seen: SeenPixels, far: Index) -> Things:
    """Return the things that some pixels show.

    In each direction pixels are cut into runs without a gap, whose first pixel is a foot. Runs in
    directions side by side belong to one thing where their feet are at about one distance.

    Args:
        seen: from the camera's foot.
        far: (P,) which of them, not empty.
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
    thing = _joined(direction[first], feet_m, feet_m * scale, allowed_m)
    nearest_m: F32 = np.full(first.size, feet_m.max(), dtype=np.float32)
    np.minimum.at(nearest_m, thing, feet_m)
    width_m = np.bincount(thing, minlength=first.size) * bin_rad * nearest_m
    mine = thing[run]
    return Things(
        pixel=far[order],
        distance_m=distance_m,
        sample_m=sample_m,
        foot_m=feet_m[run],
        nearest_m=nearest_m[mine],
        width_m=width_m[mine],
        pixel_count=np.bincount(mine, minlength=first.size)[mine],
    )


def _joined(direction: F64, feet_m: F32, place: F32, allowed_m: F32) -> Index:
    """Return the thing of each run: runs in directions side by side whose feet are together.

    Args:
        direction: (R,) ascending whole numbers.
        feet_m: (R,) distances, ascending within a direction.
        place: (R,) the same as shares below 1.
        allowed_m: (R,) by how much feet of one thing may differ.

    Returns:
        (R,) the first run of the thing of each.
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
