"""The check of the input and the loop over a batch, the same for every backend."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from terrain_seg_ros.core.backend import NetworkOutput
from terrain_seg_ros.core.errors import InferenceError
from terrain_seg_ros.core.model_card import ModelCard
from terrain_seg_ros.core.types import U8


def run_each(
    tensor_nhwc_u8: U8,
    card: ModelCard,
    run: Callable[[U8], NetworkOutput],
    *,
    max_batch: int = 1,
) -> NetworkOutput:
    """Check the tensor and run its images in turn; what fits one run is passed on uncopied.

    Args:
        tensor_nhwc_u8: (N, h, w, C).
        card: says h, w and C.
        run: takes a contiguous (N, h, w, C).
        max_batch: the largest N that `run` takes.

    Raises:
        InferenceError: the tensor does not fit the card.
    """
    expected = (card.height_px, card.width_px, card.channel_count)
    shape = tensor_nhwc_u8.shape
    if tensor_nhwc_u8.dtype != np.uint8 or shape[1:] != expected or shape[0] < 1:
        raise InferenceError(
            f"input has shape {shape} and dtype {tensor_nhwc_u8.dtype}, but model {card.name!r} "
            f"takes {('N', *expected)} of uint8; make it with image_to_tensor"
        )
    tensor = np.ascontiguousarray(tensor_nhwc_u8)
    if shape[0] <= max_batch:
        return run(tensor)
    starts = range(0, shape[0], max_batch)
    outputs = [_copied(run(tensor[start : start + max_batch])) for start in starts]
    return NetworkOutput(
        mask=np.concatenate([item.mask for item in outputs]),
        confidence=np.concatenate([item.confidence for item in outputs]),
        probabilities=np.concatenate([item.probabilities for item in outputs]),
    )


def _copied(output: NetworkOutput) -> NetworkOutput:
    return NetworkOutput(
        mask=output.mask.copy(),
        confidence=output.confidence.copy(),
        probabilities=output.probabilities.copy(),
    )
