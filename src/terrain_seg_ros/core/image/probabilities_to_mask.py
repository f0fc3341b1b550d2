"""From the network's output to class ids and confidence at image size."""

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
    """Return one image's segmentation; image pixels take the value of the nearest tensor pixel.

    Args:
        output: of the network; its arrays are not copied.
        geometry: of the image that was given to the network.
        index: which image of the batch.

    Returns:
        Mask 255 and confidence 0 where the network did not see the image.

    Raises:
        ModelError: output and geometry differ in size.
    """
    mask, confidence = output.mask[index], output.confidence[index]
    if mask.shape != (geometry.height_px, geometry.width_px):
        raise ModelError(
            f"network gave a mask of {mask.shape}, expected "
            f"{(geometry.height_px, geometry.width_px)} as the card says"
        )
    return Segmentation(
        probabilities_khw=output.probabilities[index],
        tensor_mask=mask,
        tensor_confidence=confidence,
        mask=tensor_to_image(mask, geometry, outside=UNLABELLED),
        confidence=tensor_to_image(confidence, geometry, outside=0),
    )


def tensor_to_image(values: U8, geometry: TensorGeometry, *, outside: int) -> U8:
    """Return values (h, w) of the tensor at image size (H, W), by the nearest tensor pixel.

    Args:
        values: of every tensor pixel.
        geometry: of the image that was given to the network.
        outside: what image pixels get that the network did not see.
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
