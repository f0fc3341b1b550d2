"""What a network trained on photographs sees in an image, at three depths and in 7 x 7 places.

The network is MobileNetV2 with ImageNet weights (Google, Apache-2.0; see NOTICE), 8-bit weights, in
encoder.onnx beside this module; it needs no download.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

import cv2
import numpy as np
import onnxruntime as ort

from terrain_seg_ros.core.types import F32, U8

SIDE_PX = 112
PLACES = 49
PLACE_CHANNELS = 32
DEPTHS = {"light and edges": 64, "texture": 384, "subject": 1280}
"""Numbers per depth, in the order in which they are kept."""
LENGTH = sum(DEPTHS.values()) + PLACES * PLACE_CHANNELS


@dataclass(frozen=True)
class Looks:
    """What the network sees in N images: (N, D) per depth, and places (N, 49, 32)."""

    depths: dict[str, F32]
    places: F32

    @staticmethod
    def of(rows: np.ndarray[tuple[int, ...], np.dtype[np.float16]]) -> Looks:
        """Return what rows (N, LENGTH) of `Encoder.look` hold."""
        depths, start = {}, 0
        for name, size in DEPTHS.items():
            depths[name] = rows[:, start : start + size].astype(np.float32)
            start += size
        places = rows[:, start:].astype(np.float32)
        return Looks(depths, places.reshape(len(rows), PLACES, PLACE_CHANNELS))


class Encoder:
    """Run the network on one thread, so that the same images give the same numbers."""

    def __init__(self) -> None:
        """Load the network."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        model = resources.files("terrain_training.inspection").joinpath("encoder.onnx")
        self._session = ort.InferenceSession(
            model.read_bytes(), options, providers=["CPUExecutionProvider"]
        )

    def look(self, image: U8) -> np.ndarray[tuple[int, ...], np.dtype[np.float16]]:
        """Return LENGTH numbers for an image (H, W) or (H, W, 3)."""
        larger = max(image.shape[:2]) > SIDE_PX
        method = cv2.INTER_AREA if larger else cv2.INTER_LINEAR
        small = cv2.resize(image, (SIDE_PX, SIDE_PX), interpolation=method)
        colour = small if small.ndim == 3 else np.repeat(small[..., None], 3, axis=2)
        found = self._session.run(
            ["fine_mean", "fine_std", "texture_mean", "texture_std", "subject_mean", "places"],
            {"image_nhwc_u8": colour[None]},
        )
        # Roots, because activations are skewed to the right.
        means = [np.sqrt(np.maximum(part[0], 0.0)) for part in found[:-1]]
        places = found[-1][0].reshape(PLACE_CHANNELS, PLACES).T
        return np.concatenate([*means, places.reshape(-1)]).astype(np.float16)
