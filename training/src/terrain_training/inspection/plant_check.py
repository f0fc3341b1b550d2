"""How many planted foreign images an inspection names, and how many of those named are foreign."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.data.contract import Source
from terrain_training.inspection.planting import Kind, Planted, PlantedSource, Subset
from terrain_training.inspection.survey import Survey, make_survey
from terrain_training.inspection.suspects import find_suspects

log = logging.getLogger(__name__)

AT_A_TIME = 3
"""Kinds in one trial."""


@dataclass
class Tally:
    """What came of all trials with sets of one size."""

    size: int
    planted: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    false_alarms: int = 0
    clean_sets: int = 0
    clean_alarms: int = 0

    @property
    def recall(self) -> float:
        """Return the share of the planted images that were named."""
        return sum(self.found.values()) / max(1, sum(self.planted.values()))

    @property
    def precision(self) -> float:
        """Return the share of the named images that were planted."""
        named = sum(self.found.values()) + self.false_alarms
        return sum(self.found.values()) / max(1, named)


def plant_check(
    source: Source, kinds: Sequence[Kind], *, sizes: Sequence[int], share: float, seeds: int
) -> list[Tally]:
    """Plant every kind in sets of every size, three kinds at a time, and inspect.

    Each seed draws the samples, the order of the kinds and the foreign images anew. A set is also
    inspected with nothing planted.

    Args:
        source: of the samples, all of which are taken to belong.
        kinds: of foreign images.
        sizes: of the sets, foreign images included.
        share: of foreign images in a set.
        seeds: how many to try, from 0.

    Raises:
        ConfigError: there are too few samples, or the share leaves a kind without images.
    """
    names = list(dict.fromkeys(name for part in source.splits() for name in source.names(part)))
    if len(names) < max(sizes):
        raise ConfigError(
            f"there are {len(names)} samples, a set of {max(sizes)} was asked for; name smaller "
            "--sizes"
        )
    each = {size: round(size * share) // AT_A_TIME for size in sizes}
    if min(each.values()) < 1:
        raise ConfigError(
            f"--share {share} of {min(sizes)} samples is less than one image of each of "
            f"{AT_A_TIME} kinds; raise it"
        )
    tallies = {size: Tally(size) for size in sizes}
    for seed in range(seeds):
        random = np.random.default_rng(seed)
        drawn = [names[n] for n in random.permutation(len(names))[: max(sizes)]]
        base = make_survey(Subset(source, drawn), skip_bad=True)
        for size in sizes:
            _count_clean(base, source, tallies[size])
            for trial in _trials(kinds, random):
                hosts = [names[n] for n in random.integers(0, len(names), AT_A_TIME * each[size])]
                planted = [
                    Planted(kind, number, hosts[AT_A_TIME * number + place])
                    for number in range(each[size])
                    for place, kind in enumerate(trial)
                ]
                _count(base, PlantedSource(source, planted, seed=seed), tallies[size])
            log.info("seed %d, %d samples: done", seed, size)
    return list(tallies.values())


def _trials(kinds: Sequence[Kind], random: np.random.Generator) -> Iterator[list[Kind]]:
    """Yield threes of kinds, so that each comes up at least once."""
    order = [kinds[n] for n in random.permutation(len(kinds))]
    order += order[: -len(order) % AT_A_TIME]
    for start in range(0, len(order), AT_A_TIME):
        yield order[start : start + AT_A_TIME]


def _count_clean(base: Survey, source: Source, tally: Tally) -> None:
    suspects = find_suspects(_first(base, tally.size), source)
    tally.clean_sets += 1
    tally.clean_alarms += len(suspects)


def _count(base: Survey, planted: PlantedSource, tally: Tally) -> None:
    foreign = make_survey(planted, skip_bad=False)
    own = _first(base, tally.size - len(foreign.seen))
    joined = replace(
        own,
        seen=(*own.seen, *foreign.seen),
        descriptors=np.concatenate([own.descriptors, foreign.descriptors]),
        rows=np.concatenate([own.rows, foreign.rows]),
        keypoints=(*own.keypoints, *foreign.keypoints),
    )
    kinds = [planted.kind_of(item.name) for item in foreign.seen]
    tally.planted.update(kinds)
    for suspect in find_suspects(joined, planted):
        if suspect.place < len(own.seen):
            tally.false_alarms += 1
        else:
            tally.found[kinds[suspect.place - len(own.seen)]] += 1


def _first(survey: Survey, count: int) -> Survey:
    return replace(
        survey,
        seen=survey.seen[:count],
        descriptors=survey.descriptors[:count],
        rows=survey.rows[:count],
        keypoints=survey.keypoints[:count],
    )
