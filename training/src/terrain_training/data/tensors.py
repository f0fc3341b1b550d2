"""From samples to the arrays that a network is fed, by the same geometry as on the vehicle."""

from __future__ import annotations

import cv2
import numpy as np

from terrain_seg_ros.core.image.image_to_tensor import TensorInput, image_to_tensor, tensor_geometry
from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.types import U8
from terrain_training.data.contract import Sample


def sample_to_tensor(sample: Sample, fitted: TensorInput) -> tuple[U8, U8]:
    """Return a sample as the network's input (h, w, C) and its mask (h, w).

    The mask is resized by nearest neighbour; padding is ignored.

    Args:
        sample: image and mask of any size.
        fitted: size, channels and resizing of the network's input.
    """
    image = image_to_tensor(sample.image, fitted)[0]
    return image, mask_to_tensor(sample.mask, fitted)


def mask_to_tensor(mask: U8, fitted: TensorInput) -> U8:
    """Return a mask (H, W) as seen by the network, (h, w)."""
    geometry = tensor_geometry(fitted, mask.shape[1], mask.shape[0])
    view = geometry.tensor_view()
    seen = geometry.image_view().cut(mask)
    if seen.shape != (view.height_px, view.width_px):
        size = (view.width_px, view.height_px)
        seen = np.asarray(cv2.resize(seen, size, interpolation=cv2.INTER_NEAREST), dtype=np.uint8)
    if seen.shape == (fitted.height_px, fitted.width_px):
        return np.ascontiguousarray(seen)
    padded = np.full((fitted.height_px, fitted.width_px), IGNORE, dtype=np.uint8)
    view.cut(padded)[:] = seen
    return padded
