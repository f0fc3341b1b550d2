"""From camera images to masks: resize, run the network once, and resize its output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from terrain_seg_ros.core.backend import Backend
from terrain_seg_ros.core.image.image_to_tensor import (
    TensorGeometry,
    image_to_tensor,
    tensor_geometry,
)
from terrain_seg_ros.core.image.novelty import Novelty
from terrain_seg_ros.core.image.probabilities_to_mask import probabilities_to_mask
from terrain_seg_ros.core.model_card import ModelCard
from terrain_seg_ros.core.types import U8, CameraImage, Segmentation


@dataclass(frozen=True)
class SegmentStep:
    """The result for one image, valid until the backend's next call.

    `tensor` is (1, h, w, C). `stage_ms` holds the stages resize, inference, upsample and, if it is
    measured, novelty. `novelty` is 1 at the limit of the model's card, None if not measured.
    """

    tensor: U8
    geometry: TensorGeometry
    segmentation: Segmentation
    stage_ms: dict[str, float]
    novelty: float | None = None


def images_to_masks(
    images: Sequence[CameraImage],
    card: ModelCard,
    backend: Backend,
    *,
    novelty: Novelty | None = None,
) -> list[SegmentStep]:
    """Return the network's output for each image; the network runs once for all of them.

    Every image waits for that whole run, so it counts in each image's `stage_ms`. `novelty`
    compares each input with the network's training.

    Raises:
        InferenceError: the backend failed.
        MessageError: the pixels of one of them are not an image.
    """
    tensors, resize_ms = [], []
    for image in images:
        start = perf_counter()
        tensors.append(image_to_tensor(image.pixels, card))
        resize_ms.append((perf_counter() - start) * 1e3)
    start = perf_counter()
    output = backend(tensors[0] if len(tensors) == 1 else np.concatenate(tensors))
    inference_ms = (perf_counter() - start) * 1e3
    steps = []
    for place, (image, tensor) in enumerate(zip(images, tensors)):
        start = perf_counter()
        geometry = tensor_geometry(card, image.width_px, image.height_px)
        segmentation = probabilities_to_mask(output, geometry, index=place)
        upsampled = perf_counter()
        stage_ms = {
            "resize": resize_ms[place],
            "inference": inference_ms,
            "upsample": (upsampled - start) * 1e3,
        }
        found = None
        if novelty is not None:
            found = novelty(geometry.tensor_view().cut(tensor[0]))
            stage_ms["novelty"] = (perf_counter() - upsampled) * 1e3
        steps.append(SegmentStep(tensor, geometry, segmentation, stage_ms, found))
    return steps
