"""The moment in three dimensions: ground and marks on it, vehicle and camera."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.types import F64, U8, Transform
from terrain_seg_ros.messages.transform_message import quaternion_from_rotation
from terrain_seg_ros.report.map_pictures import SITE_RGB
from terrain_seg_ros.view.ground import Ground
from terrain_seg_ros.view.moment import Moment
from terrain_seg_ros.view.page.ground_surface import GroundSurface
from terrain_seg_ros.view.page.map_frame import NAME, MapFrame
from terrain_seg_ros.view.page.marks import Marks

VEHICLE_RGB = (225, 228, 235)
VEHICLE_SIZE_M = (0.9, 0.6, 0.25)
AXES_M = 0.9
FRUSTUM_M = 0.9
FLIGHT_SCALE_M = 8.0
"""Vehicle and frustum are drawn larger from this height above the ground on, to be seen."""

Place = tuple[float, float, float]


class Scene:
    """Everything between the panels; `surface` and `marks` are drawn by their own rules."""

    def __init__(self, server: Any) -> None:
        """Add everything, hidden until there is something to show."""
        scene = server.scene
        scene.set_up_direction("+z")
        scene.configure_default_lights(enabled=True, cast_shadow=False)
        self._frame = MapFrame(scene)
        self.surface = GroundSurface(scene, self._frame)
        self.marks = Marks(scene, self._frame)
        self._vehicle = scene.add_frame(
            f"{NAME}/vehicle", axes_length=AXES_M, axes_radius=0.025, visible=False
        )
        self._body = scene.add_box(
            f"{NAME}/vehicle/body", VEHICLE_RGB, VEHICLE_SIZE_M, position=(0.0, 0.0, 0.3)
        )
        self._camera = scene.add_camera_frustum(
            f"{NAME}/camera",
            1.0,
            1.0,
            scale=FRUSTUM_M,
            thickness=2.0,
            thickness_units="screen",
            color=SITE_RGB,
            visible=False,
        )

    @property
    def offset_m(self) -> F64:
        """Return what is added to a place in the scene to get one in the grid's frame (3,)."""
        return self._frame.offset_m

    def draw(self, moment: Moment, ground: Ground | None, *, follow: bool) -> None:
        """Draw vehicle, camera and marks, around the vehicle if it is to be followed."""
        centre_m = _centre(moment, ground)
        if centre_m is not None and self._frame.move_to(centre_m, follow=follow):
            self.surface.forget()
        self._draw_vehicle(moment.vehicle_pose)
        self._draw_camera(moment.camera_pose, moment.camera)
        if ground is not None:
            self._set_scale(max(1.0, _height_m(moment, ground) / FLIGHT_SCALE_M))
            self.marks.draw(moment, ground)

    def show_picture(self, picture: U8) -> None:
        """Put a picture (H, W, 3) RGB into the camera's frustum."""
        self._camera.image = picture

    def _set_scale(self, scale: float) -> None:
        self._vehicle.axes_length = AXES_M * scale
        self._body.dimensions = tuple(side_m * scale for side_m in VEHICLE_SIZE_M)
        self._camera.scale = FRUSTUM_M * scale

    def _draw_vehicle(self, pose: Transform | None) -> None:
        self._vehicle.visible = pose is not None
        if pose is not None:
            self._vehicle.wxyz = _wxyz(pose)
            self._vehicle.position = tuple(self._frame.local(pose.translation_m).tolist())

    def _draw_camera(self, pose: Transform | None, camera: CameraModel | None) -> None:
        self._camera.visible = pose is not None and camera is not None
        if pose is None or camera is None:
            return
        self._camera.fov = 2.0 * math.atan(camera.height_px / 2.0 / camera.fy_px)
        self._camera.aspect = (camera.width_px / camera.fx_px) / (camera.height_px / camera.fy_px)
        self._camera.wxyz = _wxyz(pose)
        self._camera.position = tuple(self._frame.local(pose.translation_m).tolist())


def viewpoint(moment: Moment, ground: Ground, *, from_above: bool) -> tuple[Place, Place]:
    """Return where to look from, and at what, behind or above the vehicle, in the scene."""
    reach_m = 0.42 * max(ground.grid.values.shape) * ground.grid.resolution_m
    height_m = _height_m(moment, ground)
    ahead = _ahead(moment)
    if from_above:
        back_m, up_m, aim_m, aim_up_m = 0.1, 2.2 * reach_m + height_m, 0.0, 0.0
    else:
        back_m, up_m = 0.6 * reach_m + 1.3 * height_m, 0.5 * reach_m + 0.7 * height_m
        aim_m, aim_up_m = 0.3 * reach_m, 0.5 * height_m
    eye = (-back_m * ahead[0], -back_m * ahead[1], up_m)
    return _place(eye), _place((aim_m * ahead[0], aim_m * ahead[1], aim_up_m))


def _height_m(moment: Moment, ground: Ground) -> float:
    """Return how high the vehicle is above the ground, 0 where it is not known."""
    pose = moment.vehicle_pose
    return 0.0 if pose is None else max(0.0, ground.height_below(pose.translation_m))


def _ahead(moment: Moment) -> F64:
    """Return the level direction (2,) of the vehicle, else of the camera, else of x."""
    ahead = np.array([1.0, 0.0])
    if moment.vehicle_pose is not None:
        ahead = moment.vehicle_pose.rotation[:2, 0]
    elif moment.camera_pose is not None:
        ahead = moment.camera_pose.rotation[:2, 2]
    found: F64 = ahead / max(1e-6, float(np.linalg.norm(ahead)))
    return found


def _centre(moment: Moment, ground: Ground | None) -> F64 | None:
    """Return the place on the ground (3,) under the vehicle, else the grid's middle."""
    pose = moment.vehicle_pose or moment.camera_pose
    if pose is not None:
        centre: F64 = pose.translation_m.astype(np.float64)
    elif ground is not None:
        grid = ground.grid
        half_m = np.array(grid.values.shape[::-1]) * grid.resolution_m / 2.0
        centre = np.array([grid.origin_x_m + half_m[0], grid.origin_y_m + half_m[1], 0.0])
    else:
        return None
    level = centre[2] if ground is None else ground.height_at(centre[:1], centre[1:2])[0]
    return np.array([centre[0], centre[1], level])


def _wxyz(pose: Transform) -> tuple[float, float, float, float]:
    x, y, z, w = quaternion_from_rotation(pose.rotation)
    return w, x, y, z


def _place(values: tuple[float, float, float]) -> Place:
    x, y, z = (float(value) for value in values)
    return x, y, z
