"""Which of samples that are nearly the same to leave out, so that one of each remains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from terrain_seg_ros.core.types import F32
from terrain_training.inspection.descriptors import detail_of
from terrain_training.inspection.similarity import BLOCK, DUPLICATE_CORRELATION
from terrain_training.inspection.survey import Seen, Survey

_SPLIT_RANKS = {"train": 1, "validation": 2}
"""Splits of other names are held out to compare models with, and come first."""


@dataclass(frozen=True)
class Superfluous:
    """The places of a sample to leave out and of the one to keep, and their correlation."""

    place: int
    kept: int
    correlation: float


def superfluous(survey: Survey) -> list[Superfluous]:
    """Return the samples to leave out, in the order of the survey.

    Each is nearly the same as one that is kept. Kept are, in this order: samples of a split that is
    neither train nor validation, those of train, those of validation; of one split the one with
    more labels, then the larger one, then the first.
    """
    seen = survey.seen
    order = np.array(sorted(range(len(seen)), key=lambda n: (_rank(seen[n]), n)), dtype=np.int64)
    detail = detail_of(survey.descriptors)
    kept: list[int] = []
    found: list[Superfluous] = []
    for top in range(0, len(order), BLOCK):
        block = order[top : top + BLOCK]
        best, partner = _closest(detail[block], detail, np.array(kept, dtype=np.int64))
        inside = detail[block] @ detail[block].T
        here: list[int] = []
        for number, place in enumerate(block.tolist()):
            if here:
                among = inside[number, here]
                nearest = int(among.argmax())
                if among[nearest] > best[number]:
                    best[number], partner[number] = among[nearest], block[here[nearest]]
            if best[number] >= DUPLICATE_CORRELATION:
                found.append(Superfluous(place, int(partner[number]), float(best[number])))
            else:
                here.append(number)
                kept.append(place)
    return sorted(found, key=lambda item: item.place)


def _rank(item: Seen) -> tuple[int, float, int]:
    width, height = item.size_px
    return _SPLIT_RANKS.get(item.split, 0), -item.labelled, -width * height


def _closest(
    block: F32, detail: F32, kept: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
) -> tuple[F32, np.ndarray[tuple[int, ...], np.dtype[np.int64]]]:
    """Return the correlation with, and place of, the kept sample that is most alike to each."""
    best: F32 = np.full(len(block), -1.0, dtype=np.float32)
    partner = np.zeros(len(block), dtype=np.int64)
    for left in range(0, len(kept), BLOCK):
        columns = kept[left : left + BLOCK]
        product = block @ detail[columns].T
        where = product.argmax(axis=1)
        value = product[np.arange(len(block)), where]
        better = value > best
        best[better], partner[better] = value[better], columns[where[better]]
    return best, partner
