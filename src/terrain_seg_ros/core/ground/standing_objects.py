"""Grouping of pixels that rise above the ground into objects, and the depth of each object."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.ground.ground_view import GroundView
from terrain_seg_ros.core.kernel import kernel
from terrain_seg_ros.core.types import F32, F64, U8

STEEP = 0.25
"""Objects closer to the camera's foot than this share of its height are seen from above: what
they hide is small compared with their own size."""
BIN_SAMPLES = 1.25
"""Width of a direction in pixels, so that no direction across an object is empty."""
GAP_SAMPLES = 2.5
"""Pixels of one direction farther apart than this, in ground samples, belong to two objects."""
JUMP_SAMPLES = 2.0
JUMP_WIDTHS = 4.0
"""Feet in adjacent directions belong to two objects if they differ by more than this many ground
samples plus this many widths of a direction."""
MIN_PIXELS = 3
"""A smaller object is likely an error of the network and counts as ground of its class."""

Index = NDArray[np.intp]
Flags = NDArray[np.bool_]


class SeenPixels(NamedTuple):
    """Pixels (N,) with a ground point as seen from the camera's foot (2,), in the plane's frame.

    The foot is the point of the plane below the camera. `width_m` is the width of a pixel at its
    range, across the ray. Directions around the foot are `bin_rad` wide; `key` is a pixel's
    direction plus its distance as a share of 1, infinite where it is seen from above.
    """

    foot_m: F64
    pixel: Index
    distance_m: F32
    sample_m: F32
    width_m: F32
    key: F64
    bin_rad: float


def look_from_foot(view: GroundView, protruding: U8, camera_m: F64) -> SeenPixels:
    """Return `protruding` pixels (h, w) as seen from below the camera (3,) in the plane's frame."""
    return SeenPixels(
        camera_m[:2],
        *_look(
            np.flatnonzero(protruding.view(np.bool_)),
            view.range_m,
            view.plane_x_m,
            view.plane_y_m,
            view.ground_sample_m,
            camera_m,
        ),
    )


@kernel(
    "int64[::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], float64[::1]"
)
def _look(
    protruding: Index, range_m: F32, x_m: F32, y_m: F32, sample_m: F32, camera_m: F64
) -> tuple[Index, F32, F32, F32, F64, float]:
    """Return the parts of `SeenPixels` after the foot."""
    ranges_m, xs_m, ys_m = range_m.reshape(-1), x_m.reshape(-1), y_m.reshape(-1)
    pixel, count = np.empty_like(protruding), 0
    for at in protruding:
        if np.isfinite(ranges_m[at]):
            pixel[count] = at
            count += 1
    pixel = pixel[:count].copy()
    height_m = np.float32(max(camera_m[2], 1e-6))
    x, y, distance_m, width_m = np.empty((4, count), dtype=np.float32)
    sample, key = sample_m.reshape(-1)[pixel], np.full(count, np.inf)
    ahead_x = ahead_y = bin_rad = most_m = 0.0
    for place in range(count):
        at = pixel[place]
        x[place] = xs_m[at] - np.float32(camera_m[0])
        y[place] = ys_m[at] - np.float32(camera_m[1])
        away_m = math.sqrt(np.float64(x[place]) ** 2 + np.float64(y[place]) ** 2)
        distance_m[place] = away_m
        width_m[place] = sample[place] * height_m / max(ranges_m[at], height_m)
        ahead_x += x[place] / max(away_m, 1e-6)
        ahead_y += y[place] / max(away_m, 1e-6)
        if distance_m[place] >= np.float32(STEEP) * height_m:
            bin_rad = max(bin_rad, BIN_SAMPLES * np.float64(width_m[place] / distance_m[place]))
            most_m = max(most_m, away_m)
    for place in range(count):
        if distance_m[place] < np.float32(STEEP) * height_m:
            continue
        # Measured from the centre of the view, so that few views cross the wrap-around.
        azimuth_rad = math.atan2(
            ahead_x * y[place] - ahead_y * x[place], ahead_x * x[place] + ahead_y * y[place]
        )
        key[place] = math.floor(azimuth_rad / bin_rad) + distance_m[place] / (1.001 * most_m)
    return pixel, distance_m, sample, width_m, key, bin_rad


def find_objects(seen: SeenPixels, protruding: U8, depth_ratio: float | None) -> tuple[U8, Flags]:
    """Group pixels into objects.

    In each direction pixels are split into runs without a gap; the first pixel of a run is a foot.
    Runs in adjacent directions belong to one object if their feet are at about the same distance.

    Args:
        seen: the pixels as seen from the camera's foot.
        protruding: (h, w), 1 for the pixels that may belong to objects, else 0.
        depth_ratio: depth of an object, as a share of its visible width; None if it is not limited.

    Returns:
        `protruding` without groups too small to be an object; and which of the seen pixels (N,)
        are assumed to show the object itself, not what it hides.
    """
    return _group(
        protruding,
        seen.pixel,
        np.argsort(seen.key)[: np.count_nonzero(seen.key < np.inf)],
        seen.key,
        seen.distance_m,
        seen.sample_m,
        seen.bin_rad,
        math.inf if depth_ratio is None else depth_ratio,
    )


@kernel(
    "uint8[:, ::1], int64[::1], int64[::1], float64[::1], float32[::1], float32[::1], float64, "
    "float64"
)
def _group(  # noqa: PLR0917
    protruding: U8,
    pixel: Index,
    order: Index,
    key: F64,
    distance_m: F32,
    sample_m: F32,
    bin_rad: float,
    depth_ratio: float,
) -> tuple[U8, Flags]:
    """Return what `find_objects` does; `order` sorts pixels by direction and distance."""
    direction, gone_m, apart_m = np.floor(key[order]), distance_m[order], sample_m[order]
    run, first = _runs(direction, gone_m, apart_m)
    owner = _owners(direction[first], gone_m[first], apart_m[first], bin_rad)
    nearest_m = np.full(first.size, np.inf, dtype=np.float32)
    run_count, pixel_count = np.zeros((2, first.size), dtype=np.int64)
    for index in range(first.size):
        nearest_m[owner[index]] = min(nearest_m[owner[index]], gone_m[first[index]])
        run_count[owner[index]] += 1
    for place in range(order.size):
        pixel_count[owner[run[place]]] += 1
    standing, shown = protruding.copy(), np.ones(pixel.size, dtype=np.bool_)
    stands = standing.reshape(-1)
    for place in range(order.size):
        thing, foot_m = owner[run[place]], gone_m[first[run[place]]]
        width_m = run_count[thing] * bin_rad * nearest_m[thing]
        is_near = gone_m[place] <= nearest_m[thing] + depth_ratio * width_m
        is_foot = gone_m[place] <= foot_m + np.float32(0.5) * apart_m[place]
        shown[order[place]] = is_near or is_foot
        if pixel_count[thing] < MIN_PIXELS:
            stands[pixel[order[place]]] = 0
    return standing, shown


@kernel("float64[::1], float32[::1], float32[::1]")
def _runs(direction: F64, distance_m: F32, sample_m: F32) -> tuple[Index, Index]:
    """Return the run of each pixel (P,), sorted by direction and distance, and each run's first."""
    run, first = np.empty((2, direction.size), dtype=np.int64)
    runs = 0
    for pixel in range(direction.size):
        begins = pixel == 0 or direction[pixel] != direction[pixel - 1]
        if begins or distance_m[pixel] - distance_m[pixel - 1] > (
            np.float32(GAP_SAMPLES) * sample_m[pixel]
        ):
            first[runs] = pixel
            runs += 1
        run[pixel] = runs - 1
    return run, first[:runs].copy()


@kernel("float64[::1], float32[::1], float32[::1], float64")
def _owners(direction: F64, foot_m: F32, sample_m: F32, bin_rad: float) -> Index:
    """Return the first run of the object of each run (R,), from their directions and feet."""
    owner, candidate = np.arange(foot_m.size), 0
    for run in range(foot_m.size):
        allowed_m = np.float32(JUMP_SAMPLES) * sample_m[run]
        allowed_m += np.float32(JUMP_WIDTHS * bin_rad) * foot_m[run]
        while direction[candidate] < direction[run] - 1.0 or (
            direction[candidate] == direction[run] - 1.0 and foot_m[candidate] < foot_m[run]
        ):
            candidate += 1
        for other in (candidate, max(candidate - 1, 0)):  # the feet beyond and before this one
            apart_m = abs(foot_m[other] - foot_m[run])
            if direction[other] == direction[run] - 1.0 and apart_m <= allowed_m:
                owner[run], allowed_m = owner[other], apart_m
    return owner
