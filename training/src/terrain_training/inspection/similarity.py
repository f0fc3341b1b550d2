"""Images that are nearly the same, and images unlike the rest of a set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.types import F32
from terrain_training.inspection.descriptors import LOOK_PARTS, detail_of, is_constant, look_of

BLOCK = 1024
"""Images that are compared with as many others at a time."""
DUPLICATE_CORRELATION = 0.9
NEIGHBOURS_AT_LEAST = 5
LIKE_RATIO = 1.2
_MAD_TO_STD = 1.4826
_LEAST_SPREAD = 0.02


@dataclass(frozen=True)
class Pair:
    """The places of two images and the correlation of their detail."""

    first: int
    second: int
    correlation: float


def find_duplicates(descriptors: F32, *, groups: NDArray[np.int64] | None = None) -> list[Pair]:
    """Return images that are nearly the same, each with the one it resembles most.

    One pair per image at most, so that memory does not grow with the square of their number.

    Args:
        descriptors: (N, D).
        groups: (N,) a number per image; only pairs of different groups count.
    """
    detail = detail_of(descriptors)
    count = len(detail)
    best: F32 = np.full(count, -1.0, dtype=np.float32)
    partner = np.zeros(count, dtype=np.int64)
    for top in range(0, count, BLOCK):
        rows = slice(top, min(top + BLOCK, count))
        for left in range(0, rows.stop, BLOCK):
            columns = slice(left, min(left + BLOCK, count))
            product = detail[rows] @ detail[columns].T
            later = np.arange(columns.start, columns.stop) >= np.arange(top, rows.stop)[:, None]
            product[later] = -1.0
            if groups is not None:
                product[groups[rows][:, None] == groups[columns]] = -1.0
            where = product.argmax(axis=1)
            value = product[np.arange(len(where)), where]
            better = value > best[rows]
            best[rows][better] = value[better]
            partner[rows][better] = where[better] + left
    found = np.flatnonzero(best >= DUPLICATE_CORRELATION)
    pairs = [Pair(int(partner[index]), int(index), float(best[index])) for index in found]
    return sorted(pairs, key=lambda pair: (-pair.correlation, pair.first, pair.second))


def comparable_look(descriptors: F32) -> F32:
    """Return the look (N, L), scaled so that a typical difference weighs the same in every part."""
    look = look_of(descriptors).astype(np.float64)
    used = ~is_constant(descriptors)
    sample = look[used] if used.any() else look
    centre = np.median(sample, axis=0)
    spread = _MAD_TO_STD * np.median(np.abs(sample - centre), axis=0)
    scaled = (look - centre) / np.maximum(spread, _LEAST_SPREAD)
    weight = np.concatenate([np.full(size, 1.0 / np.sqrt(size)) for size in LOOK_PARTS])
    return np.asarray(scaled * weight, dtype=np.float32)


def neighbour_distances(look: F32, others: F32, *, nearest: int) -> F32:
    """Return the distance of each of (N, L) to its nearest-th of (M, L), (N,)."""
    result: F32 = np.empty(len(look), dtype=np.float32)
    squared = np.einsum("ij,ij->i", others, others)
    for top in range(0, len(look), BLOCK):
        part = look[top : top + BLOCK]
        distance = squared - 2.0 * (part @ others.T)
        distance += np.einsum("ij,ij->i", part, part)[:, None]
        ranked = np.partition(distance, nearest - 1, axis=1)[:, nearest - 1]
        result[top : top + BLOCK] = np.sqrt(np.maximum(ranked, 0.0))
    return result
