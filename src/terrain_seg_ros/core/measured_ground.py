"""Ground whose shape is known: measured with the image, or in a height map."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from terrain_seg_ros.core.depth_to_ground import depth_to_ground
from terrain_seg_ros.core.ground_measurement import GroundMeasurement
from terrain_seg_ros.core.ground_view import GroundView, Poses
from terrain_seg_ros.core.height_map import HeightMap, rays_to_depth
from terrain_seg_ros.core.measurement_to_depth import measurement_to_depth
from terrain_seg_ros.core.pixel_rays import Pixels, RayStore
from terrain_seg_ros.core.types import F32, Reason


class Ground(Protocol):
    """Say where pixels meet the ground; each kind of ground does."""

    def view(
        self, pixels: Pixels, poses: Poses, measured: GroundMeasurement | None = None
    ) -> GroundView:
        """Return where pixels lie, in the grid's frame."""
        ...

    def depth_m(
        self, pixels: Pixels, poses: Poses, measured: GroundMeasurement | None = None
    ) -> F32:
        """Return the depth (h, w) of trusted ground along the optical axis, else NaN."""
        ...


class DepthGround:
    """Take the ground from what a depth image or a cloud measured of it."""

    def __init__(self, rays: RayStore) -> None:
        """Use the rays that others use too."""
        self._rays = rays

    def view(
        self, pixels: Pixels, poses: Poses, measured: GroundMeasurement | None = None
    ) -> GroundView:
        """Return where pixels lie; those without a measurement have NaN and NO_DEPTH.

        Raises:
            GeometryError: a depth image is not of the camera image's size.
        """
        sensed = measurement_to_depth(measured, pixels, self._rays, poses=poses)
        return depth_to_ground(sensed.depth_m, sensed.rays, pixels.reach, poses)

    def depth_m(
        self, pixels: Pixels, poses: Poses, measured: GroundMeasurement | None = None
    ) -> F32:
        """Return the measured depth (h, w) where it is trusted, else NaN.

        Raises:
            GeometryError: a depth image is not of the camera image's size.
        """
        sensed = measurement_to_depth(measured, pixels, self._rays, poses=poses)
        view = depth_to_ground(sensed.depth_m, sensed.rays, pixels.reach, poses)
        return np.where(view.reason == Reason.OBSERVED, sensed.depth_m, np.float32(np.nan))


class HeightMapGround:
    """Take the ground from a height map in the grid's frame."""

    def __init__(self, rays: RayStore, heights: HeightMap) -> None:
        """Use the rays that others use too."""
        self._rays = rays
        self._heights = heights

    def view(
        self, pixels: Pixels, poses: Poses, measured: GroundMeasurement | None = None
    ) -> GroundView:
        """Return where pixels meet the map first; outside it they have NaN and NO_DEPTH.

        Raises:
            GeometryError: the camera is below the ground of the map.
        """
        del measured
        rays = self._rays.of(pixels)
        depth_m = rays_to_depth(
            self._heights, rays, poses.grid_T_camera, max_range_m=pixels.reach.max_range_m
        )
        return depth_to_ground(depth_m, rays, pixels.reach, poses)

    def depth_m(
        self, pixels: Pixels, poses: Poses, measured: GroundMeasurement | None = None
    ) -> F32:
        """Return the depth (h, w) of trusted ground, else NaN.

        Raises:
            GeometryError: the camera is below the ground of the map.
        """
        view = self.view(pixels, poses, measured)
        depth_m: F32 = view.range_m / self._rays.of(pixels).length
        depth_m[view.reason != Reason.OBSERVED] = np.nan
        return depth_m
