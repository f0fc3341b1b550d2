"""The rays of the pixels of a tensor, cached per camera and tensor geometry."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.image.image_to_tensor import TensorGeometry
from terrain_seg_ros.core.types import F32, F64

MAX_KEPT = 16
"""Size of the cache: several cameras, each with the pixels of the network and of its cloud."""
MIN_GRAZING = 0.1
"""Smallest sine of the grazing angle (6 degrees) used for the spacing on level ground."""

Key = TypeVar("Key")
Kept = TypeVar("Kept")


@dataclass(frozen=True)
class PixelRays:
    """The rays of every pixel of one geometry, (h, w) each, optical frame with z = 1."""

    x: F32
    y: F32
    length: F32
    spacing_rad: F32

    def rise(self, camera_up: F32) -> F32:
        """Return the sine of each ray's elevation; `camera_up` is up in the optical frame."""
        rise: F32 = camera_up[0] * self.x + camera_up[1] * self.y + camera_up[2]
        rise /= self.length
        return rise

    def level_step(self, rise: F32) -> F32:
        """Return the distance of neighbouring pixels on level ground, as a share of their range.

        It is the angle between their rays divided by the sine of the grazing angle.
        """
        grazing: F32 = np.maximum(np.abs(rise), np.float32(MIN_GRAZING))
        return np.divide(self.spacing_rad, grazing, out=grazing)


@dataclass(frozen=True)
class Reach:
    """The range to which ground is trusted, and the spacing to which it is filled.

    Pixels farther than `max_range_m` from the camera, or `max_spacing_m` from their neighbours
    on the ground, are too far. An infinite `cell_m` means no fill points.
    """

    max_range_m: float
    max_spacing_m: float
    cell_m: float


@dataclass(frozen=True)
class Pixels:
    """A set of pixels and the range to which their ground is trusted."""

    camera: CameraModel
    geometry: TensorGeometry
    reach: Reach

    @property
    def shape(self) -> tuple[int, int]:
        """Return rows and columns."""
        return self.geometry.height_px, self.geometry.width_px


class RayStore:
    """A cache of pixel rays, computed once per camera and geometry."""

    def __init__(self) -> None:
        """Start empty."""
        self._kept: OrderedDict[tuple[CameraModel, TensorGeometry, bool], PixelRays]
        self._kept = OrderedDict()

    def __len__(self) -> int:
        """Return the number of cached entries."""
        return len(self._kept)

    def of(self, pixels: Pixels, *, snapped: bool = False) -> PixelRays:
        """Return the rays of pixels; `snapped` as for `trace_rays`."""
        key = (pixels.camera, pixels.geometry, snapped)
        rays = self._kept.get(key) or trace_rays(key[0], key[1], snapped=snapped)
        keep(self._kept, key, rays)
        return rays


def keep(store: OrderedDict[Key, Kept], key: Key, value: Kept) -> None:
    """Insert a value as the most recent one; the least recently used one is dropped."""
    store[key] = value
    store.move_to_end(key)
    if len(store) > MAX_KEPT:
        store.popitem(last=False)


def trace_rays(
    camera: CameraModel, geometry: TensorGeometry, *, snapped: bool = False
) -> PixelRays:
    """Return the rays of the pixels, NaN for those outside the image.

    Args:
        camera: the intrinsics.
        geometry: the mapping from tensor pixels to image pixels.
        snapped: use the ray of the image pixel nearest to the centre of a tensor pixel, to match
            depth that is sampled there.
    """
    u = (np.arange(geometry.width_px) + 0.5) * geometry.scale_x + geometry.offset_x_px - 0.5
    v = (np.arange(geometry.height_px) + 0.5) * geometry.scale_y + geometry.offset_y_px - 0.5
    u = np.where((u > -0.5) & (u < geometry.image_width_px - 0.5), u, np.nan)
    v = np.where((v > -0.5) & (v < geometry.image_height_px - 0.5), v, np.nan)
    grid_u, grid_v = np.meshgrid(np.rint(u), np.rint(v)) if snapped else np.meshgrid(u, v)
    rays = camera.rays(grid_u, grid_v).reshape(*grid_u.shape, 3)
    rays[np.isnan(rays).any(axis=-1)] = np.nan
    length = np.linalg.norm(rays, axis=-1)
    unit = rays / length[..., np.newaxis]
    spacing_rad = np.fmax(_spacing(unit, 0), _spacing(unit, 1))
    with np.errstate(over="ignore"):  # absurd intrinsics give infinite rays
        x, y, length, spacing_rad = (
            part.astype(np.float32) for part in (rays[..., 0], rays[..., 1], length, spacing_rad)
        )
    return PixelRays(x, y, length, spacing_rad)


def _spacing(unit: F64, axis: int) -> F64:
    """Return the angle between neighbours along an axis; 0 without neighbours."""
    if unit.shape[axis] < 2:
        return np.zeros(unit.shape[:2])
    steps = np.linalg.norm(np.diff(unit, axis=axis), axis=-1)
    gap = np.full_like(steps.take([0], axis=axis), np.nan)
    sides = [np.concatenate(pair, axis=axis) for pair in ((gap, steps), (steps, gap))]
    widest: F64 = np.nan_to_num(np.fmax(*sides), nan=0.0)
    return widest
