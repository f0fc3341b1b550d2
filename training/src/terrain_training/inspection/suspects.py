"""Which samples may not belong to a set, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.types import F32, U8
from terrain_training.data.contract import Source
from terrain_training.inspection.descriptors import is_constant
from terrain_training.inspection.keypoints import grey_of
from terrain_training.inspection.outliers import AT_LEAST, COMPANIONS, find_outliers
from terrain_training.inspection.recurring import find_recurring
from terrain_training.inspection.similarity import (
    LIKE_RATIO,
    NEIGHBOURS_AT_LEAST,
    comparable_look,
    neighbour_distances,
)
from terrain_training.inspection.survey import Survey

_GREYS = 256
"""Images that are kept to compare them again."""
REPEATED_SHARE, REPEATED_SELDOM = 0.15, 0.05
"""So many rows are the same, in at most such a share of the set: the image is torn."""


@dataclass(frozen=True)
class Suspect:
    """A sample's place, why it is suspect, and how much (larger is more)."""

    place: int
    reason: str
    score: float


def find_suspects(survey: Survey, source: Source, *, like: Sequence[str] = ()) -> list[Suspect]:
    """Return the samples that may not belong, the most suspect first.

    They are constant, torn or without any label, unlike the rest (see `outliers`), share an object
    that was pasted in (see `recurring`), or are similar to samples that the user names.

    Args:
        survey: of the set.
        source: of the samples, some of which are read again.
        like: names of samples that do not belong.

    Raises:
        ConfigError: a name is not a sample.
    """
    found: dict[int, Suspect] = {}
    look = comparable_look(survey.descriptors)
    candidates = (
        *_like(survey, look, like),
        *_empty(survey),
        *_torn(survey),
        *_unlike(survey),
        *_pasted(survey, source),
    )
    for suspect in candidates:
        found.setdefault(suspect.place, suspect)
    return sorted(found.values(), key=lambda item: (-item.score, item.place))


def _empty(survey: Survey) -> Iterator[Suspect]:
    for place in np.flatnonzero(is_constant(survey.descriptors)).tolist():
        yield Suspect(place, "the image is constant", 1000.0)
    for place, item in enumerate(survey.seen):
        if not item.classes:
            yield Suspect(place, "nothing is labelled", 1000.0)


def _torn(survey: Survey) -> Iterator[Suspect]:
    repeated = np.array([item.repeated for item in survey.seen])
    torn = repeated > REPEATED_SHARE
    if torn.mean() > REPEATED_SELDOM:
        return
    for place in np.flatnonzero(torn).tolist():
        share = 100 * repeated[place]
        yield Suspect(place, f"{share:.0f} % of its rows are the same", 500.0)


def _unlike(survey: Survey) -> Iterator[Suspect]:
    if len(survey.seen) < AT_LEAST:
        return
    outliers = find_outliers(survey.looks())
    for place in outliers.suspect():
        score, others = float(outliers.score[place]), int(outliers.companions[place])
        reason = f"unlike the rest in {outliers.where[place]}, score {score:.1f}"
        if others >= COMPANIONS:
            reason += f", as {others} others"
        yield Suspect(place, reason, score)


def _pasted(survey: Survey, source: Source) -> Iterator[Suspect]:
    @lru_cache(maxsize=_GREYS)
    def grey(place: int) -> U8:
        return grey_of(source.load(survey.seen[place].name).image)

    for place, others in find_recurring(survey.keypoints, grey).items():
        yield Suspect(place, f"shares an object with {others} other images", 100.0 + others)


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
