"""Read a labelled folder once: shares of the classes, sizes, colours, and images to show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.types import U8
from terrain_training.data.class_balance import BalanceCounter, ClassBalance
from terrain_training.data.contract import BadSampleError, Source, check_classes
from terrain_training.preparation.sheet import IMAGES
from terrain_training.progress import progress_of

MAX_SAMPLES = 2000
_LOOKED_AT = 400
COLOUR_LEVELS = 3.0
"""Mean difference of the channels from which an image has colours."""


@dataclass(frozen=True)
class FolderSurvey:
    """What a labelled folder holds; `shown` are samples that together have many classes."""

    balance: ClassBalance
    has_colour: bool
    height_px: int
    width_px: int
    shown: tuple[str, ...]
    bad: tuple[str, ...]
    looked_at: int

    def share(self, number: int) -> float:
        """Return the share of the labelled pixels that a class has, 0 to 1."""
        return float(self.balance.pixels[number] / max(1, self.balance.pixels.sum()))


def survey_source(source: Source) -> FolderSurvey:
    """Read the samples of all splits, of many some evenly spaced.

    Raises:
        ConfigError: none can be used.
    """
    names = [name for split in source.splits() for name in source.names(split)]
    chosen = names[:: -(-len(names) // MAX_SAMPLES)]
    counter = BalanceCounter(source.taxonomy.names)
    bad: list[str] = []
    sizes, coloured = [], []
    seen: dict[str, frozenset[int]] = {}
    for name in progress_of(chosen, "count classes", unit="image"):
        try:
            sample = source.load(name)
            check_classes(sample, source.taxonomy)
        except BadSampleError as error:
            bad.append(str(error))
            continue
        counts = counter.add(sample.mask)
        floor = 0.002 * sample.mask.size
        seen[name] = frozenset(np.flatnonzero(counts > floor).tolist())
        sizes.append(sample.mask.shape)
        coloured.append(_has_colour(sample.image))
    if not seen:
        raise ConfigError(f"none of {len(chosen)} images can be used; the first: {bad[0]}")
    height_px, width_px = np.median(np.array(sizes), axis=0)
    return FolderSurvey(
        counter.result(),
        float(np.mean(coloured)) > 0.5,
        int(height_px),
        int(width_px),
        _shown(seen),
        tuple(bad),
        len(chosen),
    )


def _has_colour(image: U8) -> bool:
    if image.ndim == 2:
        return False
    small = image[::8, ::8].astype(np.int16)
    return float((small.max(axis=2) - small.min(axis=2)).mean()) > COLOUR_LEVELS


def _shown(seen: dict[str, frozenset[int]]) -> tuple[str, ...]:
    """Return samples so that each class is shown as soon as it can be."""
    counts: dict[int, int] = {}
    chosen: list[str] = []
    names = list(seen)
    order = np.random.default_rng(0).permutation(len(names))[:_LOOKED_AT]
    spaced = [names[place] for place in order]  # neighbours in a set are often alike
    while len(chosen) < min(IMAGES, len(spaced)):
        rest = [name for name in spaced if name not in chosen]
        best = max(rest, key=lambda name: sum(1.0 / (1 + 4 * counts.get(c, 0)) for c in seen[name]))
        chosen.append(best)
        for number in seen[best]:
            counts[number] = counts.get(number, 0) + 1
    return tuple(chosen)
