"""Exact ray casting of a world: class, depth and rock of every pixel, without a renderer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import GeometryError
from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.image.image_to_tensor import TensorGeometry
from terrain_seg_ros.core.types import F32, F64, U8, UNLABELLED, Transform
from terrain_seg_ros.worlds.height_pyramid import first_hits
from terrain_seg_ros.worlds.ray_rocks import camera_rock_hits, rock_shapes
from terrain_seg_ros.worlds.world import ROCK, SKY, World

I32 = NDArray[np.int32]


@dataclass(frozen=True)
class RayCast:
    """The result of casting a ray through the centre of each pixel, (H, W) each.

    `mask` is a class of `WORLD_TAXONOMY`, SKY where nothing is hit, 255 where a pixel has no ray
    (padding around the image, or beyond the invertible range of the lens model). `depth_m` is along
    the optical axis, NaN where nothing is hit. `rock` is an index into the world's rocks, or -1.
    `rays` (H, W, 3) are in the optical frame, z = 1.
    """

    mask: U8
    depth_m: F32
    rock: I32
    rays: F64
    world_T_camera: Transform  # noqa: N815

    def __post_init__(self) -> None:
        """Check that the layers agree."""
        shape = self.mask.shape
        if not shape == self.depth_m.shape == self.rock.shape == self.rays.shape[:2]:
            raise GeometryError(
                f"ray cast has mask {shape}, depth {self.depth_m.shape}, rock {self.rock.shape} "
                f"and rays {self.rays.shape}, expected one (H, W)"
            )

    def points_camera(self) -> F64:
        """Return the points hit (H, W, 3) in the optical frame, NaN where nothing is hit."""
        points: F64 = self.rays * self.depth_m.astype(np.float64)[..., np.newaxis]
        return points

    def points_world(self) -> F64:
        """Return the points hit (H, W, 3) in the world's frame, NaN where nothing is hit."""
        transform = self.world_T_camera
        points: F64 = self.points_camera() @ transform.rotation.T + transform.translation_m
        return points


def cast_rays(
    world: World,
    camera: CameraModel,
    world_T_camera: Transform,
    *,
    geometry: TensorGeometry | None = None,
) -> RayCast:
    """Cast a ray through the centre of each pixel of an image, or of a network's input.

    Intersections with the ellipsoids of rocks and with the bilinear surface of the ground are
    exact to rounding; nothing is sampled. The world is solid below its ground and ends at its
    outer posts; beyond it is sky.

    Args:
        world: the world.
        camera: the camera of the image as delivered.
        world_T_camera: the pose of the optical frame.
        geometry: the mapping from the pixels of a network's input to image pixels; None casts the
            pixels of the image.

    Raises:
        GeometryError: the camera is in a rock or under the ground.
    """
    _check_outside(world, world_T_camera.translation_m)
    rays = pixel_rays(camera, geometry)
    rock_depth, rock = camera_rock_hits(world.rocks, rays, world_T_camera)
    depth = ground_hits(
        world,
        world_T_camera.translation_m,
        rays.reshape(-1, 3) @ world_T_camera.rotation.T,
        rock_depth.ravel(),
    ).reshape(rock_depth.shape)
    index = np.where(depth < rock_depth, -1, rock).astype(np.int32)
    depth = np.minimum(depth, rock_depth)
    met = np.isfinite(depth)
    depth_m = np.where(met, depth, np.nan).astype(np.float32)
    mask = np.full(depth.shape, SKY, dtype=np.uint8)
    mask[np.isnan(rays[..., 2])] = UNLABELLED
    found = RayCast(mask, depth_m, index, rays, world_T_camera)
    points = found.points_world()[met]
    mask[met] = world.class_at(points[:, 0], points[:, 1])
    mask[index >= 0] = ROCK
    return found


def ground_hits(world: World, origins_m: F64, directions: F64, end: F64) -> F64:
    """Return the smallest t (N,) at which origin + t direction meets the ground, infinite if none.

    Args:
        world: the world, whose rocks are ignored.
        origins_m: (3,) or (N, 3) in the world's frame.
        directions: (N, 3) in metres per unit of t.
        end: (N,) largest t; may be infinite.
    """
    per_cell = np.array([1.0 / world.spacing_m, 1.0 / world.spacing_m, 1.0])
    corner = np.array([world.half_side_m, world.half_side_m, 0.0])
    return first_hits(world.pyramid, (origins_m + corner) * per_cell, directions * per_cell, end)


@lru_cache(maxsize=8)
def pixel_rays(camera: CameraModel, geometry: TensorGeometry | None) -> F64:
    """Return the rays (H, W, 3) of the pixels of an image or of a network's input; read-only.

    Rays have z = 1. Pixels outside the image, or beyond the invertible range of the lens model,
    are NaN.
    """
    if geometry is None:
        u: F64 = np.arange(camera.width_px, dtype=np.float64)
        v: F64 = np.arange(camera.height_px, dtype=np.float64)
    else:
        camera.check_image(geometry.image_width_px, geometry.image_height_px)
        u = _places(geometry.width_px, geometry.scale_x, geometry.offset_x_px, camera.width_px)
        v = _places(geometry.height_px, geometry.scale_y, geometry.offset_y_px, camera.height_px)
    grid_u, grid_v = np.meshgrid(u, v)
    rays = camera.rays(grid_u, grid_v)
    rays[np.isnan(rays).any(axis=1)] = np.nan
    rays = rays.reshape(*grid_u.shape, 3)
    rays.flags.writeable = False
    return rays


def _places(count: int, scale: float, offset_px: float, image_px: int) -> F64:
    place = (np.arange(count) + 0.5) * scale + offset_px - 0.5
    return np.where((place > -0.5) & (place < image_px - 0.5), place, np.nan)


def _check_outside(world: World, position_m: F64) -> None:
    """Check that a camera is neither under the ground nor inside a rock."""
    ground_m = float(world.ground_height_m(position_m[0], position_m[1]))
    if position_m[2] < ground_m:
        raise GeometryError(
            f"camera is {ground_m - position_m[2]:.3f} m under the ground at "
            f"({position_m[0]:.2f}, {position_m[1]:.2f}); raise it or move it"
        )
    rocks = world.rocks
    offset = position_m - np.stack([rocks.x_m, rocks.y_m, rocks.z_m], axis=1)
    inside = np.linalg.norm(np.einsum("nij,nj->ni", rock_shapes(rocks), offset), axis=1) < 1.0
    if inside.any():
        index = int(np.flatnonzero(inside)[0])
        raise GeometryError(
            f"camera at {position_m.round(2).tolist()} is inside rock {index} at "
            f"({rocks.x_m[index]:.2f}, {rocks.y_m[index]:.2f}); move it"
        )
