"""The coloured ground: meshes that take turns, so that it does not blink in slow browsers."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from terrain_seg_ros.core.types import F32, U8
from terrain_seg_ros.view.ground import Ground
from terrain_seg_ros.view.ground_mesh import ground_mesh
from terrain_seg_ros.view.page.changes import is_same
from terrain_seg_ros.view.page.map_frame import NAME, MapFrame

PERIOD_S = 0.6
MESHES = 4
"""One is sent while the others are shown: browsers drop a mesh before they unpack its next form."""
SWAP_S = 0.3
"""A new mesh is sent hidden and shown this much later; the oldest is hidden then."""
SETTLED_S = 2.5
"""So long after the newest was sent only it is left."""
BELOW_M = 0.02
"""How much lower each older mesh is drawn: it is seen only until the newer one is unpacked."""


class GroundSurface:
    """The ground of a moment, on top of those shortly before."""

    def __init__(self, scene: Any, frame: MapFrame) -> None:
        """Begin with nothing drawn."""
        self._scene, self._frame = scene, frame
        self._meshes: list[Any] = []
        self._corners_m: list[F32] = []
        self._valid = 0
        self._sent_s = -math.inf
        self._swap_at_s: float | None = None
        self._drawn: tuple[Any, ...] = ()

    def wants(self, key: tuple[Any, ...]) -> bool:
        """Return whether to draw: the key has changed, and the last drawing is not too recent."""
        now_s = time.monotonic()
        if self._swap_at_s is not None and now_s >= self._swap_at_s:
            self._swap_at_s = None
            self._show(MESHES - 1)
        if now_s - self._sent_s >= SETTLED_S:
            self._show(1)
        is_due = self._swap_at_s is None and now_s - self._sent_s >= PERIOD_S
        return is_due and not is_same(self._drawn, key)

    def draw(self, ground: Ground, rgb: U8, key: tuple[Any, ...]) -> None:
        """Send the ground.

        Args:
            ground: the heights.
            rgb: colours (rows, cols, 3) of the cells.
            key: what `wants` compares.
        """
        self._valid += 1
        self._drawn, self._sent_s = key, time.monotonic()
        self._swap_at_s = self._sent_s + SWAP_S
        mesh = ground_mesh(ground, rgb)
        corner_m = np.array([ground.grid.origin_x_m, ground.grid.origin_y_m, 0.0])
        self._corners_m = [*self._corners_m, self._frame.local(corner_m)][-MESHES:]
        if len(self._meshes) < MESHES:
            name = f"{NAME}/ground_{len(self._meshes)}"
            self._meshes.append(
                self._scene.add_glb(
                    name, mesh, visible=False, cast_shadow=False, receive_shadow=False
                )
            )
        else:
            self._meshes = [*self._meshes[1:], self._meshes[0]]
            self._meshes[-1].glb_data = mesh
        self._meshes[-1].position = tuple(self._corners_m[-1].tolist())

    def forget(self) -> None:
        """Hide what was drawn, and draw again at the next chance, whatever the key."""
        self._drawn, self._valid, self._sent_s = (), 0, -math.inf
        self._show(0)

    def _show(self, count: int) -> None:
        """Show the newest meshes, older ones a little lower, and hide the others."""
        count = min(count, self._valid)
        for age, (mesh, corner_m) in enumerate(zip(self._meshes[::-1], self._corners_m[::-1])):
            x, y, z = corner_m.tolist()
            mesh.position = (x, y, z - age * BELOW_M)
            mesh.visible = age < count
