"""How unlike the training data an image looks to a network, from its probabilities alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.core.types import F64, U8

SCORE = "mean over the image of the normalised entropy of the class probabilities"
PERCENTILES = (1, 5, 25, 50, 75, 95, 99)

_BYTES = np.arange(256, dtype=np.float64)
_P_LOG_P = (_BYTES * np.log(np.maximum(_BYTES, 1.0))).astype(np.float32)


def ood_score(probabilities: U8) -> float:
    """Return how undecided the network is over the image: 0 certain, 1 knowing nothing.

    It is the entropy of each pixel's probabilities over log K, averaged over all pixels that the
    network saw. Entropy, since the exported graph gives probabilities as bytes and nothing else:
    energy scores need logits, distances need features, and neither reaches the vehicle. Against
    the largest probability alone it also tells two candidates from many. The calibration
    temperature is part of the graph, so scores compare only within one exported model.

    Args:
        probabilities: (K, H, W), probability x 255; all zero where the network saw nothing.

    Raises:
        ModelError: the array has another shape or type, or is zero everywhere.
    """
    if probabilities.ndim != 3 or probabilities.dtype != np.uint8 or not probabilities.size:
        raise ModelError(
            f"probabilities have shape {probabilities.shape} and dtype {probabilities.dtype}, "
            "expected (K, H, W) of uint8, not empty"
        )
    whole = probabilities.sum(axis=0, dtype=np.float32)
    seen = whole > 0.0
    if not seen.any():
        raise ModelError("probabilities are 0 everywhere; give those of the whole image")
    if len(probabilities) == 1:
        return 0.0
    inner = np.zeros(whole.shape, dtype=np.float32)
    for values in probabilities:
        inner += _P_LOG_P[values]
    entropy = np.log(whole[seen]) - inner[seen] / whole[seen]
    return float(np.clip(entropy.mean(dtype=np.float64) / np.log(len(probabilities)), 0.0, 1.0))


def ood_auroc(inside: Sequence[float] | F64, outside: Sequence[float] | F64) -> float:
    """Return the chance that an image from outside scores above one from inside; ties count half.

    This is the area under the ROC curve (Mann and Whitney, 1947): 0.5 is no better than chance.

    Args:
        inside: scores of images like those of the training.
        outside: scores of other images.

    Raises:
        ModelError: one of them is empty or holds a value that is not finite.
    """
    within, beyond = _checked(inside, "inside"), np.asarray(_checked(outside, "outside"))
    ordered = np.sort(within)
    below = np.searchsorted(ordered, beyond, side="left")
    not_above = np.searchsorted(ordered, beyond, side="right")
    return float((below + not_above).sum() / (2.0 * len(within) * len(beyond)))


def _checked(scores: Sequence[float] | F64, what: str) -> F64:
    values = np.asarray(scores, dtype=np.float64).ravel()
    if not len(values) or not np.isfinite(values).all():
        raise ModelError(
            f"{what} scores are {values[:4].tolist()}, expected one finite score per image"
        )
    return values
