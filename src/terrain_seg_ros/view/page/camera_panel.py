"""The panel with the camera image, mask, confidence and classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from terrain_seg_ros.core.types import U8, UNLABELLED
from terrain_seg_ros.view.camera_picture import (
    MODES,
    SIDE_LIMIT_PX,
    camera_picture,
    class_palette,
    framed,
    shares,
)
from terrain_seg_ros.view.html_text import legend, note
from terrain_seg_ros.view.layer_colors import Palette
from terrain_seg_ros.view.moment import Moment
from terrain_seg_ros.view.page.changes import is_same

OPACITY = 0.45
_DARK = (48, 52, 60)


class CameraPanel:
    """Shows the image that belongs to the mask; `palette` has the colours of its classes."""

    def __init__(self, gui: Any) -> None:
        """Add the controls to the container that is open in viser."""
        self._mode = gui.add_dropdown("Show", MODES, initial_value=MODES[0])
        self._opacity = gui.add_slider("Opacity", 0.0, 1.0, 0.05, OPACITY)
        self._picture = gui.add_image(_blank(), label=None, format="jpeg", jpeg_quality=85)
        self._legend = gui.add_html(note("no image yet"))
        self._drawn: tuple[Any, ...] = ()
        self._names: Any = None
        self.palette: Palette = {}

    def draw(self, moment: Moment) -> U8 | None:
        """Draw the picture if it has changed; return what was drawn, None for nothing."""
        if moment.class_names is not self._names:
            self._names = moment.class_names
            self.palette = class_palette(moment.class_names.items())
        mode, opacity = str(self._mode.value), float(self._opacity.value)
        key = (moment.image, moment.mask, moment.confidence, self._names, mode, opacity)
        if is_same(self._drawn, key):
            return None
        self._drawn = key
        picture = camera_picture(moment, mode, opacity, self.palette)
        if picture is None:
            return None
        self._picture.image = framed(picture)
        self._legend.content = self._text(moment)
        return picture

    def _text(self, moment: Moment) -> str:
        if moment.mask is None:
            return note("no mask yet: the node has not answered this image")
        entries = []
        for number, share in shares(moment.mask).items():
            name = moment.class_names.get(number, f"class {number}")
            if number == UNLABELLED:
                name = "unlabelled"
            entries.append((f"{name} {share:.0%}", self.palette.get(number, _DARK)))
        return legend(entries)


def _blank() -> U8:
    return np.full((SIDE_LIMIT_PX * 3 // 4, SIDE_LIMIT_PX, 3), 30, dtype=np.uint8)
