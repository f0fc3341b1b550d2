"""The rule that decides what is a hazard; used for pixels, cells, ground truth and scores."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.kernel import kernel
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import F32, U8

ROUNDING = 1e-6
"""Tolerance: rounding must not turn a value exactly at the threshold into safe ground."""
BYTE_ROUNDING = 255.0 * ROUNDING
MAJORITY = 0.5
"""Share of the probability at which the hazardous classes alone decide."""

BLOCK = 1024
"""Pixels that are rated at once, so that what is between stays in the processor's cache."""

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class HazardRule:
    """The hazard of each class (K,), 0 to 1, and the threshold.

    The input is one weight p_k per class: bytes of a network, evidence of a cell, or a single
    class for ground truth. Weights are normalised by their own sum, so that rounding to bytes
    does not matter: P(hazard) = sum of p_k x hazard_k / sum of p_k. A pixel or cell is a hazard
    if P(hazard) reaches the threshold, or if the hazardous classes (those whose own hazard
    reaches the threshold) have at least half of the probability. A class exactly at the
    threshold therefore is a hazard both at probability 1, as in ground truth, and at 0.995, as
    from a network.
    """

    hazards: F32
    threshold: float

    def __post_init__(self) -> None:
        """Check the range."""
        if not 0.0 < self.threshold <= 1.0:
            raise ConfigError(
                f"hazard_threshold is {self.threshold}, expected more than 0, at most 1"
            )

    @classmethod
    def of(cls, taxonomy: Taxonomy, threshold: float) -> HazardRule:
        """Return the rule for a model's classes.

        Raises:
            ConfigError: the threshold is out of range.
        """
        return cls(taxonomy.hazards(), threshold)

    def hazardous_classes(self) -> Flags:
        """Return which classes (K,) are hazardous: their own hazard reaches the threshold."""
        return self.hazards.astype(np.float64) >= self.threshold - ROUNDING

    def classes_at_threshold(self) -> Flags:
        """Return which classes (K,) have a hazard exactly at the threshold."""
        return np.abs(self.hazards.astype(np.float64) - self.threshold) <= ROUNDING

    def score(self, parts_k: Iterable[NDArray[Any]]) -> F32:
        """Return P(hazard), 0 to 1, NaN where all weights are 0.

        Where the hazardous classes decide, the score is at least the threshold, so that `reaches`
        of the score agrees with `is_hazard` of the weights.

        Args:
            parts_k: the weights, K non-negative arrays of the same shape.
        """
        parts = np.asarray(parts_k if isinstance(parts_k, np.ndarray) else list(parts_k))
        flat = np.ascontiguousarray(parts, dtype=np.float32).reshape(len(parts), -1)
        found: F32 = _scores(
            flat, self.hazards.astype(np.float32), self.hazardous_classes(), self.threshold
        )
        return found.reshape(parts.shape[1:])

    def reaches(self, score: F32) -> Flags:
        """Return which scores are hazards; NaN is not a hazard."""
        return np.asarray(score >= self.threshold - ROUNDING)

    def is_hazard(self, parts_k: NDArray[Any]) -> Flags:
        """Return where weights (K, ...) are hazards, the same as `reaches(score(parts_k))`.

        For uint8 weights no division is needed.
        """
        if parts_k.dtype != np.uint8:
            return self.reaches(self.score(parts_k))
        flat = np.ascontiguousarray(parts_k).reshape(len(parts_k), -1)
        above = (self.hazards.astype(np.float64) - self.threshold).astype(np.float32)
        found: Flags = _bytes_are_hazards(flat, above, self.hazardous_classes())
        return found.reshape(parts_k.shape[1:])

    def undivided(self) -> str:
        """Return why the classes cannot separate safe ground from hazards, empty if they can."""
        flags = self.hazardous_classes()
        values = sorted({float(value) for value in self.hazards})
        detail = f"all classes have hazard {values[0]:g}" if len(values) == 1 else ""
        if flags.all():
            why = f"no class is safe at the threshold {self.threshold:g}"
        elif not flags.any():
            why = f"no class is a hazard at the threshold {self.threshold:g}"
        else:
            return ""
        return f"{why}: {detail}" if detail else why

    def advice(self, names: tuple[str, ...]) -> str:
        """Return a warning about classes with these names, empty if there is none."""
        undivided = self.undivided()
        if undivided:
            return f"{undivided}; set hazard.<class> or cost.hazard_threshold"
        flags = self.classes_at_threshold()
        found = [name for name, flag in zip(names, flags) if flag]
        if not found:
            return ""
        return (
            f"hazard of {', '.join(found)} is exactly cost.hazard_threshold {self.threshold:g}: "
            "they count as hazards"
        )


@kernel("uint8[:, ::1], float32[::1], boolean[::1]")
def _bytes_are_hazards(parts: U8, above: F32, is_hazardous: Flags) -> Flags:
    """Return where bytes (K, N) are hazards, given by how much each class is `above` the threshold.

    P(hazard) reaches the threshold where the mean of `above`, weighted by the bytes, reaches 0.
    """
    found = np.empty(parts.shape[1], dtype=np.bool_)
    excess, least = np.empty(BLOCK, dtype=np.float32), -np.float32(BYTE_ROUNDING)
    total, sure = np.empty(BLOCK, dtype=np.int32), np.empty(BLOCK, dtype=np.int32)
    for first in range(0, found.size, BLOCK):
        excess[:], total[:], sure[:] = 0.0, 0, 0
        for number in range(len(parts)):
            of_class, gain = parts[number][first : first + BLOCK], above[number]
            for pixel in range(of_class.size):
                excess[pixel] += np.float32(of_class[pixel]) * gain
            for pixel in range(of_class.size):
                total[pixel] += np.int32(of_class[pixel])
            for pixel in range(of_class.size if is_hazardous[number] else 0):
                sure[pixel] += np.int32(of_class[pixel])
        block = found[first : first + BLOCK]
        for pixel in range(block.size):
            decides = (excess[pixel] >= least) | (sure[pixel] >= total[pixel] - sure[pixel])
            block[pixel] = decides & (total[pixel] > 0)
    return found


@kernel("float32[:, ::1], float32[::1], boolean[::1], float64")
def _scores(parts: F32, hazards: F32, is_hazardous: Flags, threshold: float) -> F32:
    """Return P(hazard) of weights (K, N), NaN where all are 0."""
    total, score, sure = np.zeros((3, parts.shape[1]), dtype=np.float32)
    for number in range(len(parts)):
        of_class, hazard, counts = parts[number], hazards[number], np.float32(is_hazardous[number])
        for place in range(total.size):
            total[place] += of_class[place]
            score[place] += of_class[place] * hazard
            sure[place] += of_class[place] * counts
    for place in range(total.size):
        score[place] = score_of_sums(total[place], score[place], sure[place], threshold)
    return score


@kernel("float32, float32, float32, float64")
def score_of_sums(total: float, score: float, sure: float, threshold: float) -> float:
    """Return P(hazard) from sums over the classes: of weights, and of weights times hazards.

    `sure` is the sum of the weights of hazardous classes. The result is NaN where there is nothing.
    """
    found: float = np.float32(np.nan)
    if total > 0.0:
        found = min(score / total, np.float32(1.0))
        if sure >= np.float32(MAJORITY - ROUNDING) * total:
            found = max(found, np.float32(threshold))
    return found
