"""A planar ground model: below the wheels, or horizontal at a height."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Literal

import numpy as np

from terrain_seg_ros.core.geometry.pixel_rays import Pixels, RayStore, keep
from terrain_seg_ros.core.ground.ground_view import GroundView, Poses, rotated, unmeasured_view
from terrain_seg_ros.core.ground.measurement import GroundMeasurement, GroundPoint
from terrain_seg_ros.core.ground.plane_intersection import PlaneView, intersect_plane
from terrain_seg_ros.core.types import F32, F64, Reason, Transform

Plane = Literal["vehicle_plane", "gravity_plane", "grid_plane", "range_plane"]


class PlaneGround:
    """Ground that is a plane; caches what depends only on camera and mounting.

    `vehicle_plane` is normal to the z axis of the vehicle's frame, at a height along that axis
    from its origin (correct on slopes). The others are horizontal in the grid's frame:
    `gravity_plane` at a height relative to the origin of the vehicle's frame, `grid_plane` at a
    fixed height in the grid's frame, `range_plane` through the echo of an altimeter.

    The camera's height above the plane follows from grid_T_camera, so that a mast that tilts with
    the body is accounted for. `gravity_plane` only requires that the origin of the vehicle's frame
    keeps its height above the ground. This holds if the frame is on the ground below the body, as
    for base_footprint and most base_link frames of rovers.
    """

    def __init__(self, rays: RayStore, *, plane: Plane, height_m: float) -> None:
        """Start with an empty cache."""
        self._rays = rays
        self._plane = plane
        self._height_m = height_m
        self._views: OrderedDict[Pixels, PlaneView] = OrderedDict()
        self._depths: OrderedDict[Pixels, tuple[PlaneView, F32]] = OrderedDict()

    def view(
        self, pixels: Pixels, poses: Poses, measured: GroundMeasurement | None = None
    ) -> GroundView:
        """Return where pixels meet the plane.

        Raises:
            GeometryError: the camera is below the plane.
        """
        axes = self._axes(poses.grid_T_base, measured)
        if axes is None:
            return unmeasured_view(pixels.shape, poses.grid_T_base.translation_m)
        rotation, anchor_m = axes
        view = self._view(pixels, _mounting(rotation, anchor_m, poses.grid_T_camera))
        return GroundView(
            range_m=view.range_m,
            reason=view.reason,
            plane_x_m=view.x_m,
            plane_y_m=view.y_m,
            grid_R_plane=rotation,
            anchor_m=anchor_m,
            local_x_m=rotated(rotation, 0, view.cell_x_m, view.cell_y_m),
            local_y_m=rotated(rotation, 1, view.cell_x_m, view.cell_y_m),
            fill_pixel=view.fill.pixel,
            fill_x_m=rotated(rotation, 0, view.fill.x_m, view.fill.y_m),
            fill_y_m=rotated(rotation, 1, view.fill.x_m, view.fill.y_m),
            ground_sample_m=view.spacing_m,
        )

    def depth_m(
        self, pixels: Pixels, poses: Poses, measured: GroundMeasurement | None = None
    ) -> F32:
        """Return the plane's depth (h, w) along the optical axis, NaN where it is not trusted.

        The same array is returned as long as nothing has changed.

        Raises:
            GeometryError: the camera is below the plane.
        """
        axes = self._axes(poses.grid_T_base, measured)
        if axes is None:
            return np.full(pixels.shape, np.nan, dtype=np.float32)
        view = self._view(pixels, _mounting(*axes, poses.grid_T_camera))
        kept = self._depths.get(pixels)
        if kept is not None and kept[0] is view:
            return kept[1]
        trusted_m = np.where(view.reason == Reason.OBSERVED, view.depth_m, np.float32(np.nan))
        keep(self._depths, pixels, (view, trusted_m))
        return trusted_m

    def height_of(self, point_m: F64, poses: Poses) -> float:
        """Return the height of a point of the grid's frame above the plane.

        It is 0 for a plane that is defined by a measurement.
        """
        axes = self._axes(poses.grid_T_base, GroundPoint(point_m))
        rotation, anchor_m = axes if axes is not None else (np.eye(3), point_m)
        return float(rotation[:, 2] @ (point_m - anchor_m))

    def camera_height_m(self, poses: Poses) -> float:
        """Return the camera's height above a plane that is not defined by a measurement."""
        return self.height_of(poses.grid_T_camera.translation_m, poses)

    def _axes(
        self, grid_T_base: Transform, measured: GroundMeasurement | None
    ) -> tuple[F64, F64] | None:
        """Return the plane's axes in the grid's frame (z its normal) and its origin."""
        rotation, origin_m = grid_T_base.rotation, grid_T_base.translation_m
        if self._plane == "vehicle_plane":
            return rotation, origin_m + rotation[:, 2] * self._height_m
        height_m = self._height_m
        if self._plane == "gravity_plane":
            height_m += origin_m[2]
        elif self._plane == "range_plane":
            if not isinstance(measured, GroundPoint):
                return None
            height_m = measured.point_m[2]
        yaw_rad = math.atan2(rotation[1, 0], rotation[0, 0])
        cos, sin = math.cos(yaw_rad), math.sin(yaw_rad)
        level = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
        return level, np.array([origin_m[0], origin_m[1], height_m])

    def _view(self, pixels: Pixels, mounting: tuple[F64, F64]) -> PlaneView:
        view = self._views.get(pixels)
        if view is not None and view.fits(*mounting):
            self._views.move_to_end(pixels)
            return view
        view = intersect_plane(self._rays.of(pixels), mounting, pixels.reach)
        keep(self._views, pixels, view)
        return view


def _mounting(rotation: F64, anchor_m: F64, grid_T_camera: Transform) -> tuple[F64, F64]:
    """Return plane_T_camera; subtracting before multiplying is exact far from the origin."""
    return (
        rotation.T @ grid_T_camera.rotation,
        rotation.T @ (grid_T_camera.translation_m - anchor_m),
    )
