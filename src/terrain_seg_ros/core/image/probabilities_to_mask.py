"""Conversion of the network's output to class ids and confidence at image size."""

from __future__ import annotations

import cv2
import numpy as np

from terrain_seg_ros.core.backend import NetworkOutput
from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.core.image.image_to_tensor import TensorGeometry
from terrain_seg_ros.core.types import U8, UNLABELLED, Segmentation


def probabilities_to_mask(
    output: NetworkOutput, geometry: TensorGeometry, *, index: int = 0
) -> Segmentation:
    """Return the segmentation of one image by nearest-neighbour resampling.

    Args:
        output: the network's output; its arrays are not copied.
        geometry: the geometry of the network's input.
        index: the index of the image in the batch.

    Returns:
        Mask 255 and confidence 0 where the network did not see the image.

    Raises:
        ModelError: output and geometry differ in size.
    """
    mask, confidence = output.mask[index], output.confidence[index]
    if mask.shape != (geometry.height_px, geometry.width_px):
        raise ModelError(
            f"network returned a mask of {mask.shape}, expected "
            f"{(geometry.height_px, geometry.width_px)} according to the card"
        )
    return Segmentation(
        probabilities_khw=output.probabilities[index],
        tensor_mask=mask,
        tensor_confidence=confidence,
        mask=tensor_to_image(mask, geometry, outside=UNLABELLED),
        confidence=tensor_to_image(confidence, geometry, outside=0),
    )


def tensor_to_image(values: U8, geometry: TensorGeometry, *, outside: int) -> U8:
    """Resample values (h, w) of the tensor to image size (H, W), by the nearest tensor pixel.

    Args:
        values: one per tensor pixel.
        geometry: the geometry of the network's input.
        outside: the value of image pixels that the network did not see.
    """
    view = geometry.image_view()
    seen = geometry.tensor_view().cut(values)
    enlarged = np.asarray(
        cv2.resize(seen, (view.width_px, view.height_px), interpolation=cv2.INTER_NEAREST_EXACT),
        dtype=np.uint8,
    )
    shape = (geometry.image_height_px, geometry.image_width_px)
    if enlarged.shape == shape:
        return enlarged
    whole = np.full(shape, outside, dtype=np.uint8)
    view.cut(whole)[:] = enlarged
    return whole
