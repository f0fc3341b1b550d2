"""How little each image of a set belongs to it, when some of the others do not either.

Foreign images come in kinds, and those of a kind are each other's neighbours, so that no distance
to the nearest neighbours tells them. Each image is held against the bulk of the set instead, fitted
without those that were found already and without the image itself (Mahalanobis distance by parts of
the set), once per depth of a network, and place by place against the images of the bulk.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.types import F32, F64
from terrain_training.inspection.encoder import Looks

AT_LEAST = 24
"""Images that a set must have to tell what belongs."""
ALONE = 6.0
"""Score from which on an image is suspect by itself."""
TOGETHER, COMPANIONS, COMPANION_SHARE, ALIKE = 3.0, 3, 0.0075, 0.35
"""Score from which on it is suspect with others that deviate alike (cosine): so many, or so large a
share of the set where that is more."""
_BULK = 4.0
_DIMENSIONS = 48
_LEAST_SHARE = 3e-3
"""Of the variance; what varies less along an axis counts as if it varied so much."""
_FOLDS = 4
_ROUNDS = 3
_BANK, _BANK_SHARE, _TOP_PLACES, _PLACE_DIMENSIONS = 150, 0.12, 4, 32
_PART = "a part of it"
_LEAST_SPREAD = 0.08
"""Of the logarithm of distances; a set that is more uniform makes nothing suspect by that."""
_QUANTILE, _QUANTILE_Z = 0.85, 1.036
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Outliers:
    """A score per image (N,), where it deviates most, and how many others deviate alike."""

    score: F64
    where: tuple[str, ...]
    companions: NDArray[np.int64]

    def suspect(self) -> list[int]:
        """Return the places of those that may not belong."""
        enough = max(COMPANIONS, round(COMPANION_SHARE * len(self.score)))
        together = (self.score > TOGETHER) & (self.companions >= enough)
        return [int(place) for place in np.flatnonzero(together | (self.score > ALONE))]


def find_outliers(looks: Looks, *, seed: int = 0) -> Outliers:
    """Score every image of a set of at least `AT_LEAST`.

    A score is about 0 for the typical image and 1 for one in seven.

    Args:
        looks: of the images.
        seed: of the folds and of the images that places are compared with.
    """
    random = np.random.default_rng(seed)
    count = len(looks.places)
    folds = random.permutation(count) % _FOLDS
    novel = _novelty(looks.places, random.permutation(count)[:_BANK])
    bulk: Flags = np.ones(count, dtype=np.bool_)
    for turn in range(_ROUNDS):
        distances = [
            _without_itself(part, bulk, folds) if turn else _trimmed(part)
            for part in looks.depths.values()
        ]
        deviations = np.stack([_standard(d, bulk) for d in (*distances, novel)], axis=1)
        total = np.sqrt((np.maximum(deviations, 0.0) ** 2).sum(axis=1))
        middle = float(np.median(total[bulk]))
        score = (total - middle) / max(float(np.quantile(total[bulk], _QUANTILE)) - middle, 1e-9)
        limit = _BULK if turn else min(_BULK, float(np.quantile(score, _QUANTILE)))
        bulk = score <= limit
    names = (*looks.depths, _PART)
    where = tuple(names[int(column)] for column in deviations.argmax(axis=1))
    return Outliers(score, where, _companions(looks, bulk, score))


def _companions(looks: Looks, bulk: Flags, score: F64) -> NDArray[np.int64]:
    """Return how many other candidates deviate from the bulk in about the same direction (N,)."""
    found: NDArray[np.int64] = np.zeros(len(score), dtype=np.int64)
    candidates = np.flatnonzero(score > TOGETHER)
    parts = []
    for part in looks.depths.values():
        inside, outside = _Bulk(part[bulk]).split(part)
        whole = np.concatenate([inside, outside], axis=1)
        typical = np.sqrt(np.median((whole[bulk] ** 2).sum(axis=1)))
        parts.append(whole[candidates] / max(float(typical), 1e-9))
    joined = np.concatenate(parts, axis=1)
    joined /= np.maximum(np.linalg.norm(joined, axis=1, keepdims=True), 1e-9)
    alike = joined @ joined.T > ALIKE
    found[candidates] = alike.sum(axis=1) - 1
    return found


class _Bulk:
    """Mean and leading axes of the images (M, D) that belong."""

    def __init__(self, images: F32) -> None:
        self.mean = images.mean(axis=0)
        centred = images - self.mean
        count, width = centred.shape
        if width > count:
            values, vectors = np.linalg.eigh((centred @ centred.T).astype(np.float64))
        else:
            values, vectors = np.linalg.eigh((centred.T @ centred).astype(np.float64))
        values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
        self.axes_count = min(_DIMENSIONS, max(2, count // 5))
        leading = vectors[:, : self.axes_count]
        if width > count:
            roots = np.sqrt(np.maximum(values[: self.axes_count], 1e-9))
            leading = (centred.T @ leading) / roots
        self._axes = leading.astype(np.float32)  # (D, K)
        variances = values / count
        rest = min(width, count) - self.axes_count
        least = _LEAST_SHARE * float(variances.sum()) + 1e-9
        self._rest = max(float(variances[self.axes_count :].sum()) / max(1, rest), least)
        self._variances = variances[: self.axes_count] + self._rest
        self._typical_outside = float(np.median(self._outside(centred)))

    def distance(self, images: F32) -> F64:
        """Return the distance of each image, (N,)."""
        centred = images - self.mean
        along = centred @ self._axes
        inside = (along**2 / self._variances).sum(axis=1)
        outside = self._outside(centred) / max(self._typical_outside, 1e-9) * self.axes_count
        return np.asarray(np.sqrt(inside + outside), np.float64)

    def split(self, images: F32) -> tuple[F32, F32]:
        """Return deviations along the axes (N, K) and beside them (N, D), each scaled."""
        centred = images - self.mean
        along = centred @ self._axes
        beside = (centred - along @ self._axes.T) / np.sqrt(self._rest)
        return (along / np.sqrt(self._variances)).astype(np.float32), beside.astype(np.float32)

    def _outside(self, centred: F32) -> F32:
        along = centred @ self._axes
        outside = (centred**2).sum(axis=1) - (along**2).sum(axis=1)
        return np.asarray(np.maximum(outside, 0.0), np.float32)


def _trimmed(images: F32) -> F64:
    """Return distances to the four fifths that lie closest together."""
    most = max(2, int(0.8 * len(images)))
    squares = (images - np.median(images, axis=0)) ** 2
    distance: F64 = squares.sum(axis=1).astype(np.float64)
    for _ in range(_ROUNDS + 1):
        core = np.argsort(distance, kind="stable")[:most]
        distance = _Bulk(images[core]).distance(images)
    return distance


def _without_itself(images: F32, bulk: Flags, folds: NDArray[np.int64]) -> F64:
    """Return distances to the bulk, each image's to the bulk in the other folds."""
    result: F64 = np.empty(len(images), dtype=np.float64)
    for fold in range(_FOLDS):
        here = folds == fold
        result[here] = _Bulk(images[bulk & ~here]).distance(images[here])
    return result


def _standard(distance: F64, bulk: Flags) -> F64:
    """Return the logarithm of distances in standard deviations of the bulk."""
    log = np.log(np.maximum(distance, 1e-6))
    middle = float(np.median(log[bulk]))
    spread = (float(np.quantile(log[bulk], _QUANTILE)) - middle) / _QUANTILE_Z
    result: F64 = (log - middle) / max(spread, _LEAST_SPREAD)
    return result


def _novelty(places: F32, bank: NDArray[np.int64]) -> F64:
    """Return how far the strangest places of each image are from those of other images (N,).

    Of the images in the bank, the one at 12 % counts: more than one kind of foreign image has.
    """
    white = _whitened(places, bank)
    count, each, width = white.shape
    others = white[bank].reshape(-1, width)
    squared = (others**2).sum(axis=1)
    nearest = min(len(bank) - 1, max(3, round(_BANK_SHARE * len(bank))))
    result: F64 = np.empty(count, dtype=np.float64)
    for place in range(count):
        own = white[place]
        distance = (own**2).sum(axis=1)[:, None] + squared - 2.0 * own @ others.T
        by_image = distance.reshape(each, len(bank), each).min(axis=2)
        away = np.partition(by_image, nearest, axis=1)[:, nearest]
        result[place] = np.sqrt(np.maximum(np.sort(away)[-_TOP_PLACES:], 0.0)).mean()
    return result


def _whitened(places: F32, bank: NDArray[np.int64]) -> F32:
    """Return places (N, 49, K) whose channels vary alike and apart from each other."""
    sample = places[bank].reshape(-1, places.shape[2])
    centre = np.median(sample, axis=0)
    centred = (sample - centre).astype(np.float64)
    values, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    values, axes = values[::-1][:_PLACE_DIMENSIONS], axes[:, ::-1][:, :_PLACE_DIMENSIONS]
    scale = np.sqrt(np.maximum(values, 0.0) + 0.1 * values.mean() + 1e-9)
    return np.asarray(((places - centre) @ axes) / scale, np.float32)
