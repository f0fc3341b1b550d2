"""What lies on the ground: border, path, distance rings, hazard points, landing sites, a cell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from terrain_seg_ros.core.types import F32, F64, Transform
from terrain_seg_ros.messages.grid_message import GridValues
from terrain_seg_ros.messages.landing_message import SeenSite
from terrain_seg_ros.report.map_pictures import PATH_RGB, SITE_RGB
from terrain_seg_ros.view.ground import Ground
from terrain_seg_ros.view.moment import Moment
from terrain_seg_ros.view.page.map_frame import NAME, MapFrame

SITES_SHOWN = 10
SITES_IN_WORDS = 3
LIFT_M = 0.04
"""What lies on the ground is drawn this far above it."""
LONGEST_STEP_M = 20.0
"""Of a path: a longer one is a jump to another place."""
FLIGHT_M = 1.5
"""Height above the ground from which a vehicle flies."""
RINGS = 3
MOST_RINGS_A_SIDE = 8.0
RING_STEPS_M = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
POINT_RGB = (255, 170, 60)
OTHER_SITE_RGB = (230, 205, 80)
RING_RGB = (150, 155, 165)
PICKED_RGB = (255, 255, 255)
_LINES = {
    "border": (RING_RGB, 1.0),
    "rings": (RING_RGB, 1.0),
    "path": (PATH_RGB, 3.0),
    "plumb": (RING_RGB, 1.0),
    "picked": (PICKED_RGB, 3.0),
    "best_site": (SITE_RGB, 4.0),
    "other_sites": (OTHER_SITE_RGB, 2.0),
}
"""Colour, and width in pixels."""
_NOWHERE_M = -10_000.0
_NO_LINES = np.full((1, 2, 3), _NOWHERE_M, dtype=np.float32)
_NO_POINTS = np.full((1, 3), _NOWHERE_M, dtype=np.float32)
"""Browsers want at least one of each: it lies where nobody looks."""


class Marks:
    """Lines, points and labels; each keeps its name, so that browsers get changes only."""

    def __init__(self, scene: Any, frame: MapFrame) -> None:
        """Add everything, empty, to a scene of viser."""
        self._frame = frame
        self._lines = {
            name: scene.add_line_segments(
                f"{NAME}/{name}", _NO_LINES, rgb, thickness=width, thickness_units="screen"
            )
            for name, (rgb, width) in _LINES.items()
        }
        self._points = scene.add_point_cloud(
            f"{NAME}/hazard_points",
            _NO_POINTS,
            POINT_RGB,
            point_size=0.05,
            point_shape="circle",
            precision="float32",
            point_shading="flat",
        )
        self._site_labels = _labels(scene, "site", SITES_SHOWN)
        self._ring_labels = _labels(scene, "ring", RINGS)

    def draw(self, moment: Moment, ground: Ground) -> None:
        """Draw everything but the cell that was clicked."""
        self._set_lines("border", _border(ground))
        self._set_lines("path", _path(moment.path_xyz_m, ground))
        self._set_lines("plumb", _plumb_line(moment.vehicle_pose, ground))
        self._draw_rings(moment.vehicle_pose, ground)
        self._draw_points(moment.hazard_points_m, ground)
        self._draw_sites(moment.sites[:SITES_SHOWN], ground)

    def pick(self, place_m: F64 | None, ground: Ground | None) -> None:
        """Mark the cell at a place (3,) in the grid's frame; None marks none."""
        if place_m is None or ground is None:
            self._set_lines("picked", None)
        else:
            self._set_lines("picked", _cell_outline(ground.grid, place_m))

    def set_visible(self, what: str, visible: bool) -> None:
        """Show or hide "points", "sites", "path" or "rings"."""
        if what == "points":
            self._points.visible = visible
            return
        names = {"sites": ("best_site", "other_sites"), "path": ("path",), "rings": ("rings",)}
        for name in names[what]:
            self._lines[name].visible = visible
        labels = {"sites": self._site_labels, "rings": self._ring_labels}.get(what, [])
        for label in labels:
            label.visible = visible and bool(label.text)

    def _set_lines(self, name: str, segments_m: F64 | None) -> None:
        """Draw segments (N, 2, 3), or nothing."""
        if segments_m is None or not len(segments_m):
            self._lines[name].points = _NO_LINES
        else:
            self._lines[name].points = self._frame.local(segments_m)

    def _draw_rings(self, pose: Transform | None, ground: Ground) -> None:
        if pose is None:
            self._set_lines("rings", None)
            return
        side_m = ground.grid.values.shape[1] * ground.grid.resolution_m
        steps_m = (step_m for step_m in RING_STEPS_M if side_m / step_m <= MOST_RINGS_A_SIDE)
        step_m = next(steps_m, RING_STEPS_M[-1])
        x_m, y_m = pose.translation_m[:2].tolist()
        radii_m = [step_m * number for number in range(1, RINGS + 1)]
        rings = [_ring(x_m, y_m, radius_m, ground) for radius_m in radii_m]
        self._set_lines("rings", np.concatenate(rings))
        ahead = pose.rotation[:2, 0] / max(1e-6, float(np.linalg.norm(pose.rotation[:2, 0])))
        for label, radius_m in zip(self._ring_labels, radii_m):
            x, y = (np.array([x_m, y_m]) + ahead * radius_m).tolist()
            self._set_label(label, f"{radius_m:g} m", (x, y), ground, shown_with="rings")

    def _draw_points(self, points_m: F32 | None, ground: Ground) -> None:
        if points_m is None or not len(points_m):
            self._points.points = _NO_POINTS
            return
        lifted = points_m.astype(np.float64)
        level = ground.height_at(lifted[:, 0], lifted[:, 1]) + LIFT_M
        lifted[:, 2] = np.maximum(lifted[:, 2], level) if ground.is_measured else level
        self._points.points = self._frame.local(lifted)

    def _draw_sites(self, sites: Sequence[SeenSite], ground: Ground) -> None:
        rings = [_ring(site.x_m, site.y_m, site.clear_radius_m, ground) for site in sites]
        self._set_lines("best_site", rings[0] if rings else None)
        self._set_lines("other_sites", np.concatenate(rings[1:]) if rings[1:] else None)
        for label in self._site_labels[len(sites) :]:
            label.text, label.visible = "", False
        for number, (label, site) in enumerate(zip(self._site_labels, sites), start=1):
            words = f": P(safe) {site.p_safe:.2f}, {site.clear_radius_m:.1f} m"
            text = f"{number}{words if number <= SITES_IN_WORDS else ''}"
            self._set_label(label, text, (site.x_m, site.y_m), ground, shown_with="best_site")

    def _set_label(
        self,
        label: Any,
        text: str,
        place_m: tuple[float, float],
        ground: Ground,
        *,
        shown_with: str,
    ) -> None:
        x, y = place_m
        spot = np.array([x, y, ground.height_at(np.array([x]), np.array([y]))[0] + LIFT_M])
        label.position = tuple(self._frame.local(spot).tolist())
        label.text = text
        label.visible = bool(self._lines[shown_with].visible)


def _labels(scene: Any, name: str, count: int) -> list[Any]:
    """Return labels above their places: hanging below, the ground would hide them."""
    return [
        scene.add_label(
            f"{NAME}/{name}_{index}",
            "",
            visible=False,
            font_screen_scale=0.8,
            anchor="bottom-center",
        )
        for index in range(count)
    ]


def _path(places_m: F64 | None, ground: Ground) -> F64 | None:
    """Return the path as segments (N, 2, 3), open where the vehicle was set elsewhere."""
    if places_m is None:
        return None
    places_m = places_m.copy()
    level_m = ground.height_at(places_m[:, 0], places_m[:, 1]) + LIFT_M
    places_m[:, 2] = np.maximum(places_m[:, 2], level_m)
    steps = np.stack([places_m[:-1], places_m[1:]], axis=1)
    length_m = np.linalg.norm(steps[:, 1] - steps[:, 0], axis=-1)
    found: F64 = steps[length_m <= LONGEST_STEP_M]
    return found


def _plumb_line(pose: Transform | None, ground: Ground) -> F64 | None:
    """Return the line from a vehicle that flies to the ground below it (1, 2, 3)."""
    height_m = 0.0 if pose is None else ground.height_below(pose.translation_m)
    if pose is None or height_m < FLIGHT_M:
        return None
    place = pose.translation_m.astype(np.float64)
    return np.array([[place, place - [0.0, 0.0, height_m]]])


def _ring(x_m: float, y_m: float, radius_m: float, ground: Ground) -> F64:
    """Return a circle on the ground as segments (N, 2, 3)."""
    angle = np.linspace(0.0, 2.0 * math.pi, 65)
    x, y = x_m + radius_m * np.cos(angle), y_m + radius_m * np.sin(angle)
    points = np.stack([x, y, ground.height_at(x, y) + LIFT_M], axis=-1)
    return np.stack([points[:-1], points[1:]], axis=1)


def _border(ground: Ground) -> F64:
    grid = ground.grid
    rows, cols = grid.values.shape
    x = grid.origin_x_m + np.array([0, cols, cols, 0, 0]) * grid.resolution_m
    y = grid.origin_y_m + np.array([0, 0, rows, rows, 0]) * grid.resolution_m
    points = np.stack([x, y, ground.height_at(x, y)], axis=-1)
    return np.stack([points[:-1], points[1:]], axis=1)


def _cell_outline(grid: GridValues, place_m: F64) -> F64:
    """Return the outline of the cell at a place, and a line above it that is seen from afar."""
    side_m = grid.resolution_m
    x, y = (
        math.floor((value - origin) / side_m) * side_m + origin
        for value, origin in zip(place_m[:2].tolist(), (grid.origin_x_m, grid.origin_y_m))
    )
    z = float(place_m[2]) + LIFT_M
    corners = np.array(
        [[x, y, z], [x + side_m, y, z], [x + side_m, y + side_m, z], [x, y + side_m, z]]
    )
    middle = corners.mean(axis=0)
    post = np.array([[middle, middle + [0.0, 0.0, 0.6]]])
    return np.concatenate([np.stack([corners, np.roll(corners, -1, axis=0)], axis=1), post])
