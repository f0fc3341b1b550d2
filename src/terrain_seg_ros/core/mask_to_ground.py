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
from terrain_seg_ros.core.image_to_tensor import TensorGeometry
from terrain_seg_ros.core.types import F32, F64, U8, GroundPatch, Reason, Transform

Plane = Literal["vehicle_plane", "gravity_plane"]
Kept = TypeVar("Kept")
MAX_CACHED_VIEWS = 16
MAX_FILL = 32
"""At most so many points stand for one pixel."""
MIN_SLOPE = 1e-6
"""Rays that fall less than this per metre meet no ground."""
SAME_TRANSLATION_M = 1e-6
SAME_ROTATION = 1e-7
"""A mounting that changed by less is the same: at 100 m this is a hundredth of a millimetre."""


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
class GroundView(GroundPatch):
    """Add what fusing needs: positions exact far from the origin, and fill points.

    `local_x_m` and `local_y_m` are x and y less the anchor, a point near the vehicle: float32
    resolves but 6 cm a million metres from the origin. Where neighbouring pixels lie more than a
    cell apart on the ground, fill points (N,) stand for the ground between them, so that far cells
    have no holes; `fill_pixel` is the flat index of the pixel whose content each shows.
    """

    local_x_m: F32
    local_y_m: F32
    anchor_x_m: float
    anchor_y_m: float
    fill_pixel: NDArray[np.intp]
    fill_x_m: F32
    fill_y_m: F32


@dataclass(frozen=True)
class _Key:
    """Name a set of pixels.

    `sample` is how many of them, per side, one of the network's pixels covers; `cell_m` the
    spacing to fill to, infinite for no fill points.
    """

    camera: CameraModel
    geometry: TensorGeometry
    sample: float
    cell_m: float


@dataclass(frozen=True)
class _Rays:
    """Hold the rays of every pixel of one geometry, (h, w) each, optical frame with z = 1."""

    x: F32
    y: F32
    length: F32
    spacing_rad: F32


@dataclass(frozen=True)
class _Fill:
    """Hold the fill points (N,) in the plane's frame."""

    pixel: NDArray[np.intp]
    x_m: F32
    y_m: F32


@dataclass(frozen=True)
class _PlaneView:
    """Hold where rays meet the plane, in the plane's own frame, for one mounting."""

    rotation: F64
    translation_m: F64
    x_m: F32
    y_m: F32
    depth_m: F32
    range_m: F32
    reason: U8
    fill: _Fill

    def fits(self, rotation: F64, translation_m: F64) -> bool:
        return bool(
            np.abs(rotation - self.rotation).max() < SAME_ROTATION
            and np.abs(translation_m - self.translation_m).max() < SAME_TRANSLATION_M
        )


class GroundProjector:
    """Project pixels onto the ground; keeps what depends on camera and mounting alone."""

    def __init__(self, settings: GroundSettings, *, cell_m: float) -> None:
        """Start with nothing kept; the views will be filled for cells of this size."""
        self._settings = settings
        self._cell_m = cell_m
        self._rays: OrderedDict[_Key, _Rays] = OrderedDict()
        self._views: OrderedDict[_Key, _PlaneView] = OrderedDict()
        self._points: OrderedDict[_Key, tuple[_PlaneView, F32]] = OrderedDict()

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
        view = self._view(_Key(camera, geometry, 1.0, self._cell_m), mounting)
        axes = rotation.astype(np.float32)
        local = [axes[row, 0] * view.x_m + axes[row, 1] * view.y_m for row in range(3)]
        x_m, y_m, z_m = (part + np.float32(at) for part, at in zip(local, anchor_m))
        return GroundView(
            x_m=x_m,
            y_m=y_m,
            z_m=z_m,
            range_m=view.range_m,
            reason=view.reason,
            local_x_m=local[0],
            local_y_m=local[1],
            anchor_x_m=float(anchor_m[0]),
            anchor_y_m=float(anchor_m[1]),
            fill_pixel=view.fill.pixel,
            fill_x_m=axes[0, 0] * view.fill.x_m + axes[0, 1] * view.fill.y_m,
            fill_y_m=axes[1, 0] * view.fill.x_m + axes[1, 1] * view.fill.y_m,
        )

    def points_optical(
        self,
        camera: CameraModel,
        height: int,
        width: int,
        grid_T_camera: Transform,
        grid_T_base: Transform,
        *,
        geometry: TensorGeometry | None = None,
    ) -> F32:
        """Return one ground point per pixel (height, width, 3), optical frame, read-only.

        The pixels cover the whole image, so a smaller height and width decimate it. NaN where
        there is no ground or it is too far. With the network's geometry the trusted ground
        sample distance is that of its pixels, as in the grid, else that of these pixels.

        Raises:
            GeometryError: the camera is below the plane.
        """
        whole = _whole_image(camera, height, width)
        sample = 1.0
        if geometry is not None:
            sample = max(geometry.scale_x / whole.scale_x, geometry.scale_y / whole.scale_y)
        rotation, anchor_m = self._plane(grid_T_base)
        key = _Key(camera, whole, sample, math.inf)
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

    def _plane(self, grid_T_base: Transform) -> tuple[F64, F64]:
        """Return the plane's axes in the grid's frame (z its normal) and its origin."""
        rotation = grid_T_base.rotation
        if self._settings.plane == "gravity_plane":
            yaw_rad = math.atan2(rotation[1, 0], rotation[0, 0])
            cos, sin = math.cos(yaw_rad), math.sin(yaw_rad)
            rotation = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
        return rotation, grid_T_base.translation_m + rotation[:, 2] * self._settings.plane_height_m

    def _view(self, key: _Key, mounting: tuple[F64, F64]) -> _PlaneView:
        view = self._views.get(key)
        if view is None or not view.fits(*mounting):
            view = _intersect(self._rays_of(key), mounting, self._settings, key)
        _keep(self._views, key, view)
        return view

    def _rays_of(self, key: _Key) -> _Rays:
        rays = self._rays.get(key) or _trace(key.camera, key.geometry)
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


def _trace(camera: CameraModel, geometry: TensorGeometry) -> _Rays:
    """Return the rays of the pixels; those that lie outside the image have NaN."""
    u = (np.arange(geometry.width_px) + 0.5) * geometry.scale_x + geometry.offset_x_px - 0.5
    v = (np.arange(geometry.height_px) + 0.5) * geometry.scale_y + geometry.offset_y_px - 0.5
    u = np.where((u > -0.5) & (u < geometry.image_width_px - 0.5), u, np.nan)
    v = np.where((v > -0.5) & (v < geometry.image_height_px - 0.5), v, np.nan)
    grid_u, grid_v = np.meshgrid(u, v)
    rays = camera.rays(grid_u, grid_v).reshape(*grid_u.shape, 3)
    rays[np.isnan(rays).any(axis=-1)] = np.nan
    length = np.linalg.norm(rays, axis=-1)
    unit = rays / length[..., np.newaxis]
    spacing_rad = np.fmax(_spacing(unit, 0), _spacing(unit, 1))
    x, y, length, spacing_rad = (
        part.astype(np.float32) for part in (rays[..., 0], rays[..., 1], length, spacing_rad)
    )
    return _Rays(x, y, length, spacing_rad)


def _spacing(unit: F64, axis: int) -> F64:
    """Return the angle between neighbours along an axis; 0 where there are none."""
    if unit.shape[axis] < 2:
        return np.zeros(unit.shape[:2])
    steps = np.linalg.norm(np.diff(unit, axis=axis), axis=-1)
    gap = np.full_like(steps.take([0], axis=axis), np.nan)
    sides = [np.concatenate(pair, axis=axis) for pair in ((gap, steps), (steps, gap))]
    widest: F64 = np.nan_to_num(np.fmax(*sides), nan=0.0)
    return widest


def _relative(rotation: F64, anchor_m: F64, grid_T_camera: Transform) -> tuple[F64, F64]:
    """Return plane_T_camera; differences are taken before products, exact far from the origin."""
    return (
        rotation.T @ grid_T_camera.rotation,
        rotation.T @ (grid_T_camera.translation_m - anchor_m),
    )


def _intersect(
    rays: _Rays, mounting: tuple[F64, F64], settings: GroundSettings, key: _Key
) -> _PlaneView:
    rotation, translation_m = mounting
    height_m = float(translation_m[2])
    if height_m <= 0.0:
        raise GeometryError(
            f"camera is {-height_m:.3f} m below the ground plane; check plane_height_m "
            f"({settings.plane_height_m}), the mounting and the optical frame"
        )
    axes = rotation.astype(np.float32)
    along = [axes[row, 0] * rays.x + axes[row, 1] * rays.y + axes[row, 2] for row in range(3)]
    falls = along[2] < -MIN_SLOPE * rays.length
    depth_m: F32 = np.full_like(rays.x, np.nan)
    np.divide(np.float32(-height_m), along[2], out=depth_m, where=falls)
    range_m = depth_m * rays.length
    spacing_m = range_m * range_m * rays.spacing_rad * np.float32(key.sample / height_m)
    reason: U8 = np.full(falls.shape, Reason.OUTSIDE_VIEW, dtype=np.uint8)
    near = (range_m <= settings.max_range_m) & (spacing_m <= settings.max_ground_sample_m)
    reason[falls] = Reason.TOO_FAR
    reason[near] = Reason.OBSERVED
    for shared in (range_m, reason):
        shared.setflags(write=False)
    offsets_m = (depth_m * along[0], depth_m * along[1])
    foot_m = (np.float32(translation_m[0]), np.float32(translation_m[1]))
    return _PlaneView(
        rotation=rotation,
        translation_m=translation_m,
        x_m=offsets_m[0] + foot_m[0],
        y_m=offsets_m[1] + foot_m[1],
        depth_m=depth_m,
        range_m=range_m,
        reason=reason,
        fill=_fill(offsets_m, foot_m, np.where(near, spacing_m, 0.0), cell_m=key.cell_m),
    )


def _fill(
    offsets_m: tuple[F32, F32],
    foot_m: tuple[np.float32, np.float32],
    spacing_m: F32,
    *,
    cell_m: float,
) -> _Fill:
    """Spread points evenly, along the ray, over half the spacing to either side of a pixel.

    The pixel itself is one of them; where their number is even, the farther side has one more.
    """
    pixel = np.flatnonzero(spacing_m > cell_m)
    x_m, y_m, gap_m = (part.ravel().take(pixel) for part in (*offsets_m, spacing_m))
    count = np.minimum(np.ceil(gap_m / np.float32(cell_m)), MAX_FILL)
    step = gap_m / (count * np.hypot(x_m, y_m))
    owners, scales = [], []
    for index in range(2, int(count.max(initial=1.0)) + 1):
        some = np.flatnonzero(count >= index)
        owners.append(some)
        scales.append(1.0 + (index // 2 if index % 2 == 0 else -(index // 2)) * step.take(some))
    if not owners:
        return _Fill(pixel[:0], x_m[:0], y_m[:0])
    owner, scale = np.concatenate(owners), np.concatenate(scales)
    return _Fill(
        pixel.take(owner),
        x_m.take(owner) * scale + foot_m[0],
        y_m.take(owner) * scale + foot_m[1],
    )
