"""The demo's frames: which there are, what they show and how the camera is assumed to look."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import cv2
import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.geometry.camera import CameraModel, camera_from_field_of_view
from terrain_seg_ros.core.geometry.frames import BODY_R_OPTICAL, rotation_from_rpy
from terrain_seg_ros.core.types import U8, Transform

CAMERA_FRAME = "navcam_optical"
BASE_FRAME = "base_link"
GRID_FRAME = "odom"
HORIZONTAL_FOV_RAD = math.radians(45.0)
"""Of Curiosity's NavCam (Maki et al., 2012)."""
CAMERA_HEIGHT_M = 1.9
HOLD = 6
"""Camera images per picture, while the vehicle stands."""
PERIOD_NS = 150_000_000
APART_M = 200.0
"""Distance between two places, far beyond the grid, so that nothing fuses across them."""


@dataclass(frozen=True)
class DemoFrame:
    """A picture, its scene and the assumed pitch of the camera."""

    index: int
    scene: str
    name: str
    pitch_rad: float

    def pixels(self) -> U8:
        """Return the picture (H, W), grey."""
        return _read("images", f"{self.name}.jpg", cv2.IMREAD_GRAYSCALE)

    def truth(self) -> U8:
        """Return the labels (H, W) of AI4Mars, 255 where there is none."""
        return _read("masks", f"{self.name}.png", cv2.IMREAD_UNCHANGED)

    def mounting(self) -> Transform:
        """Return the assumed mounting of the optical frame: on a mast, looking ahead and down."""
        rotation = rotation_from_rpy(0.0, self.pitch_rad, 0.0) @ BODY_R_OPTICAL
        return Transform(rotation, np.array([0.0, 0.0, CAMERA_HEIGHT_M]))

    def place(self) -> Transform:
        """Return the place where the vehicle stands for this picture."""
        return Transform(np.eye(3), np.array([self.index * APART_M, 0.0, 0.0]))


def demo_frames() -> list[DemoFrame]:
    """Return the frames in the order of the rover clock.

    Raises:
        ConfigError: the installation lacks them.
    """
    path = _folder() / "scenes.json"
    if not path.is_file():
        raise ConfigError(f"{path} is missing; install the package again")
    frames: list[DemoFrame] = []
    for scene in json.loads(path.read_text(encoding="utf-8"))["scenes"]:
        for item in scene["images"]:
            frames.append(
                DemoFrame(len(frames), scene["name"], item["name"], item["assumed_pitch_rad"])
            )
    return frames


def first_frames(count: int | None) -> list[DemoFrame]:
    """Return the first frames; all of them where no count is given.

    Raises:
        ConfigError: there are not as many, or the installation lacks them.
    """
    frames = demo_frames()
    if count is not None and not 1 <= count <= len(frames):
        raise ConfigError(f"--pictures is {count}, expected 1 to {len(frames)}")
    return frames[:count]


def demo_camera(width_px: int, height_px: int) -> CameraModel:
    """Return the assumed intrinsics of a frame of this size."""
    return camera_from_field_of_view(
        width_px=width_px, height_px=height_px, horizontal_fov_rad=HORIZONTAL_FOV_RAD
    )


def _folder() -> Path:
    return Path(str(resources.files("terrain_seg_ros"))) / "demo_data"


def _read(folder: str, name: str, mode: int) -> U8:
    path = _folder() / folder / name
    pixels = cv2.imread(str(path), mode)
    if pixels is None:
        raise ConfigError(f"{path} cannot be read; install the package again")
    return np.asarray(pixels, dtype=np.uint8)
