"""The coloured ground: two meshes that take turns, so that it never blinks."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np

from terrain_seg_ros.core.types import U8
from terrain_seg_ros.view.ground import Ground
from terrain_seg_ros.view.ground_mesh import ground_mesh
from terrain_seg_ros.view.page.changes import is_same
from terrain_seg_ros.view.page.map_frame import NAME, MapFrame

PERIOD_S = 0.5
SWAP_S = 0.25
"""A new mesh is sent hidden and shown this much later, when browsers have unpacked it."""


class GroundSurface:
    """The ground of a moment; a browser would drop a mesh before it has unpacked the next."""

    def __init__(self, scene: Any, frame: MapFrame) -> None:
        """Begin with nothing drawn."""
        self._scene, self._frame = scene, frame
        self._meshes: list[Any] = [None, None]
        self._front = 0
        self._sent_s = -math.inf
        self._swap_at_s: float | None = None
        self._drawn: tuple[Any, ...] = ()

    def wants(self, key: tuple[Any, ...]) -> bool:
        """Return whether to draw: the key has changed, and the last drawing is not too recent."""
        now_s = time.monotonic()
        if self._swap_at_s is not None and now_s >= self._swap_at_s:
            self._swap()
        is_due = self._swap_at_s is None and now_s - self._sent_s >= PERIOD_S
        return is_due and not is_same(self._drawn, key)

    def draw(self, ground: Ground, rgb: U8, key: tuple[Any, ...]) -> None:
        """Send the ground.

        Args:
            ground: the heights.
            rgb: colours (rows, cols, 3) of the cells.
            key: what `wants` compares.
        """
        self._drawn, self._sent_s = key, time.monotonic()
        self._swap_at_s = self._sent_s + SWAP_S
        mesh, back = ground_mesh(ground, rgb), 1 - self._front
        if self._meshes[back] is None:
            self._meshes[back] = self._scene.add_glb(
                f"{NAME}/ground_{back}",
                mesh,
                visible=False,
                cast_shadow=False,
                receive_shadow=False,
            )
        else:
            self._meshes[back].glb_data = mesh
        corner_m = np.array([ground.grid.origin_x_m, ground.grid.origin_y_m, 0.0])
        self._meshes[back].position = tuple(self._frame.local(corner_m).tolist())

    def forget(self) -> None:
        """Draw again at the next chance, whatever the key."""
        self._drawn = ()

    def _swap(self) -> None:
        front, self._front = self._meshes[self._front], 1 - self._front
        self._meshes[self._front].visible = True
        if front is not None:
            front.visible = False
        self._swap_at_s = None
