"""Views of a camera on a vehicle, for tests of the ground."""

from __future__ import annotations

import math

import numpy as np

from terrain_seg_ros.core.geometry.camera import CameraModel, camera_from_field_of_view
from terrain_seg_ros.core.geometry.frames import BODY_R_OPTICAL, rotation_from_rpy
from terrain_seg_ros.core.ground.mask_to_ground import GroundProjector, GroundSettings
from terrain_seg_ros.core.image.image_to_tensor import TensorGeometry
from terrain_seg_ros.core.types import Transform

CELL_M = 0.1
PINHOLE = camera_from_field_of_view(width_px=320, height_px=240, horizontal_fov_rad=1.2)
LENS = CameraModel(320, 240, 210.0, 215.0, 161.0, 118.0, "plumb_bob", (-0.2, 0.05, 1e-3, 1e-3, 0.0))
FISHEYE = CameraModel(320, 240, 150.0, 150.0, 160.0, 120.0, "equidistant", (-0.02, 0.004, 0.0, 0.0))
STRETCH = TensorGeometry(2.5, 1.875, 0.0, 0.0, 128, 128, 320, 240)


def pose(roll=0.0, pitch=0.0, yaw=0.0, x=0.0, y=0.0, z=0.0):
    return Transform(rotation_from_rpy(roll, pitch, yaw), np.array([x, y, z], dtype=float))


def mounting(pitch_down=0.35, height=1.5):
    rotation = rotation_from_rpy(0.0, pitch_down, 0.0) @ BODY_R_OPTICAL
    return Transform(rotation, np.array([0.3, 0.05, height]))


def projector(source="plane", *, heights=None, cell_m=CELL_M, **changes):
    values = {
        "source": source,
        "plane": "gravity_plane",
        "base_frame": "base_link",
        "plane_height_m": 0.0,
        "max_range_m": 15.0,
        "max_ground_sample_m": 0.6,
        "range_sigma_m": 0.0,
        "range_sigma_per_m2": 0.0,
        "max_depth_sample_m": 1000.0,
    }
    settings = GroundSettings(**{**values, **changes})
    return GroundProjector(settings, cell_m=cell_m, heights=heights)


def project(of, grid_T_base, *, camera=PINHOLE, geometry=STRETCH, measured=None, mount=None):
    return of.project(
        camera,
        geometry,
        grid_T_camera=grid_T_base @ (mount or mounting()),
        grid_T_base=grid_T_base,
        measured=measured,
    )


def level_depth(camera, grid_T_camera, *, height_m=0.0):
    """Return the depth (H, W) of a level plane at an image's pixels, by an independent solution."""
    v, u = np.indices((camera.height_px, camera.width_px))
    rays = camera.rays(u, v)
    falls = rays @ grid_T_camera.rotation[2]
    depth = (height_m - grid_T_camera.translation_m[2]) / np.where(falls < 0.0, falls, np.nan)
    return depth.reshape(u.shape).astype(np.float32)


def cells(view, *, where=None, cell_m=CELL_M):
    """Return the grid's cells (column, row) of pixels, by default the observed ones, and fill."""
    chosen = (view.reason == 0 if where is None else where).ravel()
    fill = chosen[view.fill_pixel] & np.isfinite(view.fill_x_m)
    x = np.concatenate([view.local_x_m.ravel()[chosen], view.fill_x_m[fill]]).astype(float)
    y = np.concatenate([view.local_y_m.ravel()[chosen], view.fill_y_m[fill]]).astype(float)
    cols = np.floor((x + view.anchor_m[0]) / cell_m).astype(int)
    rows = np.floor((y + view.anchor_m[1]) / cell_m).astype(int)
    return set(zip(cols.tolist(), rows.tolist()))


def slope_pose(slope_rad, towards_rad, yaw_rad):
    """Return the pose of a vehicle on a slope that climbs towards a direction, and its gradient."""
    gradient = math.tan(slope_rad) * np.array([math.cos(towards_rad), math.sin(towards_rad)])
    up = np.array([-gradient[0], -gradient[1], 1.0])
    up /= np.linalg.norm(up)
    ahead = np.array([math.cos(yaw_rad), math.sin(yaw_rad), 0.0])
    ahead -= up * (ahead @ up)
    ahead /= np.linalg.norm(ahead)
    rotation = np.stack([ahead, np.cross(up, ahead), up], axis=1)
    return Transform(rotation, np.zeros(3)), gradient
