"""The moment in three dimensions: ground, vehicle, camera, hazard points and landing sites."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.types import F32, F64, U8, Transform
from terrain_seg_ros.messages.grid_message import GridValues
from terrain_seg_ros.messages.landing_message import SeenSite
from terrain_seg_ros.messages.transform_message import quaternion_from_rotation
from terrain_seg_ros.report.map_pictures import PATH_RGB, SITE_RGB
from terrain_seg_ros.view.ground import Ground
from terrain_seg_ros.view.ground_mesh import ground_mesh
from terrain_seg_ros.view.moment import Moment

GROUND_PERIOD_S = 0.5
SWAP_S = 0.25
"""A new ground is sent hidden and shown this much later, when browsers have unpacked it."""
ANCHOR_LIMIT_M = 500.0
"""Coordinates are sent relative to an anchor that is never farther than this from the vehicle."""
SITES_SHOWN = 10
LIFT_M = 0.04
"""What lies on the ground is drawn this far above it."""
POINT_RGB = (255, 170, 60)
OTHER_SITE_RGB = (230, 205, 80)
VEHICLE_RGB = (225, 228, 235)
RING_RGB = (150, 155, 165)
PICKED_RGB = (255, 255, 255)
_NOWHERE_M = -10_000.0
_NO_LINES = np.full((1, 2, 3), _NOWHERE_M, dtype=np.float32)
_NO_POINTS = np.full((1, 3), _NOWHERE_M, dtype=np.float32)
"""Browsers want at least one of each: it lies where nobody looks."""

Place = tuple[float, float, float]


class Scene:
    """The nodes of the scene; each keeps its name, so that browsers get changes only."""

    def __init__(self, server: Any) -> None:
        """Add everything, hidden until there is something to show."""
        scene = server.scene
        scene.set_up_direction("+z")
        scene.configure_default_lights(enabled=True, cast_shadow=False)
        self._map = scene.add_frame("/map", show_axes=False)
        self._grounds: list[Any] = [None, None]
        self._scene = scene
        self._lines = {
            name: scene.add_line_segments(
                f"/map/{name}", _NO_LINES, rgb, thickness=width, thickness_units="screen"
            )
            for name, rgb, width in (
                ("border", RING_RGB, 1.0),
                ("rings", RING_RGB, 1.0),
                ("path", PATH_RGB, 3.0),
                ("picked", PICKED_RGB, 3.0),
                ("best_site", SITE_RGB, 4.0),
                ("other_sites", OTHER_SITE_RGB, 2.0),
            )
        }
        self._points = scene.add_point_cloud(
            "/map/hazard_points",
            _NO_POINTS,
            POINT_RGB,
            point_size=0.05,
            point_shape="circle",
            precision="float32",
            point_shading="flat",
        )
        self._vehicle = scene.add_frame(
            "/map/vehicle", axes_length=0.9, axes_radius=0.025, visible=False
        )
        scene.add_box("/map/vehicle/body", VEHICLE_RGB, (0.9, 0.6, 0.25), position=(0.0, 0.0, 0.3))
        self._camera = scene.add_camera_frustum(
            "/map/camera",
            1.0,
            1.0,
            scale=0.9,
            thickness=2.0,
            thickness_units="screen",
            color=SITE_RGB,
            visible=False,
        )
        self._labels = [
            scene.add_label(
                f"/map/label_{index}", "", visible=False, font_screen_scale=0.8, depth_test=True
            )
            for index in range(SITES_SHOWN)
        ]
        self._ring_labels = [
            scene.add_label(
                f"/map/ring_{index}", "", visible=False, font_screen_scale=0.7, depth_test=True
            )
            for index in range(3)
        ]
        self._anchor: F64 | None = None
        self._front = 0
        self._sent_s = -math.inf
        self._swap_at_s: float | None = None
        self._drawn_ground: Any = None

    @property
    def offset(self) -> F64:
        """Return what is added to a place in the scene to get one in the grid's frame."""
        anchor = np.zeros(3) if self._anchor is None else self._anchor
        found: F64 = anchor - np.array(self._map.position)
        return found

    def draw(self, moment: Moment, ground: Ground | None, *, follow: bool) -> None:
        """Draw everything but the ground's colours and what was clicked."""
        self._place_map(moment, ground, follow=follow)
        self._draw_vehicle(moment.vehicle_pose)
        self._draw_camera(moment.camera_pose, moment.camera)
        if ground is None:
            return
        self._set_lines("border", _border(ground.grid, ground))
        self._draw_path(moment.path_xyz_m)
        self._draw_rings(moment.vehicle_pose, ground)
        self._draw_points(moment.hazard_points_m, ground)
        self._draw_sites(moment.sites, ground)

    def wants_ground(self, key: Any) -> bool:
        """Return whether the ground is to be drawn: its key has changed, and not too recently."""
        now_s = time.monotonic()
        if self._swap_at_s is not None and now_s >= self._swap_at_s:
            self._swap()
        is_due = self._swap_at_s is None and now_s - self._sent_s >= GROUND_PERIOD_S
        return is_due and key != self._drawn_ground

    def draw_ground(self, ground: Ground, rgb: U8, key: Any) -> None:
        """Draw the ground.

        The browser drops a mesh before it has unpacked the next: there are two, and the new one
        is shown once it is there.

        Args:
            ground: the heights.
            rgb: colours (rows, cols, 3) of the cells.
            key: what `wants_ground` compares.
        """
        self._drawn_ground, self._sent_s = key, time.monotonic()
        self._swap_at_s = self._sent_s + SWAP_S
        mesh, back = ground_mesh(ground, rgb), 1 - self._front
        if self._grounds[back] is None:
            self._grounds[back] = self._scene.add_glb(
                f"/map/ground_{back}", mesh, visible=False, cast_shadow=False, receive_shadow=False
            )
        else:
            self._grounds[back].glb_data = mesh
        place = self._at(np.array([ground.grid.origin_x_m, ground.grid.origin_y_m, 0.0]))
        self._grounds[back].position = tuple(place.tolist())

    def viewpoint(self, moment: Moment, ground: Ground, *, from_above: bool) -> tuple[Place, Place]:
        """Return where to look from, and at what, behind or above the vehicle, in the scene."""
        reach_m = 0.42 * max(ground.grid.values.shape) * ground.grid.resolution_m
        pose = moment.vehicle_pose or moment.camera_pose
        ahead = np.array([1.0, 0.0]) if pose is None else pose.rotation[:2, 0]
        if pose is not None and moment.vehicle_pose is None:
            ahead = pose.rotation[:2, 2]
        ahead = ahead / max(1e-6, float(np.linalg.norm(ahead)))
        back_m, up_m = (0.1, 2.2 * reach_m) if from_above else (0.85 * reach_m, 0.75 * reach_m)
        aim_m = 0.0 if from_above else 0.25 * reach_m
        eye = (-back_m * ahead[0], -back_m * ahead[1], up_m)
        return _place(eye), _place((aim_m * ahead[0], aim_m * ahead[1], 0.0))

    def pick(self, place_m: F64 | None, ground: Ground | None) -> None:
        """Mark the cell at a place (3,) in the grid's frame; None marks none."""
        if place_m is None or ground is None:
            self._set_lines("picked", _NO_LINES)
            return
        grid = ground.grid
        low = [
            math.floor((value - origin) / grid.resolution_m) * grid.resolution_m + origin
            for value, origin in zip(place_m[:2], (grid.origin_x_m, grid.origin_y_m))
        ]
        self._set_lines("picked", _cell_outline(low, grid.resolution_m, float(place_m[2])))

    def show_picture(self, picture: U8) -> None:
        """Put a picture (H, W, 3) RGB into the camera's frustum."""
        self._camera.image = picture

    def set_visible(self, what: str, visible: bool) -> None:
        """Show or hide "points", "sites", "path" or "rings"."""
        if what == "points":
            self._points.visible = visible
            return
        names = {"sites": ("best_site", "other_sites"), "path": ("path",), "rings": ("rings",)}
        for name in names[what]:
            self._lines[name].visible = visible
        labels = {"sites": self._labels, "rings": self._ring_labels}.get(what, [])
        for label in labels:
            label.visible = visible and bool(label.text)

    def _swap(self) -> None:
        front, self._front = self._grounds[self._front], 1 - self._front
        self._grounds[self._front].visible = True
        if front is not None:
            front.visible = False
        self._swap_at_s = None

    def _place_map(self, moment: Moment, ground: Ground | None, *, follow: bool) -> None:
        pose = moment.vehicle_pose or moment.camera_pose
        if pose is not None:
            centre = pose.translation_m
        elif ground is not None:
            grid = ground.grid
            half_m = np.array(grid.values.shape[::-1]) * grid.resolution_m / 2.0
            centre = np.array([grid.origin_x_m + half_m[0], grid.origin_y_m + half_m[1], 0.0])
        else:
            return
        level = centre[2] if ground is None else ground.height_at(centre[:1], centre[1:2])[0]
        centre = np.array([centre[0], centre[1], level])
        if self._anchor is None or np.abs(centre - self._anchor).max() > ANCHOR_LIMIT_M:
            self._anchor = np.round(centre)
            self._drawn_ground, follow = None, True
        if follow:
            self._map.position = tuple((self._anchor - centre).tolist())

    def _at(self, places_m: F64) -> F32:
        """Return places in the grid's frame relative to the anchor, as they are sent."""
        anchor = np.zeros(3) if self._anchor is None else self._anchor
        return (places_m - anchor).astype(np.float32)

    def _set_lines(self, name: str, segments_m: Any) -> None:
        drawn = segments_m is not _NO_LINES and len(segments_m)
        self._lines[name].points = self._at(segments_m) if drawn else _NO_LINES

    def _draw_vehicle(self, pose: Transform | None) -> None:
        self._vehicle.visible = pose is not None
        if pose is not None:
            self._vehicle.wxyz = _wxyz(pose)
            self._vehicle.position = tuple(self._at(pose.translation_m).tolist())

    def _draw_camera(self, pose: Transform | None, camera: CameraModel | None) -> None:
        self._camera.visible = pose is not None and camera is not None
        if pose is None or camera is None:
            return
        self._camera.fov = 2.0 * math.atan(camera.height_px / 2.0 / camera.fy_px)
        self._camera.aspect = (camera.width_px / camera.fx_px) / (camera.height_px / camera.fy_px)
        self._camera.wxyz = _wxyz(pose)
        self._camera.position = tuple(self._at(pose.translation_m).tolist())

    def _draw_path(self, path: F64 | None) -> None:
        lines = _NO_LINES if path is None else np.stack([path[:-1], path[1:]], axis=1)
        self._set_lines("path", lines)

    def _draw_rings(self, pose: Transform | None, ground: Ground) -> None:
        side_m = ground.grid.values.shape[1] * ground.grid.resolution_m
        step_m = next((s for s in (1.0, 2.0, 5.0, 10.0, 20.0, 50.0) if side_m / s <= 8.0), 100.0)
        if pose is None:
            self._set_lines("rings", _NO_LINES)
            return
        x_m, y_m = pose.translation_m[:2].tolist()
        rings = [_ring(x_m, y_m, step_m * n, ground) for n in (1, 2, 3)]
        self._set_lines("rings", np.concatenate(rings))
        for n, label in enumerate(self._ring_labels, start=1):
            spot = np.array([x_m + step_m * n, y_m, 0.0])
            spot[2] = ground.height_at(spot[:1], spot[1:2])[0] + LIFT_M
            label.position = tuple(self._at(spot).tolist())
            label.text = f"{step_m * n:g} m"
            label.visible = bool(self._lines["rings"].visible)

    def _draw_points(self, points_m: F32 | None, ground: Ground) -> None:
        if points_m is None or not len(points_m):
            self._points.points = _NO_POINTS
            return
        lifted = points_m.astype(np.float64)
        level = ground.height_at(lifted[:, 0], lifted[:, 1]) + LIFT_M
        lifted[:, 2] = np.maximum(lifted[:, 2], level) if ground.is_measured else level
        self._points.points = self._at(lifted)

    def _draw_sites(self, sites: tuple[SeenSite, ...], ground: Ground) -> None:
        shown = sites[:SITES_SHOWN]
        rings = [_ring(s.x_m, s.y_m, s.clear_radius_m, ground) for s in shown]
        self._set_lines("best_site", rings[0] if rings else _NO_LINES)
        self._set_lines("other_sites", np.concatenate(rings[1:]) if rings[1:] else _NO_LINES)
        for index, label in enumerate(self._labels):
            if index >= len(shown):
                label.text, label.visible = "", False
                continue
            site = shown[index]
            spot = np.array([site.x_m, site.y_m, 0.0])
            spot[2] = ground.height_at(spot[:1], spot[1:2])[0] + LIFT_M
            label.position = tuple(self._at(spot).tolist())
            text = f"P(safe) {site.p_safe:.2f}, {site.clear_radius_m:.1f} m"
            label.text = f"{index + 1}: {text}" if index < 3 else f"{index + 1}"
            label.visible = bool(self._lines["best_site"].visible)


def _ring(x_m: float, y_m: float, radius_m: float, ground: Ground) -> F64:
    """Return a circle on the ground as segments (N, 2, 3)."""
    angle = np.linspace(0.0, 2.0 * math.pi, 65)
    x, y = x_m + radius_m * np.cos(angle), y_m + radius_m * np.sin(angle)
    points = np.stack([x, y, ground.height_at(x, y) + LIFT_M], axis=-1)
    return np.stack([points[:-1], points[1:]], axis=1)


def _border(grid: GridValues, ground: Ground) -> F64:
    rows, cols = grid.values.shape
    x = grid.origin_x_m + np.array([0, cols, cols, 0, 0]) * grid.resolution_m
    y = grid.origin_y_m + np.array([0, 0, rows, rows, 0]) * grid.resolution_m
    points = np.stack([x, y, ground.height_at(x, y)], axis=-1)
    return np.stack([points[:-1], points[1:]], axis=1)


def _cell_outline(low: list[float], side_m: float, z_m: float) -> F64:
    """Return the outline of a cell and a line above it that is seen from afar."""
    x, y, z = low[0], low[1], z_m + LIFT_M
    corners = np.array(
        [[x, y, z], [x + side_m, y, z], [x + side_m, y + side_m, z], [x, y + side_m, z]]
    )
    middle = corners.mean(axis=0)
    post = np.array([[middle, middle + [0.0, 0.0, 0.6]]])
    return np.concatenate([np.stack([corners, np.roll(corners, -1, axis=0)], axis=1), post])


def _wxyz(pose: Transform) -> tuple[float, float, float, float]:
    x, y, z, w = quaternion_from_rotation(pose.rotation)
    return w, x, y, z


def _place(values: tuple[float, float, float]) -> Place:
    x, y, z = (float(value) for value in values)
    return x, y, z
