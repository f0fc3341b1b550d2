"""Path-traced images for the worlds and views of a score, resumed where they were stopped."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.files.strict_json import read_json
from terrain_seg_ros.report.output_place import check_output_folder, write_whole
from terrain_training.errors import TrainingError
from terrain_training.rendering.cycles.blender_python import RenderWorker
from terrain_training.rendering.cycles.label_files import IMAGES
from terrain_training.rendering.cycles.score_scene import picture_stem

PLAN_FORMAT = 1
PLAN_FILE = "plan.json"
RENDERER = "cycles"
MAX_PLAN_BYTES = 64 * 2**20
_REMEDY = "write it with 'terrain-seg score --plan'"


@dataclass(frozen=True)
class PlannedScene:
    """Hold one world of a plan and which of its views are missing."""

    content: Mapping[str, Any]
    missing: list[int]


def read_plan(path: Path) -> dict[str, Any]:
    """Return a plan that `terrain-seg score --plan` wrote.

    Raises:
        ConfigError: it cannot be read or is something else.
    """
    try:
        if path.stat().st_size > MAX_PLAN_BYTES:
            raise ConfigError(f"{path} is larger than {MAX_PLAN_BYTES} bytes; {_REMEDY}")
        plan = read_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); {_REMEDY}") from error
    scenes = plan.get("scenes") if isinstance(plan, dict) else None
    if not isinstance(scenes, list) or plan.get("format") != PLAN_FORMAT:
        raise ConfigError(f"{path} is not a plan of format {PLAN_FORMAT}; {_REMEDY}")
    return dict(plan)


def render_plan(
    plan: Mapping[str, Any],
    out: Path,
    python: Path,
    *,
    samples: int,
    begin: Callable[[int, int], None],
    report: Callable[[str], None],
) -> None:
    """Render the images of a plan that are missing in a folder, with one process.

    Args:
        plan: of `read_plan`.
        out: new, or of the same plan, which then goes on.
        python: that has bpy.
        samples: rays for each pixel.
        begin: is called once, with the number of images and of those that are there already.
        report: is called with the name of each image that was rendered.

    Raises:
        ConfigError: the folder holds something else, or that Python cannot render.
        TrainingError: the process died or the disk is full.
    """
    check_output_folder(out, option="--out", is_own=_is_own)
    (out / IMAGES).mkdir(parents=True, exist_ok=True)
    _keep_plan({**plan, "renderer": RENDERER, "samples": samples}, out)
    scenes = _missing(plan, out)
    total = sum(len(scene["world_T_camera"]) for scene in plan["scenes"])
    left = sum(len(scene.missing) for scene in scenes)
    begin(total, total - left)
    if not left:
        return
    worker = RenderWorker(python, {"out": str(out.resolve()), "samples": samples})
    try:
        for scene in scenes:
            worker.write({"scene": dict(scene.content), "numbers": scene.missing})
            while "world" not in (answer := worker.read()):
                if "failed" in answer:
                    raise TrainingError(
                        f"an image cannot be written ({answer['failed']}); free some space, then "
                        "the same command goes on with the images that are missing"
                    )
                report(str(answer["stem"]))
    finally:
        worker.stop()


def _keep_plan(plan: Mapping[str, Any], out: Path) -> None:
    path = out / PLAN_FILE
    if not path.exists():
        write_whole(path, json.dumps(plan) + "\n")
    elif json.loads(json.dumps(plan)) != read_plan(path):
        raise ConfigError(
            f"'{out}' holds images of another plan or of other --samples; give a new folder"
        )


def _missing(plan: Mapping[str, Any], out: Path) -> list[PlannedScene]:
    scenes = []
    for content in plan["scenes"]:
        numbers = [
            number
            for number in range(len(content["world_T_camera"]))
            if not (out / IMAGES / f"{picture_stem(content['name'], number)}.png").exists()
        ]
        if numbers:
            scenes.append(PlannedScene(content, numbers))
    return scenes


def _is_own(folder: Path) -> bool:
    return {path.name for path in folder.iterdir()} <= {PLAN_FILE, IMAGES}
