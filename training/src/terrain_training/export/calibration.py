"""How far confidences can be believed: temperature scaling and calibration error."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.core.segmentation_metrics import IGNORE

_LEVELS = 256
_BINS = 15


def fit_temperature(logits: Tensor, target: Tensor) -> float:
    """Return the temperature that minimises the negative log likelihood (Guo et al., 2017).

    Args:
        logits: (P, K) of labelled pixels.
        target: (P,) class ids.

    Raises:
        ModelError: there is no pixel.
    """
    if len(target) == 0:
        raise ModelError("no labelled pixel to fit the temperature on; check the validation masks")
    log_temperature = torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.LBFGS([log_temperature], max_iter=50, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = functional.cross_entropy(logits / log_temperature.exp(), target)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call, unused-ignore]
    return float(log_temperature.detach().exp().clamp(0.05, 20.0))


class CalibrationCounts:
    """Count how often a confidence was right, per confidence byte."""

    def __init__(self) -> None:
        """Start empty."""
        self._seen: NDArray[np.int64] = np.zeros(_LEVELS, dtype=np.int64)
        self._right: NDArray[np.int64] = np.zeros(_LEVELS, dtype=np.int64)

    def add(
        self,
        truth: NDArray[np.uint8],
        prediction: NDArray[np.uint8],
        confidence: NDArray[np.uint8],
    ) -> None:
        """Count the labelled pixels of arrays of one shape."""
        labelled = truth != IGNORE
        levels = confidence[labelled]
        right = truth[labelled] == prediction[labelled]
        self._seen += np.bincount(levels, minlength=_LEVELS)
        self._right += np.bincount(levels[right], minlength=_LEVELS)

    def expected_error(self) -> float:
        """Return the expected calibration error over 15 bins of equal width.

        Raises:
            ModelError: nothing labelled was added.
        """
        total = int(self._seen.sum())
        if total == 0:
            raise ModelError("no labelled pixel was seen; check the masks and the ignored value")
        levels = np.arange(_LEVELS)
        bins = np.minimum(levels * _BINS // 255, _BINS - 1)
        claimed = np.bincount(bins, weights=self._seen * levels / 255.0, minlength=_BINS)
        right = np.bincount(bins, weights=self._right, minlength=_BINS)
        return float(np.abs(claimed - right).sum() / total)
