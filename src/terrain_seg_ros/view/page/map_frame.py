"""The grid's frame in the scene: moved so that the vehicle stays in the middle."""

from __future__ import annotations

from typing import Any

import numpy as np

from terrain_seg_ros.core.types import F32, F64

ANCHOR_LIMIT_M = 500.0
"""Coordinates are sent relative to an anchor that is never farther than this from the vehicle."""
NAME = "/map"


class MapFrame:
    """The parent of all nodes that have a place on the ground."""

    def __init__(self, scene: Any) -> None:
        """Add the frame to a scene of viser."""
        self._frame = scene.add_frame(NAME, show_axes=False)
        self._anchor: F64 | None = None

    @property
    def offset_m(self) -> F64:
        """Return what is added to a place in the scene to get one in the grid's frame (3,)."""
        anchor = np.zeros(3) if self._anchor is None else self._anchor
        found: F64 = anchor - np.array(self._frame.position)
        return found

    def move_to(self, centre_m: F64, *, follow: bool) -> bool:
        """Put a place (3,) in the middle of the scene, if that is to follow it.

        Returns:
            Whether everything must be sent anew, relative to another anchor.
        """
        is_new = self._anchor is None or np.abs(centre_m - self._anchor).max() > ANCHOR_LIMIT_M
        if is_new:
            self._anchor = np.round(centre_m)
        if self._anchor is not None and (follow or is_new):
            self._frame.position = tuple((self._anchor - centre_m).tolist())
        return is_new

    def local(self, places_m: F64) -> F32:
        """Return places (..., 3) in the grid's frame as they are sent: relative to the anchor."""
        anchor = np.zeros(3) if self._anchor is None else self._anchor
        return (places_m - anchor).astype(np.float32)
