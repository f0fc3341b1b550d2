"""Draw the pictures of README.md and docs/ (`make pictures`) from what the shipped models give.

`overview`: rover images, the classes over them, and the grid of that one view; the camera's
mounting and field of view are assumed, as in the demo. `hazard`: one image with P(hazard). `grid`
and `landing`: the demo's recorded scenes, replayed. `score_*`: runs of `terrain-seg score`.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rosbags.highlevel import AnyReader

from terrain_seg_ros.cli.main import main as terrain_seg
from terrain_seg_ros.core.hazard_rule import HazardRule
from terrain_seg_ros.core.image.mask_to_picture import overlay
from terrain_seg_ros.core.pipeline import Pipeline
from terrain_seg_ros.core.types import U8, CameraImage, Reason
from terrain_seg_ros.demo.frames import CAMERA_FRAME, DemoFrame, demo_camera, demo_frames
from terrain_seg_ros.demo.scenes import SCENES, DemoScene
from terrain_seg_ros.demo.sim_report import scene_section
from terrain_seg_ros.demo.sim_scenes import PlayedScene
from terrain_seg_ros.inference.registry import create_backend
from terrain_seg_ros.messages.grid_message import GridValues, decode_grid
from terrain_seg_ros.model_store.model_store import load_model
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.report.map_pictures import COMPARISON_LEGEND
from terrain_seg_ros.report.pictures import (
    brightened,
    confidence_picture,
    grid_colors,
    grid_legend,
    grid_picture,
    legend_strip,
    sheet,
)

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "pictures"
FRAMES = (
    "NLB_485826575EDR_F0481494NCAM00385M1",
    "NLB_553121012EDR_F0642442NCAM00312M1",
    "NLB_582939028EDR_F0710228NCAM00276M1",
)
SIDE_PX = 320
COLUMNS = 3
QUALITY = (cv2.IMWRITE_JPEG_QUALITY, 88)


def picture_of(frame: DemoFrame, pipeline: Pipeline) -> list[U8]:
    """Return image, overlay and grid of one frame, all of one size."""
    pixels = frame.pixels()
    step = pipeline.segment(CameraImage(pixels, stamp_ns=0, frame_id=CAMERA_FRAME))
    base = frame.place()
    pipeline.reset_grid()
    fused = pipeline.fuse(
        step,
        demo_camera(pixels.shape[1], pixels.shape[0]),
        grid_T_camera=base @ frame.mounting(),
        grid_T_base=base,
        stamp_ns=0,
    ).grid
    x_m, y_m, _ = base.translation_m.tolist()
    ground = grid_picture(
        fused.cost,
        fused.reason,
        resolution_m=fused.resolution_m,
        vehicle_row_col=(
            (y_m - fused.origin_y_m) / fused.resolution_m,
            (x_m - fused.origin_x_m) / fused.resolution_m,
        ),
        side_px=SIDE_PX,
    )
    clear = brightened(pixels)
    classes = overlay(clear, step.segmentation.mask, pipeline.taxonomy, alpha=0.45)
    views = (np.dstack([clear] * 3), classes)
    return [*(cv2.resize(view, (SIDE_PX, SIDE_PX)) for view in views), ground]


def readme_picture(frames: Iterable[DemoFrame]) -> U8:
    """Return one row per frame: camera image, classes and grid of that one view."""
    parameters = load_parameters()
    model = load_model(parameters.inference.model)
    backend = create_backend("onnxruntime", model)
    pipeline = Pipeline(model.card, backend, parameters.pipeline)
    tiles = [tile for frame in frames for tile in picture_of(frame, pipeline)]
    backend.close()
    return sheet(tiles, columns=COLUMNS)


def hazard_picture(frame: DemoFrame) -> U8:
    """Return one image, its classes, P(hazard) and the confidence of its classes."""
    parameters = load_parameters()
    model = load_model(parameters.inference.model)
    backend = create_backend("onnxruntime", model)
    pipeline = Pipeline(model.card, backend, parameters.pipeline)
    pixels = frame.pixels()
    said = pipeline.segment(CameraImage(pixels, stamp_ns=0, frame_id=CAMERA_FRAME)).segmentation
    backend.close()
    rule = HazardRule.of(pipeline.taxonomy, parameters.pipeline.cost.hazard_threshold)
    hazard = np.round(255 * rule.score(list(said.probabilities_khw))).astype(np.uint8)
    clear = brightened(pixels)
    tiles = [
        np.dstack([clear] * 3),
        overlay(clear, said.mask, pipeline.taxonomy, alpha=0.45),
        confidence_picture(hazard),
        confidence_picture(said.tensor_confidence),
    ]
    return _labelled(tiles, ("image", "classes", "P(hazard)", "confidence"))


def replayed(scene: DemoScene, folder: Path) -> Path:
    """Return the bag that the node makes of a recorded scene."""
    bag = folder / f"{scene.name}.mcap"
    words = ["replay", str(scene.recording), str(bag), "--params", str(scene.parameters)]
    words += ["--mode", scene.mode, "--image-topic", "/terrain/truth/coded_image"]
    beside = folder / "depth.yaml"  # replay looks for depth beside the image topic
    beside.write_text("/**:\n  ros__parameters:\n    depth: {topic: depth}\n", encoding="utf-8")
    words += ["--params", str(beside)]
    if terrain_seg(words) != 0:
        raise SystemExit(f"{scene.name} could not be replayed")
    return bag


def scene_picture(scene: DemoScene, bag: Path) -> U8:
    """Return camera, classes and grid in the middle of a scene, and grid and truth at its end."""
    summary = dict.fromkeys(("model", "backend", "precision", "images_in", "images_out"), "")
    rows = scene_section(PlayedScene(scene, bag, summary, "")).rows
    tiles = {**rows[1].pictures, **rows[-1].pictures}
    names = list(tiles)
    picture = _labelled([_rgb(tiles[name]) for name in names], [*map(_short, names)], columns=3)
    return np.vstack([picture, legend_strip(COMPARISON_LEGEND, width_px=picture.shape[1])])


def maps_picture(bag: Path) -> U8:
    """Return the last hazard grid with its reasons beside the safe map of the same stamp."""
    grids: dict[str, GridValues] = {}
    with AnyReader([bag]) as reader:
        for connection, _, data in reader.messages():
            name = connection.topic.removeprefix("/terrain/")
            if name in {"hazard_grid", "hazard_reason", "safe_map"}:
                message: Any = reader.deserialize(data, connection.msgtype)
                grids[name] = decode_grid(message)
    whole = _ground(grids, "hazard_grid")
    safe = _ground(grids, "safe_map")
    reasons = [item for item in Reason if (grids["hazard_reason"].values == int(item)).any()]
    picture = _labelled([whole, safe], ("hazard_grid", "safe_map"), side_px=480)
    legend = [entry for entry in grid_legend(reasons) if "observed: observed" not in entry[0]]
    return np.vstack([picture, legend_strip(legend, width_px=picture.shape[1])])


def score_picture(folder: Path, *words: str) -> U8:
    """Return the map of the one world that `terrain-seg score` draws."""
    place = folder / "_".join(words)
    call = ["score", "--worlds", "1", "--jobs", "1", "--pictures", str(place), *words]
    terrain_seg(call)  # its exit code says whether the score is good enough
    (path,) = place.glob("*.png")
    return np.ascontiguousarray(cv2.imread(str(path))[..., ::-1])


def _ground(grids: Mapping[str, GridValues], name: str) -> U8:
    """Return one of the maps, seen from above, north up."""
    colors = grid_colors(grids[name].values, grids["hazard_reason"].values.astype(np.uint8))
    return np.ascontiguousarray(np.flipud(colors))


def _short(name: str) -> str:
    return name.partition(",")[0]


def _rgb(picture: U8) -> U8:
    return picture if picture.ndim == 3 else np.dstack([picture] * 3)


def _labelled(
    tiles: Iterable[U8], labels: Iterable[str], *, side_px: int = SIDE_PX, columns: int = 4
) -> U8:
    """Return pictures of one size side by side, each with its label in a strip above it."""
    named = []
    for tile, label in zip(tiles, labels, strict=True):
        strip = np.zeros((28, side_px, 3), dtype=np.uint8)
        cv2.putText(
            strip, label, (6, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (235,) * 3, 1, cv2.LINE_AA
        )
        resized = cv2.resize(_rgb(tile), (side_px, side_px), interpolation=cv2.INTER_NEAREST)
        named.append(np.vstack([strip, resized]))
    return sheet(named, columns=columns)


def write(name: str, picture_rgb: U8) -> None:
    """Write one picture."""
    cv2.imwrite(str(PICTURES / name), np.ascontiguousarray(picture_rgb[..., ::-1]), QUALITY)


def main() -> int:
    """Write every picture."""
    chosen = [frame for frame in demo_frames() if frame.name in FRAMES]
    write("overview.jpg", readme_picture(chosen))
    write("hazard.jpg", hazard_picture(chosen[2]))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        drive, descent = (replayed(scene, folder) for scene in SCENES)
        write("drive.jpg", scene_picture(SCENES[0], drive))
        write("grid.jpg", maps_picture(drive))
        write("landing.jpg", scene_picture(SCENES[1], descent))
        world = ("--scenario", "flat_tilt", "--seed", "3", "--views", "20")
        true = score_picture(folder, *world)
        network = score_picture(folder, *world, "--masks", "model")
        write("score.jpg", sheet([true, network], columns=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
