"""What one split tells of another: near-duplicates, and images taken shortly after each other."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.data.rover_clock import MIN_GAP_S, spacecraft_clock_s
from terrain_training.inspection.similarity import Pair, find_duplicates
from terrain_training.inspection.survey import Survey


@dataclass(frozen=True)
class ClockPair:
    """The places of two images of different splits, and the seconds between them."""

    first: int
    second: int
    apart_s: int


@dataclass(frozen=True)
class Leakage:
    """What leaks: `clock` is None where names carry no clock.

    `smallest_gap_s` is the least time between images of different splits.
    """

    alike: tuple[Pair, ...]
    clock: tuple[ClockPair, ...] | None
    smallest_gap_s: int | None


def find_leakage(survey: Survey) -> Leakage:
    """Return near-duplicates and close times across splits, the worst first."""
    groups = survey.groups().astype(np.int64)
    alike = find_duplicates(survey.descriptors, groups=groups) if len(survey.splits) > 1 else []
    clock = _clock_pairs(survey)
    if clock is None:
        return Leakage(tuple(alike), None, None)
    close = tuple(pair for pair in clock if pair.apart_s <= MIN_GAP_S)
    return Leakage(tuple(alike), close, min((p.apart_s for p in clock), default=None))


def _clock_pairs(survey: Survey) -> list[ClockPair] | None:
    """Return, for each image, the one before it where that is of another split."""
    try:
        times = [spacecraft_clock_s(item.name.rpartition("/")[2]) for item in survey.seen]
    except ConfigError:  # the names carry no clock
        return None
    order = sorted(range(len(times)), key=lambda place: times[place])
    pairs = [
        ClockPair(before, after, times[after] - times[before])
        for before, after in itertools.pairwise(order)
        if survey.seen[before].split != survey.seen[after].split
    ]
    return sorted(pairs, key=lambda pair: (pair.apart_s, pair.first))
