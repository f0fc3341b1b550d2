"""One object in several images whose surroundings differ: what was pasted in.

Points that agree between two images and keep their arrangement show the same thing twice. A new
view has other pixels, since light, noise and angle differ. Where pixels are the same and what lies
around them is not, the object was carried over. Three images must share it. What a great part of
the set shares, such as the vehicle, belongs to it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.types import F32, U8
from terrain_training.inspection.keypoints import Keypoints, unit_rows

GREATEST_DIFFERENCE = 0.12
"""Mean difference of pixels, by their standard deviation, up to which they are the same."""
GREATEST_SURROUNDING = 0.6
"""Correlation of the surroundings up to which they are others."""
LEAST_POINTS, LEAST_IMAGES = 3, 3
COMMON_SHARE = 0.15
"""Share of the set above which what its images share belongs to it."""
_COSINE, _CLOSEST, _WIDTH = 0.85, 3, 40
_SLACK_PX, _SLACK_SHARE, _APART_PX = 5.0, 0.1, 3.0
_GREATEST_SCALE = 2.0
_BORDER_PX, _BORDER_SHARE, _RING_PX, _LEAST_RING_PX = 8.0, 0.35, 30.0, 300
_RIM_PX, _GROWN_PX = 2, 7
I64 = NDArray[np.int64]


@dataclass(frozen=True)
class _Link:
    """Two images, and the points of each (P, 2) that agree."""

    first: int
    second: int
    first_px: F32
    second_px: F32


def find_recurring(keypoints: Sequence[Keypoints], grey: Callable[[int], U8]) -> dict[int, int]:
    """Return how many other images share an object with each of those that do, by place.

    An image counts as sharing with those that it is linked to over others, too.

    Args:
        keypoints: of every image.
        grey: returns an image by place, as `keypoints.grey_of` does.
    """
    shared = [(link.first, link.second) for link in _links(keypoints) if _carried_over(link, grey)]
    most = COMMON_SHARE * len(keypoints)
    return {
        place: size - 1
        for place, size in sorted(_group_sizes(shared).items())
        if LEAST_IMAGES <= size <= max(most, LEAST_IMAGES)
    }


def _group_sizes(shared: Sequence[tuple[int, int]]) -> dict[int, int]:
    """Return how many images are linked with each, over others too."""
    group = {place: place for pair in shared for place in pair}

    def root(place: int) -> int:
        while group[place] != place:
            place = group[place]
        return place

    for first, second in shared:
        group[root(second)] = root(first)
    sizes = Counter(root(place) for place in group)
    return {place: sizes[root(place)] for place in group}


def _links(keypoints: Sequence[Keypoints]) -> Iterator[_Link]:
    owner = np.repeat(np.arange(len(keypoints)), [len(item.places) for item in keypoints])
    if not len(owner):
        return
    places = np.concatenate([item.places for item in keypoints])
    for (first, second), pairs in sorted(_matches(keypoints, owner).items()):
        if len(pairs) < LEAST_POINTS:
            continue
        left, right = np.array(sorted(pairs)).T
        agree = _agreeing(places[left], places[right])
        if agree is not None:
            yield _Link(first, second, places[left][agree, :2], places[right][agree, :2])


def _matches(
    keypoints: Sequence[Keypoints], owner: I64
) -> dict[tuple[int, int], set[tuple[int, int]]]:
    """Return the pairs of points that look alike, by the pair of images that they are of."""
    unit = unit_rows(np.concatenate([item.descriptors for item in keypoints]))
    sample = unit[:: max(1, len(unit) // 8000)]
    centred = (sample - sample.mean(axis=0)).astype(np.float64)
    axes = np.linalg.eigh(centred.T @ centred)[1][:, -_WIDTH:].astype(np.float32)
    short = (unit - sample.mean(axis=0)) @ axes
    half = 0.5 * (short**2).sum(axis=1)
    start = np.searchsorted(owner, np.arange(len(keypoints) + 1))
    found: dict[tuple[int, int], set[tuple[int, int]]] = {}
    for image in range(len(keypoints)):
        own = np.arange(start[image], start[image + 1])
        if not len(own):
            continue
        closeness = short[own] @ short.T - half
        closeness[:, own] = -np.inf
        for _ in range(min(_CLOSEST, len(unit) - len(own))):
            other = closeness.argmax(axis=1)
            closeness[np.arange(len(own)), other] = -np.inf
            alike = (unit[own] * unit[other]).sum(axis=1) > _COSINE
            for here, there in zip(own[alike].tolist(), other[alike].tolist()):
                low, high = sorted((here, there))
                found.setdefault((int(owner[low]), int(owner[high])), set()).add((low, high))
    return found


def _agreeing(left: F32, right: F32) -> NDArray[np.bool_] | None:
    """Return which pairs of points (P, 4) follow one shift, turn and scale; None: too few do."""
    best, most = None, LEAST_POINTS - 1
    for here, there in zip(left, right):
        scale = float(there[2] / here[2])
        if not 1.0 / _GREATEST_SCALE < scale < _GREATEST_SCALE:
            continue
        turn = np.deg2rad(there[3] - here[3])
        cosine, sine = scale * np.cos(turn), scale * np.sin(turn)
        x, y = (left[:, :2] - here[:2]).T
        moved = np.stack([cosine * x - sine * y, sine * x + cosine * y], axis=1) + there[:2]
        off = np.linalg.norm(moved - right[:, :2], axis=1)
        agree = off < _SLACK_PX + _SLACK_SHARE * np.hypot(x, y)
        cells = {tuple(cell) for cell in np.rint(left[agree, :2] / _APART_PX).tolist()}
        if len(cells) > most:
            best, most = agree, len(cells)
    return best


def _carried_over(link: _Link, grey: Callable[[int], U8]) -> bool:
    """Return whether the pixels between the points are the same, and those around are not."""
    move, _ = cv2.estimateAffinePartial2D(link.first_px, link.second_px, method=cv2.LMEDS)
    if move is None:
        return False
    first, second = grey(link.first), grey(link.second)
    size = (second.shape[1], second.shape[0])
    hull = np.zeros(second.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(np.rint(link.second_px).astype(np.int32)), 1)
    here = cv2.dilate(hull, np.ones((_GROWN_PX, _GROWN_PX), np.uint8)) > 0
    moved = cv2.warpAffine(first, move, size).astype(np.float32)
    difference = np.abs(moved - second)[here].mean() / max(float(second[here].std()), 1.0)
    if difference > GREATEST_DIFFERENCE:
        return False
    extent = float(np.ptp(link.second_px, axis=0).max())
    border = _BORDER_PX + _BORDER_SHARE * extent
    away = cv2.distanceTransform(1 - hull, cv2.DIST_L2, 5)
    inside = np.zeros(first.shape, np.uint8)
    inside[_RIM_PX:-_RIM_PX, _RIM_PX:-_RIM_PX] = 1
    valid = cv2.warpAffine(inside, move, size, flags=cv2.INTER_NEAREST) > 0
    ring = valid & (away > border) & (away <= border + _RING_PX)
    if ring.sum() < _LEAST_RING_PX:
        return False
    one, two = cv2.warpAffine(_fine(first), move, size)[ring], _fine(second)[ring]
    return float(np.corrcoef(one, two)[0, 1]) <= GREATEST_SURROUNDING


def _fine(grey: U8) -> F32:
    """Return an image without noise and without what is smooth."""
    values = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 1.5)
    return np.asarray(values - cv2.GaussianBlur(values, (0, 0), 8.0), np.float32)
