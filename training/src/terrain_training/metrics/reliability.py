"""How far confidences can be believed: the reliability diagram and its error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.types import U8, UNLABELLED

BINS = 15
_LEVELS = 256


@dataclass(frozen=True)
class ReliabilityBin:
    """A bin's mean confidence and accuracy, both 0 to 1, and its pixels."""

    confidence: float
    accuracy: float
    count: int


class ReliabilityCounts:
    """Count how often a confidence was right, per confidence byte."""

    def __init__(self) -> None:
        """Start empty."""
        self._seen: NDArray[np.int64] = np.zeros(_LEVELS, dtype=np.int64)
        self._right: NDArray[np.int64] = np.zeros(_LEVELS, dtype=np.int64)

    def add(self, truth: U8, prediction: U8, confidence: U8) -> None:
        """Count pixels that are labelled and predicted, of arrays of one shape."""
        counted = (truth != IGNORE) & (prediction != UNLABELLED)
        levels = confidence[counted]
        right = truth[counted] == prediction[counted]
        self._seen += np.bincount(levels, minlength=_LEVELS)
        self._right += np.bincount(levels[right], minlength=_LEVELS)

    def merge(self, other: ReliabilityCounts) -> None:
        """Add the counts of other pixels."""
        self._seen += other._seen
        self._right += other._right

    def bins(self) -> tuple[ReliabilityBin, ...]:
        """Return the bins of equal width that hold pixels, in the order of the confidence."""
        seen, claimed, right = self._binned()
        return tuple(
            ReliabilityBin(float(claim / count), float(hits / count), int(count))
            for count, claim, hits in zip(seen, claimed, right)
            if count > 0
        )

    def expected_error(self) -> float:
        """Return the expected calibration error over 15 bins of equal width (Guo et al., 2017).

        Raises:
            ModelError: no pixel was counted.
        """
        seen, claimed, right = self._binned()
        if not seen.sum():
            raise ModelError(
                "no pixel is both labelled and predicted; check the masks and the ignored value"
            )
        return float(np.abs(claimed - right).sum() / seen.sum())

    def _binned(self) -> NDArray[np.float64]:
        """Return pixels, summed confidences and right pixels per bin (3, 15)."""
        levels = np.arange(_LEVELS)
        bins = np.minimum(levels * BINS // (_LEVELS - 1), BINS - 1)
        weights = (self._seen, self._seen * levels / 255.0, self._right)
        return np.stack([np.bincount(bins, weights=each, minlength=BINS) for each in weights])
