"""Detect views that cannot see the ground or lie on their side, mostly from a wrong frame."""

from __future__ import annotations

import math

import numpy as np

from terrain_seg_ros.core.ground.ground_view import GroundView
from terrain_seg_ros.core.types import Reason, Transform
from terrain_seg_ros.runtime.health import Health, Note

STEEP_RAD = math.radians(60.0)
"""A camera that looks down more steeply has no upright side."""
ROLLED = 0.35
"""The image's lower edge points down by less than this share of what it could: rolled by 70
degrees or more."""
BODY_LEVEL = 0.35
"""The x axis of a body's frame points ahead, or down, and its y axis to the left, so that neither
rises by more than this sine; its z axis does."""


class ViewCheck:
    """Check where each camera looks."""

    def __init__(self, health: Health) -> None:
        """Start without views."""
        self._health = health

    def sees_ground(
        self, camera: str, frame_id: str, view: GroundView, grid_T_camera: Transform
    ) -> bool:
        """Return whether any pixel may meet the ground; note it where none does.

        Args:
            camera: its name.
            frame_id: of the image.
            view: where the pixels lie.
            grid_T_camera: of the frame, which should be optical.
        """
        meets = np.isfinite(view.range_m).any() or (view.reason == Reason.NO_DEPTH).any()
        up = grid_T_camera.rotation[2]
        if not meets:
            self._health.note(Note.NO_GROUND, _why(camera, frame_id, up.tolist()))
            return False
        steep = abs(float(up[2])) > math.sin(STEEP_RAD)
        level = math.sqrt(max(1.0 - float(up[2]) ** 2, 0.0))
        rolled = not steep and abs(float(up[1])) < ROLLED * level
        text = (
            f"the images of {camera!r} lie on their side according to the frame {frame_id!r}: "
            "correct only if it is mounted so; an optical frame has x right, y down and z ahead"
        )
        self._health.remark(f"frame of {camera}", text if rolled else "")
        return True


def _why(camera: str, frame_id: str, up: list[float]) -> str:
    """Return why no pixel of a camera meets the ground; `up` is the frame's axes' rise."""
    frame = f"the frame {frame_id!r}" if frame_id else "mounting.*"
    degrees = math.degrees(math.asin(min(max(up[2], -1.0), 1.0)))
    where = f"{abs(degrees):.0f} degrees {'above' if degrees >= 0.0 else 'below'} the horizon"
    text = f"{camera!r} looks {where} according to {frame}"
    if degrees < 0.0:
        return f"{text}; check the height of camera and ground (mounting, TF, ground.*)"
    body = up[0] < BODY_LEVEL and abs(up[1]) < BODY_LEVEL < up[2]
    hint = ", which looks like the camera's body (x ahead, z up)" if body else ""
    return f"{text}{hint}; images need the optical frame: z ahead, x right, y down"
