"""Conversion of the network's output to class ids and confidence at image size."""

from __future__ import annotations

import numpy as np

from terrain_seg_ros.core.backend import NetworkOutput
from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.core.image.image_to_tensor import TensorGeometry
from terrain_seg_ros.core.kernel import kernel
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
    enlarged: U8 = _resample(np.ascontiguousarray(seen), view.height_px, view.width_px)
    shape = (geometry.image_height_px, geometry.image_width_px)
    if enlarged.shape == shape:
        return enlarged
    whole = np.full(shape, outside, dtype=np.uint8)
    view.cut(whole)[:] = enlarged
    return whole


@kernel("uint8[:, ::1], int64, int64")
def _resample(values: U8, height: int, width: int) -> U8:
    """Return values resampled to (height, width) by the nearest, as OpenCV's INTER_NEAREST_EXACT.

    Its fixed-point numbers with 16 fractional bits make the same choice on every processor.
    """
    rows, cols = values.shape
    step_row, step_col = (
        ((rows << 16) + height // 2) // height,
        ((cols << 16) + width // 2) // width,
    )
    col_of = np.empty(width, dtype=np.int32)
    for col in range(width):
        col_of[col] = min((step_col * col + step_col // 2 - cols % 2) >> 16, cols - 1)
    found, latest = np.empty((height, width), dtype=np.uint8), -1
    for row in range(height):
        row_of = min((step_row * row + step_row // 2 - rows % 2) >> 16, rows - 1)
        if row_of == latest:
            found[row] = found[row - 1]
            continue
        latest, line = row_of, values[row_of]
        for col in range(width):
            found[row, col] = line[col_of[col]]
    return found
