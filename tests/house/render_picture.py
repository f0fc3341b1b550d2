"""Render the README's picture from the demo frames, the shipped model and the shipped parameters.

From left to right: camera image, classes over it, and the grid that this one view gives. The
camera's mounting and field of view are assumed, as in the demo.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from terrain_seg_ros.core.image.mask_to_picture import overlay
from terrain_seg_ros.core.pipeline import Pipeline
from terrain_seg_ros.core.types import U8, CameraImage
from terrain_seg_ros.demo.frames import CAMERA_FRAME, DemoFrame, demo_camera, demo_frames
from terrain_seg_ros.inference.registry import create_backend
from terrain_seg_ros.model_store.model_store import load_model
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.report.pictures import brightened, grid_picture, sheet

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "src" / "terrain_seg_ros" / "demo_data" / "readme.jpg"
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


def main() -> int:
    """Write the picture."""
    chosen = [frame for frame in demo_frames() if frame.name in FRAMES]
    cv2.imwrite(str(PICTURE), readme_picture(chosen)[..., ::-1], QUALITY)
    return 0


if __name__ == "__main__":
    sys.exit(main())
