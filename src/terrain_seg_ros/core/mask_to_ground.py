"""Where each pixel of the network's mask meets the ground."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.camera import CameraModel
from terrain_seg_ros.core.errors import ConfigError, GeometryError
from terrain_seg_ros.core.ground_measurement import (
    GroundMeasurement,
    GroundPoint,
    GroundResidual,
    depth_residual,
)
from terrain_seg_ros.core.ground_plane import (
    PixelRays,
    PlaneView,
    Reach,
    intersect_plane,
    trace_rays,
)
from terrain_seg_ros.core.image_to_tensor import TensorGeometry
from terrain_seg_ros.core.types import F32, F64, U8, Reason, Transform

Plane = Literal["vehicle_plane", "gravity_plane"]
Kept = TypeVar("Kept")
MAX_CACHED_VIEWS = 16


@dataclass(frozen=True)
class GroundSettings:
    """Hold which plane is the ground, and how far it is trusted.

    `vehicle_plane` lies across the z axis of `base_frame`, `plane_height_m` along that axis from
    its origin (right on slopes); `gravity_plane` is horizontal in the grid's frame,
    `plane_height_m` above that origin (right when the body pitches on flat ground). Pixels farther
    than `max_range_m` from the camera, or whose neighbours lie more than `max_ground_sample_m`
    apart on the ground, are too far.
    """

    plane: Plane
    base_frame: str
    plane_height_m: float
    max_range_m: float
    max_ground_sample_m: float

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.plane not in get_args(Plane):
            raise ConfigError(f"ground plane is {self.plane!r}, expected {list(get_args(Plane))}")
        if not self.base_frame:
            raise ConfigError("ground base_frame is empty, expected a frame such as 'base_link'")
        if not math.isfinite(self.plane_height_m):
            raise ConfigError(f"plane_height_m is {self.plane_height_m}, expected a finite number")
        for name in ("max_range_m", "max_ground_sample_m"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0.0):
                raise ConfigError(f"ground {name} is {value}, expected more than 0 m")


@dataclass(frozen=True)
class GroundView:
    """Hold where each tensor pixel meets the ground, and where the grid takes it to lie.

    `range_m` (h, w) is the distance from the camera, NaN where there is no ground; `reason` is
    (h, w) uint8 of `Reason`. `x_m`, `y_m` and `z_m` (h, w) are in the grid's frame.

    `local_x_m` and `local_y_m` are for the grid: x and y less the anchor, a point near the vehicle,
    because float32 resolves but 6 cm a million metres from the origin. A pixel that covers more
    than a cell lies there in the first of its parts, and fill points (N,) in the others, so that
    far cells have no holes; `fill_pixel` is the flat index of the pixel whose content each shows.
    `ground_sample_m` (h, w) is how far neighbouring pixels lie apart on the ground, NaN where there
    is none. `local_z_m` (h, w) is z less the anchor's where the ground was measured, NaN where it
    was not; None where a plane serves.
    """

    range_m: F32
    reason: U8
    plane_x_m: F32
    plane_y_m: F32
    grid_R_plane: F64  # noqa: N815
    anchor_m: F64
    local_x_m: F32
    local_y_m: F32
    fill_pixel: NDArray[np.intp]
    fill_x_m: F32
    fill_y_m: F32
    ground_sample_m: F32
    local_z_m: F32 | None = None

    @property
    def x_m(self) -> F32:
        """Return x (h, w), NaN where there is no ground."""
        return self._axis(0)

    @property
    def y_m(self) -> F32:
        """Return y (h, w), NaN where there is no ground."""
        return self._axis(1)

    @property
    def z_m(self) -> F32:
        """Return z (h, w), NaN where there is no ground."""
        return self._axis(2)

    def _axis(self, row: int) -> F32:
        values = _rotated(self.grid_R_plane, row, self.plane_x_m, self.plane_y_m)
        values += np.float32(self.anchor_m[row])
        return values


@dataclass(frozen=True)
class _Key:
    """Name a set of pixels and how far they are trusted."""

    camera: CameraModel
    geometry: TensorGeometry
    reach: Reach


class GroundProjector:
    """Project pixels onto the ground; keeps what depends on camera and mounting alone."""

    def __init__(self, settings: GroundSettings, *, cell_m: float) -> None:
        """Start with nothing kept; the views will be filled for cells of this size."""
        self._settings = settings
        self._cell_m = cell_m
        self._rays: OrderedDict[_Key, PixelRays] = OrderedDict()
        self._views: OrderedDict[_Key, PlaneView] = OrderedDict()
        self._points: OrderedDict[_Key, tuple[PlaneView, F32]] = OrderedDict()

    def apply_settings(self, settings: GroundSettings, *, cell_m: float) -> None:
        """Use other settings from now on; rays are kept."""
        if (settings, cell_m) != (self._settings, self._cell_m):
            self._settings, self._cell_m = settings, cell_m
            self._views.clear()
            self._points.clear()

    def project(
        self,
        camera: CameraModel,
        geometry: TensorGeometry,
        *,
        grid_T_camera: Transform,
        grid_T_base: Transform,
    ) -> GroundView:
        """Return where each tensor pixel meets the ground, in the grid's frame.

        Pixels too far keep their position, with the reason TOO_FAR; those above the horizon or
        outside the image have NaN and OUTSIDE_VIEW.

        Args:
            camera: its intrinsics.
            geometry: where the tensor's pixels lie in the image.
            grid_T_camera: of the optical frame, at the image's stamp.
            grid_T_base: at the image's stamp.

        Raises:
            GeometryError: the camera is below the plane, or the image is not the camera's.
        """
        camera.check_image(geometry.image_width_px, geometry.image_height_px)
        rotation, anchor_m = self._plane(grid_T_base)
        mounting = _relative(rotation, anchor_m, grid_T_camera)
        view = self._view(_Key(camera, geometry, self._reach(1.0, self._cell_m)), mounting)
        return GroundView(
            range_m=view.range_m,
            reason=view.reason,
            plane_x_m=view.x_m,
            plane_y_m=view.y_m,
            grid_R_plane=rotation,
            anchor_m=anchor_m,
            local_x_m=_rotated(rotation, 0, view.cell_x_m, view.cell_y_m),
            local_y_m=_rotated(rotation, 1, view.cell_x_m, view.cell_y_m),
            fill_pixel=view.fill.pixel,
            fill_x_m=_rotated(rotation, 0, view.fill.x_m, view.fill.y_m),
            fill_y_m=_rotated(rotation, 1, view.fill.x_m, view.fill.y_m),
            ground_sample_m=view.spacing_m,
        )

    def points_optical(
        self,
        camera: CameraModel,
        geometry: TensorGeometry,
        *,
        height_px: int,
        width_px: int,
        grid_T_camera: Transform,
        grid_T_base: Transform,
    ) -> F32:
        """Return one ground point per pixel (height, width, 3), optical frame, read-only.

        The pixels cover the whole image, so a smaller height and width decimate it. NaN where
        there is no ground or it is too far: trust ends where it does for the network's pixels,
        whose geometry is given.

        Raises:
            GeometryError: the size is empty, or the camera is below the plane.
        """
        if height_px < 1 or width_px < 1:
            raise GeometryError(
                f"points are wanted at {width_px} x {height_px} px, expected at least 1 x 1; "
                "check points_decimation"
            )
        whole = _whole_image(camera, height_px, width_px)
        finer = max(geometry.scale_x / whole.scale_x, geometry.scale_y / whole.scale_y)
        rotation, anchor_m = self._plane(grid_T_base)
        key = _Key(camera, whole, self._reach(finer, math.inf))
        view = self._view(key, _relative(rotation, anchor_m, grid_T_camera))
        kept = self._points.get(key)
        if kept is not None and kept[0] is view:
            return kept[1]
        rays = self._rays_of(key)
        depth_m = np.where(view.reason == Reason.OBSERVED, view.depth_m, np.float32(np.nan))
        points: F32 = np.stack([rays.x * depth_m, rays.y * depth_m, depth_m], axis=-1)
        points.setflags(write=False)
        _keep(self._points, key, (view, points))
        return points

    def residual(
        self,
        camera: CameraModel,
        geometry: TensorGeometry,
        measured: GroundMeasurement,
        *,
        grid_T_camera: Transform,
        grid_T_base: Transform,
    ) -> GroundResidual | None:
        """Return how high measured ground lies above the plane; None where they do not meet.

        Raises:
            GeometryError: the camera is below the plane, or a depth image not of its size.
        """
        rotation, anchor_m = self._plane(grid_T_base)
        if isinstance(measured, GroundPoint):
            return GroundResidual(float(rotation[:, 2] @ (measured.point_m - anchor_m)), 1)
        mounting = _relative(rotation, anchor_m, grid_T_camera)
        view = self._view(_Key(camera, geometry, self._reach(1.0, self._cell_m)), mounting)
        depth_m = np.where(view.reason == Reason.OBSERVED, view.depth_m, np.float32(np.nan))
        height_m = float(mounting[1][2])
        return depth_residual(measured, geometry, depth_m, camera_height_m=height_m)

    def _plane(self, grid_T_base: Transform) -> tuple[F64, F64]:
        """Return the plane's axes in the grid's frame (z its normal) and its origin."""
        rotation = grid_T_base.rotation
        if self._settings.plane == "gravity_plane":
            yaw_rad = math.atan2(rotation[1, 0], rotation[0, 0])
            cos, sin = math.cos(yaw_rad), math.sin(yaw_rad)
            rotation = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
        return rotation, grid_T_base.translation_m + rotation[:, 2] * self._settings.plane_height_m

    def _reach(self, finer: float, cell_m: float) -> Reach:
        """Return the reach of pixels that are so many times finer than the network's."""
        settings = self._settings
        return Reach(settings.max_range_m, settings.max_ground_sample_m / finer, cell_m)

    def _view(self, key: _Key, mounting: tuple[F64, F64]) -> PlaneView:
        view = self._views.get(key)
        if view is not None and view.fits(*mounting):
            self._views.move_to_end(key)
            return view
        view = intersect_plane(self._rays_of(key), mounting, key.reach)
        _keep(self._views, key, view)
        return view

    def _rays_of(self, key: _Key) -> PixelRays:
        rays = self._rays.get(key) or trace_rays(key.camera, key.geometry)
        _keep(self._rays, key, rays)
        return rays


def _keep(store: OrderedDict[_Key, Kept], key: _Key, value: Kept) -> None:
    store[key] = value
    store.move_to_end(key)
    if len(store) > MAX_CACHED_VIEWS:
        store.popitem(last=False)


def _whole_image(camera: CameraModel, height_px: int, width_px: int) -> TensorGeometry:
    return TensorGeometry(
        scale_x=camera.width_px / width_px,
        scale_y=camera.height_px / height_px,
        offset_x_px=0.0,
        offset_y_px=0.0,
        width_px=width_px,
        height_px=height_px,
        image_width_px=camera.width_px,
        image_height_px=camera.height_px,
    )


def _rotated(rotation: F64, row: int, x_m: F32, y_m: F32) -> F32:
    """Return one axis of points of a plane after a rotation."""
    result: F32 = np.float32(rotation[row, 0]) * x_m
    result += np.float32(rotation[row, 1]) * y_m
    return result


def _relative(rotation: F64, anchor_m: F64, grid_T_camera: Transform) -> tuple[F64, F64]:
    """Return plane_T_camera; differences are taken before products, exact far from the origin."""
    return (
        rotation.T @ grid_T_camera.rotation,
        rotation.T @ (grid_T_camera.translation_m - anchor_m),
    )
