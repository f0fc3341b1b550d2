"""Images of the score's worlds and views that another renderer makes ahead of a score.

`terrain-seg score --plan FILE` writes what is to be rendered, `terrain-train render-score FILE
--out DIR` renders it, and `terrain-seg score --masks model --renders DIR` scores a network on the
result.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.files.strict_json import read_json
from terrain_seg_ros.core.image.image_file import read_image
from terrain_seg_ros.core.types import U8, Transform
from terrain_seg_ros.score.scenarios import IMAGE_PX, Scenario

FORMAT = 1
PLAN_FILE = "plan.json"
IMAGES = "images"
NUMPY = "numpy"
"""The renderer of a score without images made ahead (`worlds/render.py`)."""
MAX_PLAN_BYTES = 64 * 2**20
_REMEDY = "write it with 'terrain-seg score --plan' and render it with 'terrain-train render-score'"


class RenderedAhead:
    """A folder of images for the views of a plan."""

    def __init__(self, folder: Path) -> None:
        """Read the plan in the folder.

        Raises:
            ConfigError: there is none that can be used.
        """
        self._folder = folder
        path = folder / PLAN_FILE
        try:
            if path.stat().st_size > MAX_PLAN_BYTES:
                raise ConfigError(f"{path} is larger than {MAX_PLAN_BYTES} bytes; {_REMEDY}")
            content = read_json(path.read_bytes())
        except (OSError, ValueError) as error:
            raise ConfigError(f"--renders: {path} cannot be read ({error}); {_REMEDY}") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ConfigError(f"--renders: {path} is not a plan of format {FORMAT}; {_REMEDY}")
        try:
            self.mode = str(content["mode"])
            self.seed, self.worlds = int(content["seed"]), int(content["worlds"])
            self.views = None if content["views"] is None else int(content["views"])
            self.scenarios = tuple(str(name) for name in content["scenarios"])
            self.renderer = str(content["renderer"])
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(f"--renders: {path} lacks {error}; {_REMEDY}") from error

    def picture(self, scenario: Scenario, seed: int, number: int) -> U8:
        """Return the image (H, W) or (H, W, 3) of a view.

        Raises:
            ConfigError: it is missing or of another size.
        """
        path = self._folder / IMAGES / f"{scene_name(scenario.name, seed)}_{number:03d}.png"
        if not path.is_file():
            raise ConfigError(
                f"{path} is missing; 'terrain-train render-score' goes on where it was stopped"
            )
        pixels = read_image(path)
        if pixels.shape[:2] != (IMAGE_PX, IMAGE_PX):
            raise ConfigError(
                f"{path} has {pixels.shape[1]} x {pixels.shape[0]} px, expected {IMAGE_PX} x "
                f"{IMAGE_PX}; {_REMEDY}"
            )
        return pixels


def scene_name(scenario: str, seed: int) -> str:
    """Return the name of a world of a scenario."""
    return f"{scenario}_{seed:05d}"


def scene_content(
    scenario: Scenario,
    seed: int,
    *,
    settings: Any,
    side_m: float,
    spacing_m: float,
    camera: Any,
    poses: list[Transform],
) -> dict[str, Any]:
    """Return one world of a plan: what it is generated from, the camera and its poses."""
    return {
        "name": scene_name(scenario.name, seed),
        "kind": "lander" if scenario.mode == "lander" else "mast",
        "seed": seed,
        "side_m": side_m,
        "spacing_m": spacing_m,
        "settings": asdict(settings),
        "camera": asdict(camera),
        "world_T_camera": [
            {
                "rotation": pose.rotation.tolist(),
                "translation_m": np.asarray(pose.translation_m).tolist(),
            }
            for pose in poses
        ],
    }
