"""Ground of known shape: measured with the image, or from a height map."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.geometry.pixel_rays import Pixels, RayStore
from terrain_seg_ros.core.ground.depth import depth_to_ground
from terrain_seg_ros.core.ground.ground_view import GroundView, Poses
from terrain_seg_ros.core.ground.height_map import HeightMap, rays_to_depth
from terrain_seg_ros.core.ground.measurement import GroundMeasurement
from terrain_seg_ros.core.ground.measurement_to_depth import measurement_to_depth
from terrain_seg_ros.core.ground.plane import PlaneGround
from terrain_seg_ros.core.kernel import kernel
from terrain_seg_ros.core.types import F32, U8, Reason

_OBSERVED, _NO_DEPTH = np.uint8(Reason.OBSERVED), np.uint8(Reason.NO_DEPTH)

Flags = NDArray[np.bool_]


class Ground(Protocol):
    """The interface of a ground model."""

    def view(
        self, pixels: Pixels, poses: Poses, measured: GroundMeasurement | None = None
    ) -> GroundView:
        """Return the ground points of pixels, in the grid's frame."""
        ...

    def depth_m(
        self, pixels: Pixels, poses: Poses, measured: GroundMeasurement | None = None
    ) -> F32:
        """Return the depth (h, w) of trusted ground along the optical axis, NaN elsewhere."""
        ...


@dataclass(frozen=True)
class RangeNoise:
    """The standard deviation of measured ranges r: `sigma_m` + `sigma_per_m2` r^2."""

    sigma_m: float
    sigma_per_m2: float

    def height_sigma_m(self, range_m: F32, rise: F32) -> F32 | None:
        """Return the deviation of heights (h, w), None where ranges are exact.

        Args:
            range_m: (h, w), NaN where unknown.
            rise: (h, w), the upward part of the rays, scaled as `PixelRays.rise` gives it.
        """
        if self.sigma_m == 0.0 and self.sigma_per_m2 == 0.0:
            return None
        sigma_m = np.float32(self.sigma_m) + np.float32(self.sigma_per_m2) * range_m * range_m
        found: F32 = sigma_m * np.abs(rise)
        return found


class DepthGround:
    """Ground measured by a depth image or a point cloud."""

    def __init__(self, rays: RayStore, guess: PlaneGround, noise: RangeNoise) -> None:
        """Share the cache of rays; `guess` is the plane assumed where nothing was measured."""
        self._rays = rays
        self._guess = guess
        self._noise = noise

    def view(
        self, pixels: Pixels, poses: Poses, measured: GroundMeasurement | None = None
    ) -> GroundView:
        """Return the ground points of pixels; those without a measurement are NaN and NO_DEPTH.

        Raises:
            GeometryError: a depth image differs in size from the camera image.
        """
        sensed = measurement_to_depth(measured, pixels, self._rays, poses=poses)
        view = depth_to_ground(sensed.depth_m, sensed.rays, pixels.reach, poses)
        rise = sensed.rays.rise(poses.grid_T_camera.rotation[2].astype(np.float32))
        view = replace(view, height_sigma_m=self._noise.height_sigma_m(view.range_m, rise))
        return _with_guesses(view, self._guess, pixels, poses)

    def depth_m(
        self, pixels: Pixels, poses: Poses, measured: GroundMeasurement | None = None
    ) -> F32:
        """Return the measured depth (h, w) where it is trusted, NaN elsewhere.

        Raises:
            GeometryError: a depth image differs in size from the camera image.
        """
        sensed = measurement_to_depth(measured, pixels, self._rays, poses=poses)
        view = depth_to_ground(sensed.depth_m, sensed.rays, pixels.reach, poses)
        return np.where(view.reason == Reason.OBSERVED, sensed.depth_m, np.float32(np.nan))


class HeightMapGround:
    """Ground given by a height map in the grid's frame."""

    def __init__(self, rays: RayStore, guess: PlaneGround, heights: HeightMap) -> None:
        """Share the cache of rays; `guess` is the plane assumed outside the map."""
        self._rays = rays
        self._guess = guess
        self._heights = heights

    def view(
        self, pixels: Pixels, poses: Poses, measured: GroundMeasurement | None = None
    ) -> GroundView:
        """Return where pixels first meet the map; outside it they are NaN and NO_DEPTH.

        Raises:
            GeometryError: the camera is below the ground of the map.
        """
        del measured
        rays = self._rays.of(pixels)
        depth_m = rays_to_depth(
            self._heights, rays, poses.grid_T_camera, max_range_m=pixels.reach.max_range_m
        )
        view = depth_to_ground(depth_m, rays, pixels.reach, poses)
        return _with_guesses(view, self._guess, pixels, poses)

    def depth_m(
        self, pixels: Pixels, poses: Poses, measured: GroundMeasurement | None = None
    ) -> F32:
        """Return the depth (h, w) of trusted ground, NaN elsewhere.

        Raises:
            GeometryError: the camera is below the ground of the map.
        """
        view = self.view(pixels, poses, measured)
        depth_m: F32 = view.range_m / self._rays.of(pixels).length
        depth_m[view.reason != Reason.OBSERVED] = np.nan
        return depth_m


def _with_guesses(view: GroundView, guess: PlaneGround, pixels: Pixels, poses: Poses) -> GroundView:
    """Return the view with local points on a plane where no depth is known.

    Those pixels have the reason NO_DEPTH and neither range nor height; the local points let the
    grid mark their cells.
    """
    if guess.camera_height_m(poses) <= 0.0 or not (view.reason == Reason.NO_DEPTH).any():
        return view
    plane = guess.view(pixels, poses)
    offset_m = (plane.anchor_m - view.anchor_m).astype(np.float32)
    lacking, x_m, y_m = _guessed(
        view.reason,
        plane.reason,
        *(view.local_x_m, view.local_y_m),
        *(plane.local_x_m, plane.local_y_m),
        offset_m,
    )
    fill = np.flatnonzero(lacking.reshape(-1).take(plane.fill_pixel))
    return replace(
        view,
        local_x_m=x_m,
        local_y_m=y_m,
        fill_pixel=np.concatenate([view.fill_pixel, plane.fill_pixel[fill]]),
        fill_x_m=np.concatenate([view.fill_x_m, plane.fill_x_m[fill] + offset_m[0]]),
        fill_y_m=np.concatenate([view.fill_y_m, plane.fill_y_m[fill] + offset_m[1]]),
    )


@kernel(
    "uint8[:, ::1], uint8[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], "
    "float32[:, ::1], float32[::1]"
)
def _guessed(  # noqa: PLR0917
    reason: U8, plane_reason: U8, x_m: F32, y_m: F32, plane_x_m: F32, plane_y_m: F32, offset_m: F32
) -> tuple[Flags, F32, F32]:
    """Return which pixels (h, w) lack a depth that a plane can stand in for, and all their x and y.

    `offset_m` is the plane's anchor relative to that of the others.
    """
    lacking, x, y = np.empty(x_m.shape, dtype=np.bool_), np.empty_like(x_m), np.empty_like(y_m)
    for row in range(x_m.shape[0]):
        for col in range(x_m.shape[1]):
            lacks = reason[row, col] == _NO_DEPTH and plane_reason[row, col] == _OBSERVED
            lacking[row, col] = lacks
            x[row, col] = plane_x_m[row, col] + offset_m[0] if lacks else x_m[row, col]
            y[row, col] = plane_y_m[row, col] + offset_m[1] if lacks else y_m[row, col]
    return lacking, x, y
