"""The whole page: panels left and right, the scene between them."""

from __future__ import annotations

import time
from threading import Lock
from typing import Any

import numpy as np

from terrain_seg_ros.core.types import F64
from terrain_seg_ros.view.bag_source import BagPlayer
from terrain_seg_ros.view.cell_report import cell_report
from terrain_seg_ros.view.ground import Ground, ground_of
from terrain_seg_ros.view.html_text import legend, note, table
from terrain_seg_ros.view.layer_colors import LAYERS
from terrain_seg_ros.view.moment import Moment
from terrain_seg_ros.view.page.bag_controls import BagControls
from terrain_seg_ros.view.page.camera_panel import CameraPanel
from terrain_seg_ros.view.page.scene import Scene, viewpoint
from terrain_seg_ros.view.page.series_panel import SeriesPanel
from terrain_seg_ros.view.status_text import diagnostics_html, state_html, topics_html

LEFT_PX, RIGHT_PX = 400, 350
BEHIND, ABOVE = "Behind", "Above"
TEXT_PERIOD_S = 0.5
"""Texts and charts are drawn this often; pictures and places with every moment."""
_CLICK = "click on the ground: cost, class, age and reason of the cell"


class Page:
    """Draws moments; what users choose applies to all browsers that show the page."""

    def __init__(self, server: Any, source: str, player: BagPlayer | None = None) -> None:
        """Add all panels.

        Args:
            server: of viser, empty.
            source: the bag or bus in words.
            player: moves the time of a bag; None for a bus.
        """
        self._server, self._source = server, source
        self._lock = Lock()
        self._moment = Moment()
        self._ground: Ground | None = None
        self._picked: F64 | None = None
        self._texts_s = 0.0
        self._looked_at_heights: bool | None = None
        self._scene = Scene(server)
        gui = server.gui
        self._add_left(gui)
        gui.main_panel.dock_right()
        gui.main_panel.set_width(RIGHT_PX)
        self._state = gui.add_html(note(source))
        self._bag = None if player is None else BagControls(gui, player)
        self._add_ground(gui)
        with gui.add_folder("Cell"):
            self._cell = gui.add_html(note(_CLICK))
        with gui.add_folder("Diagnostics"):
            self._diagnostics = gui.add_html(note("nothing yet"))
        with gui.add_folder("Topics", expand_by_default=False):
            self._topics = gui.add_html(note("nothing yet"))
        server.scene.on_click()(self._on_click)

    @property
    def has_viewers(self) -> bool:
        """Return whether a browser shows the page."""
        return bool(self._server.get_clients())

    def draw(self, moment: Moment, notice: str = "") -> None:
        """Draw a moment.

        Args:
            moment: what is known.
            notice: what is wrong with the source, in words; empty if all is well.
        """
        with self._lock:
            before = self._moment
            same = moment.grid is before.grid and moment.layers is before.layers
            if not (same and self._ground is not None and self._ground.is_measured):
                self._ground = ground_of(moment)
            self._moment = moment
            self._draw_scene(moment, self._ground)
            if self._bag is not None:
                self._bag.draw()
            if time.monotonic() - self._texts_s >= TEXT_PERIOD_S:
                self._texts_s = time.monotonic()
                self._draw_texts(moment, notice)

    def _add_left(self, gui: Any) -> None:
        panel = gui.add_panel()
        with panel.add_tab("Camera"):
            self._camera = CameraPanel(gui)
        panel.dock_left()
        panel.set_width(LEFT_PX)
        below = gui.add_panel()
        with below.add_tab("Latency and rates"):
            self._series = SeriesPanel(gui)
        below.dock_below(panel)

    def _add_ground(self, gui: Any) -> None:
        with gui.add_folder("Ground"):
            names = tuple(LAYERS)
            self._layer = gui.add_dropdown("Colours", names, initial_value=names[0])
            self._legend = gui.add_html(note("no grid yet"))
            self._shown = {
                "points": gui.add_checkbox("Hazard points", True),
                "sites": gui.add_checkbox("Landing sites", True),
                "path": gui.add_checkbox("Path", True),
                "rings": gui.add_checkbox("Distance rings", True),
            }
            self._follow = gui.add_checkbox("Follow vehicle", True)
            views = gui.add_button_group("View", (BEHIND, ABOVE))
        for what, box in self._shown.items():
            box.on_update(lambda _, what=what, box=box: self._show(what, bool(box.value)))
        views.on_click(self._on_view)

    def _show(self, what: str, visible: bool) -> None:
        with self._lock:
            self._scene.marks.set_visible(what, visible)

    def _draw_scene(self, moment: Moment, ground: Ground | None) -> None:
        picture = self._camera.draw(moment)
        if picture is not None:
            self._scene.show_picture(picture)
        self._scene.draw(moment, ground, follow=bool(self._follow.value))
        self._scene.marks.pick(self._picked, ground)
        if ground is None:
            return
        name = str(self._layer.value)
        palette = self._camera.palette
        key = (name, palette, moment.grid, moment.reason, moment.safe_map, moment.layers)
        if self._scene.surface.wants(key):
            colors, entries = LAYERS[name](moment, ground.grid, palette)
            self._scene.surface.draw(ground, colors, key)
            _set(self._legend, legend(entries))
        # At first the heights of ground and vehicle may not have come yet.
        has_heights = ground.is_measured or bool(moment.sites)
        if self._looked_at_heights is None or has_heights > self._looked_at_heights:
            self._looked_at_heights = has_heights
            self._look(None, BEHIND)

    def _draw_texts(self, moment: Moment, notice: str) -> None:
        self._series.draw(moment)
        _set(self._state, state_html(moment, self._source, notice))
        _set(self._diagnostics, diagnostics_html(moment))
        _set(self._topics, topics_html(moment.missing, moment.problems))
        if self._picked is not None:
            x_m, y_m = self._picked[:2].tolist()
            _set(self._cell, table(cell_report(moment, x_m, y_m)))

    def _on_click(self, event: Any) -> None:
        with self._lock:
            if self._ground is None:
                return
            origin = np.array(event.ray_origin, dtype=np.float64) + self._scene.offset_m
            place = self._ground.hit(origin, np.array(event.ray_direction, dtype=np.float64))
            self._picked, self._texts_s = place, 0.0
            self._scene.marks.pick(place, self._ground)
            if place is None:
                _set(self._cell, note(_CLICK))
            else:
                x_m, y_m = place[:2].tolist()
                _set(self._cell, table(cell_report(self._moment, x_m, y_m)))

    def _on_view(self, event: Any) -> None:
        with self._lock:
            self._look(event.client, str(event.target.value))

    def _look(self, client: Any, view: str) -> None:
        """Place the cameras of one browser, or of all and of those that come later."""
        if self._ground is None:
            return
        eye, aim = viewpoint(self._moment, self._ground, from_above=view == ABOVE)
        if client is None:
            self._server.initial_camera.position = eye
            self._server.initial_camera.look_at = aim
        for item in self._server.get_clients().values() if client is None else [client]:
            item.camera.position = eye
            item.camera.look_at = aim


def _set(handle: Any, content: str) -> None:
    if handle.content != content:
        handle.content = content
