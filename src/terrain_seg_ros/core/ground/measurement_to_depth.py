"""One depth per tensor pixel from a measurement of the ground."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import GeometryError
from terrain_seg_ros.core.geometry.pixel_rays import PixelRays, Pixels, RayStore
from terrain_seg_ros.core.ground.ground_view import Poses
from terrain_seg_ros.core.ground.measurement import DepthCloud, DepthImage, GroundMeasurement
from terrain_seg_ros.core.image.image_to_tensor import TensorGeometry
from terrain_seg_ros.core.types import F32, Transform

CLOSE_SCALE = 2.0
"""Scale from which the image pixels beside the centre of a tensor pixel also belong to it."""
SEEN_THROUGH = 2.0
"""A point is hidden from the camera if it is farther behind a neighbour than this multiple of the
distance on level ground."""
MIN_DEPTH_M = 1e-3


class SensedDepth(NamedTuple):
    """One depth (h, w) per tensor pixel along the optical axis, NaN where unknown.

    The rays are those of the measured points, which may be anywhere within the pixels.
    """

    depth_m: F32
    rays: PixelRays


def measurement_to_depth(
    measured: GroundMeasurement | None, pixels: Pixels, traced: RayStore, *, poses: Poses
) -> SensedDepth:
    """Return the depth of tensor pixels.

    Args:
        measured: the measurement; an altimeter's echo is a single point and gives no depth.
        pixels: the pixels of the tensor.
        traced: the cache of their rays.
        poses: the poses at the image's stamp.

    Raises:
        GeometryError: a depth image differs in size from the camera image.
    """
    if isinstance(measured, DepthImage):
        return SensedDepth(_sample(measured, pixels.geometry), traced.of(pixels, snapped=True))
    rays = traced.of(pixels)
    if isinstance(measured, DepthCloud):
        return _splat(measured, pixels, rays, poses)
    return SensedDepth(np.full(pixels.shape, np.nan, dtype=np.float32), rays)


def _sample(depth: DepthImage, geometry: TensorGeometry) -> F32:
    """Return the depth of the image pixel at the centre of each tensor pixel.

    Depths are not averaged, since at an edge the mean would be a point in the air. If the centre
    was not measured, the pixels to its left and right are used if they belong to the same tensor
    pixel; on level ground their depth is the same.
    """
    size = (geometry.image_height_px, geometry.image_width_px)
    if depth.depth_m.shape != size:
        raise GeometryError(
            f"depth image is {depth.depth_m.shape[1]} x {depth.depth_m.shape[0]} px but the camera "
            f"image is {size[1]} x {size[0]} px; register the depth to the camera"
        )
    u = np.arange(geometry.width_px) + 0.5
    v = np.arange(geometry.height_px) + 0.5
    u = np.rint(u * geometry.scale_x + geometry.offset_x_px - 0.5).astype(np.intp)
    v = np.rint(v * geometry.scale_y + geometry.offset_y_px - 0.5).astype(np.intp)
    in_u, in_v = (u >= 0) & (u < size[1]), (v >= 0) & (v < size[0])
    result = np.full((geometry.height_px, geometry.width_px), np.nan, dtype=np.float32)
    cols, rows = np.flatnonzero(in_u), np.flatnonzero(in_v)
    if not (cols.size and rows.size):
        return result
    u, v = u[cols], v[rows]
    lines = depth.depth_m.take(v, axis=0)
    found = lines.take(u, axis=1)
    if geometry.scale_x >= CLOSE_SCALE:
        for step in (-1, 1):
            beside = lines.take(np.clip(u + step, 0, size[1] - 1), axis=1)
            np.copyto(found, beside, where=np.isnan(found))
    found[~((found > 0.0) & (found < np.inf))] = np.nan
    result[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1] = found
    return result


def _placed(cloud: DepthCloud, poses: Poses) -> Transform:
    """Return the pose of the cloud's frame in the optical frame at the image's stamp."""
    camera, points = poses.grid_T_camera, cloud.grid_T_points
    return Transform(
        camera.rotation.T @ points.rotation,
        camera.rotation.T @ (points.translation_m - camera.translation_m),
    )


def _splat(cloud: DepthCloud, pixels: Pixels, rays: PixelRays, poses: Poses) -> SensedDepth:
    """Return the depth of the nearest point in each tensor pixel, along that point's own ray.

    Points visible between nearer ones, as happens if the sensor is mounted apart from the camera,
    are removed. A pixel without a point, between two pixels with points on the same surface, gets
    the depth of the plane through them.
    """
    # Largest ratio of the depths of neighbours on one surface.
    rise = rays.rise(poses.grid_T_camera.rotation[2].astype(np.float32))
    allowed = 1.0 + np.float32(SEEN_THROUGH) * rays.level_step(rise)
    points, pixel = _seen(cloud.points_m, _placed(cloud, poses), pixels)
    flat = np.full(allowed.size, np.inf, dtype=np.float32)
    np.minimum.at(flat, pixel, points[:, 2])
    own = [axis.copy() for axis in (rays.x, rays.y)]
    nearest = np.flatnonzero(points[:, 2] == flat[pixel])
    for axis, part in zip(own, (points[:, 0], points[:, 1])):
        axis.reshape(-1)[pixel[nearest]] = part[nearest] / points[nearest, 2]
    depth_m = flat.reshape(pixels.shape)
    depth_m[depth_m > _nearest_around(depth_m) * allowed] = np.inf
    depth_m[np.isinf(depth_m)] = np.nan
    lacking = np.isnan(depth_m)
    _close_gaps(depth_m, allowed)
    for axis, middle in zip(own, (rays.x, rays.y)):
        np.copyto(axis, middle, where=lacking)
    length = np.sqrt(np.square(own[0]) + np.square(own[1]) + np.float32(1.0))
    return SensedDepth(depth_m, replace(rays, x=own[0], y=own[1], length=length))


def _seen(
    points_m: F32, camera_T_points: Transform, pixels: Pixels
) -> tuple[F32, NDArray[np.intp]]:
    """Return the points inside the tensor, in the optical frame, and their flat pixel indices."""
    geometry = pixels.geometry
    points = points_m @ camera_T_points.rotation.T.astype(np.float32)
    points += camera_T_points.translation_m.astype(np.float32)
    with np.errstate(invalid="ignore"):
        points = points[(points[:, 2] > MIN_DEPTH_M) & np.isfinite(points).all(axis=1)]
    uv = pixels.camera.project(points)
    col = (uv[:, 0] + 0.5 - geometry.offset_x_px) / geometry.scale_x
    row = (uv[:, 1] + 0.5 - geometry.offset_y_px) / geometry.scale_y
    inside = (col >= 0.0) & (col < geometry.width_px) & (row >= 0.0) & (row < geometry.height_px)
    inside &= (uv[:, 0] >= -0.5) & (uv[:, 0] < geometry.image_width_px - 0.5)
    inside &= (uv[:, 1] >= -0.5) & (uv[:, 1] < geometry.image_height_px - 0.5)
    pixel = row[inside].astype(np.intp) * geometry.width_px + col[inside].astype(np.intp)
    return points[inside], pixel


def _nearest_around(depth_m: F32) -> F32:
    """Return the smallest depth of each pixel and its eight neighbours."""
    padded = np.pad(depth_m, 1, constant_values=np.inf)
    rows = np.minimum(np.minimum(padded[:-2], padded[1:-1]), padded[2:])
    nearest: F32 = np.minimum(np.minimum(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])
    return nearest


def _close_gaps(depth_m: F32, allowed: F32) -> None:
    """Fill a pixel without depth from the plane through two pixels on opposite sides of it.

    On a plane the inverse depth is linear in the image. Both pixels must lie on one surface.
    """
    for before, middle, after in (
        (np.s_[:, :-2], np.s_[:, 1:-1], np.s_[:, 2:]),
        (np.s_[:-2], np.s_[1:-1], np.s_[2:]),
    ):
        first, last = depth_m[before], depth_m[after]
        ratio = np.square(allowed[middle])
        close = np.isnan(depth_m[middle])
        close &= np.maximum(first, last) <= np.minimum(first, last) * ratio
        np.copyto(depth_m[middle], 2.0 * first * last / (first + last), where=close)
