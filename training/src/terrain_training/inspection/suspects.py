"""Which samples may not belong to a set, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.types import F32, F64
from terrain_training.inspection.descriptors import is_constant
from terrain_training.inspection.similarity import (
    LIKE_RATIO,
    NEIGHBOUR_SHARE,
    NEIGHBOURS_AT_LEAST,
    UNLIKE_Z,
    comparable_look,
    neighbour_distances,
)
from terrain_training.inspection.survey import Survey

_MAD_TO_STD = 1.4826


@dataclass(frozen=True)
class Suspect:
    """Hold a sample's place, why it is suspect, and how much (larger is more)."""

    place: int
    reason: str
    score: float


def find_suspects(survey: Survey, *, like: Sequence[str] = ()) -> list[Suspect]:
    """Return the samples that may not belong, the most suspect first.

    They are constant or without any label, unlike the rest (their distance to their neighbours is
    beyond `UNLIKE_Z` robust standard deviations), or similar to samples that the user names.

    Args:
        survey: of the set.
        like: names of samples that do not belong.

    Raises:
        ConfigError: a name is no sample.
    """
    found: dict[int, Suspect] = {}
    look = comparable_look(survey.descriptors)
    candidates = (*_like(survey, look, like), *_empty(survey), *_unlike(survey, look))
    for suspect in candidates:
        found.setdefault(suspect.place, suspect)
    return sorted(found.values(), key=lambda item: (-item.score, item.place))


def distances_to_neighbours(look: F32) -> F64:
    """Return each sample's distance to its neighbours, in robust standard deviations (N,).

    Counted is the neighbour at one per cent of the set (five or more), so that a small group of
    foreign images, alike among themselves, still stands out.
    """
    count = len(look)
    nearest = min(count, 1 + max(NEIGHBOURS_AT_LEAST, round(NEIGHBOUR_SHARE * count)))
    away = neighbour_distances(look, look, nearest=nearest).astype(np.float64)
    spread = _MAD_TO_STD * float(np.median(np.abs(away - np.median(away))))
    result: F64 = (away - np.median(away)) / max(spread, 1e-9)
    return result


def _empty(survey: Survey) -> Iterator[Suspect]:
    for place in np.flatnonzero(is_constant(survey.descriptors)).tolist():
        yield Suspect(place, "the image is constant", 1000.0)
    for place, item in enumerate(survey.seen):
        if not item.classes:
            yield Suspect(place, "nothing is labelled", 1000.0)


def _unlike(survey: Survey, look: F32) -> Iterator[Suspect]:
    if len(survey.seen) <= NEIGHBOURS_AT_LEAST:
        return
    score = distances_to_neighbours(look)
    for place in np.flatnonzero(score > UNLIKE_Z).tolist():
        yield Suspect(place, f"unlike the rest, z = {score[place]:.1f}", float(score[place]))


def _like(survey: Survey, look: F32, like: Sequence[str]) -> Iterator[Suspect]:
    if not like:
        return
    places = {item.name: place for place, item in enumerate(survey.seen)}
    unknown = sorted(set(like) - set(places))
    if unknown:
        raise ConfigError(f"--like names {unknown[:3]}, which are no samples; see the report")
    examples = [places[name] for name in like]
    to_example = neighbour_distances(look, look[examples], nearest=1)
    # An ordinary sample has neighbours far closer than an example; one of their kind has not.
    nearest = min(len(look), 1 + NEIGHBOURS_AT_LEAST)
    ratio = to_example / np.maximum(neighbour_distances(look, look, nearest=nearest), 1e-9)
    for place in np.flatnonzero(ratio <= LIKE_RATIO).tolist():
        yield Suspect(place, f"similar to {', '.join(like[:3])}", 2000.0 - float(ratio[place]))
