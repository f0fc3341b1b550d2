"""Masks from the facts beside renders, and the cameras they were taken with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.report.output_place import write_whole
from terrain_seg_ros.worlds.world import World
from terrain_training.rendering.cycles.facts import Facts, read_facts
from terrain_training.rendering.cycles.labels import (
    LanderRule,
    MarsRule,
    RoverRule,
    lander_labels,
    mars_labels,
    rover_labels,
)
from terrain_training.rendering.cycles.views import View

IMAGES, MASKS, FACTS, VIEWS = FOLDERS = ("images", "masks", "facts", "views")


def write_picture(
    out: Path, stem: str, image: U8, facts_data: bytes, view_data: str, labels: U8
) -> None:
    """Write the files of one picture, the picture last: where it is, all of its files are.

    Args:
        out: folder of the set.
        stem: name of the files.
        image: (H, W, 3), RGB.
        facts_data: of `facts_to_bytes`.
        view_data: of `view_to_json`.
        labels: (H, W).

    Raises:
        OSError: a file cannot be written.
    """
    write_whole(out / FACTS / f"{stem}.npz", facts_data)
    write_whole(out / VIEWS / f"{stem}.json", view_data)
    write_whole(out / MASKS / f"{stem}.png", _png(labels))
    write_image(out, stem, image)


def write_image(out: Path, stem: str, image: U8) -> None:
    """Write an image (H, W, 3), RGB, of a set.

    Raises:
        OSError: the file cannot be written.
    """
    write_whole(out / IMAGES / f"{stem}.png", _png(image[..., ::-1]))


def label_picture(facts: Facts, camera: CameraModel, rule: Mapping[str, Any]) -> U8:
    """Return the labels (H, W) of a picture by a rule as a manifest remembers it."""
    numbers = {key: value for key, value in rule.items() if key != "kind"}
    if rule["kind"] == RoverRule.__name__:
        return rover_labels(facts, RoverRule(**numbers))
    if rule["kind"] == MarsRule.__name__:
        return mars_labels(facts, MarsRule(**numbers))
    return lander_labels(facts, LanderRule(**numbers), camera)


def label_again(out: Path, stems: Iterable[str], rule: Mapping[str, Any]) -> int:
    """Write the masks of pictures anew by another rule, and return how many there are."""
    count = 0
    for stem in stems:
        if not (out / IMAGES / f"{stem}.png").exists():
            continue
        camera = read_camera(out / VIEWS / f"{stem}.json")
        labels = label_picture(read_facts(out / FACTS / f"{stem}.npz"), camera, rule)
        write_whole(out / MASKS / f"{stem}.png", _png(labels))
        count += 1
    return count


def view_to_json(view: View, world: World) -> str:
    """Return how a picture was taken: world, camera, pose, sun, light and sensor."""
    content = {
        "world": {
            "seed": world.seed,
            "side_m": 2.0 * world.half_side_m,
            "spacing_m": world.spacing_m,
        },
        "kind": view.kind,
        "camera": asdict(view.camera),
        "world_T_camera": {
            "rotation": view.world_T_camera.rotation.tolist(),
            "translation_m": view.world_T_camera.translation_m.tolist(),
        },
        "sun": asdict(view.sun),
        "earthshine": view.earthshine,
        "vehicle": view.vehicle,
        "track": view.ground.track is not None,
        "sensor": asdict(view.sensor),
        **({} if view.mars is None else {"mars": asdict(view.mars)}),
    }
    return json.dumps(content, indent=1, default=_plain) + "\n"


def read_camera(path: Path) -> CameraModel:
    """Return the camera of a file of `view_to_json`.

    Raises:
        ConfigError: it is not there or not whole.
    """
    try:
        numbers = json.loads(path.read_text(encoding="utf-8"))["camera"]
        numbers["coefficients"] = tuple(numbers["coefficients"])
        return CameraModel(**numbers)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path} cannot be read as the view of a render ({error}); delete it and its picture, "
            "then render again with the same command"
        ) from error


def _plain(value: Any) -> Any:
    """Return numbers and arrays of NumPy as JSON knows them."""
    return value.tolist() if isinstance(value, (np.generic, np.ndarray)) else str(value)


def _png(pixels: U8) -> bytes:
    done, data = cv2.imencode(".png", np.ascontiguousarray(pixels))
    if not done:
        raise ConfigError(f"OpenCV cannot encode an image of shape {pixels.shape} as PNG")
    return bytes(data.tobytes())
