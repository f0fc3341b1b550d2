"""Grouping of pixels that rise above the ground into objects, and the depth of each object."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.ground.ground_view import GroundView
from terrain_seg_ros.core.kernel import kernel
from terrain_seg_ros.core.types import F32, F64

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
    ahead_x, ahead_y = float(x_m @ share), float(y_m @ share)
    azimuth_rad = np.arctan2(ahead_x * y_m - ahead_y * x_m, ahead_x * x_m + ahead_y * y_m)
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
    distance_m, sample_m = distance_m[order], sample_m[order]
    foot_m, nearest_m, width_m, pixel_count = _group(
        direction[order], distance_m, sample_m, bin_rad
    )
    return StandingObjects(
        pixel=far[order],
        distance_m=distance_m,
        sample_m=sample_m,
        foot_m=foot_m,
        nearest_m=nearest_m,
        width_m=width_m,
        pixel_count=pixel_count,
    )


@kernel("float64[::1], float32[::1], float32[::1], float64")
def _group(
    direction: F64, distance_m: F32, sample_m: F32, bin_rad: float
) -> tuple[F32, F32, F64, Index]:
    """Group pixels (P,), sorted by direction and distance, into objects.

    Returns:
        The foot of each pixel's run; and of its object the distance, width and count of pixels.
    """
    count = direction.size
    run, first, owner = np.empty((3, count), dtype=np.int64)
    runs = 0
    for pixel in range(count):
        begins = pixel == 0 or direction[pixel] != direction[pixel - 1]
        if begins or distance_m[pixel] - distance_m[pixel - 1] > (
            np.float32(GAP_SAMPLES) * sample_m[pixel]
        ):
            first[runs], owner[runs] = pixel, runs
            runs += 1
        run[pixel] = runs - 1
    candidate = 0
    for index in range(runs):
        foot = first[index]
        allowed_m = np.float32(JUMP_SAMPLES) * sample_m[foot]
        allowed_m += np.float32(JUMP_WIDTHS * bin_rad) * distance_m[foot]
        while direction[first[candidate]] < direction[foot] - 1.0 or (
            direction[first[candidate]] == direction[foot] - 1.0
            and distance_m[first[candidate]] < distance_m[foot]
        ):
            candidate += 1
        for other in (candidate, max(candidate - 1, 0)):  # the feet beyond and before this one
            apart_m = abs(distance_m[first[other]] - distance_m[foot])
            if direction[first[other]] == direction[foot] - 1.0 and apart_m <= allowed_m:
                owner[index], allowed_m = owner[other], apart_m
    nearest_m = np.full(runs, np.inf, dtype=np.float32)
    run_count, pixel_count = np.zeros((2, runs), dtype=np.int64)
    for index in range(runs):
        nearest_m[owner[index]] = min(nearest_m[owner[index]], distance_m[first[index]])
        run_count[owner[index]] += 1
    for pixel in range(count):
        pixel_count[owner[run[pixel]]] += 1
    of_pixel = owner[run]
    width_m: F64 = run_count.astype(np.float64) * bin_rad * nearest_m
    return distance_m[first[run]], nearest_m[of_pixel], width_m[of_pixel], pixel_count[of_pixel]
