"""Read every sample of a set once, and keep of each what is small."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from terrain_seg_ros.core.types import F32, F64, U8
from terrain_training.data.contract import BadSampleError, Sample, Source, check_classes
from terrain_training.inspection.balance import BalanceCounter, ClassBalance
from terrain_training.inspection.descriptors import LENGTH, describe

log = logging.getLogger(__name__)

THUMBNAIL_PX = 96
SAY_EVERY = 500
BLACK, WHITE = 2, 253
"""Grey levels from which on a pixel counts as black or saturated."""


@dataclass(frozen=True)
class Seen:
    """Hold what is kept of one sample.

    `image` is at most 96 px (h, w, 3) RGB, `mask` as large; `mean` and `std` are grey levels,
    `black` and `white` shares of the pixels; `classes` holds the ids in the mask.
    """

    name: str
    split: str
    image: U8
    mask: U8
    size_px: tuple[int, int]
    colour: bool
    mean: float
    std: float
    black: float
    white: float
    classes: tuple[int, ...]


@dataclass(frozen=True)
class Survey:
    """Hold a set: N samples, their descriptors (N, D), balance per split, and the bad ones."""

    splits: tuple[str, ...]
    seen: tuple[Seen, ...]
    descriptors: F32
    balance: Mapping[str, ClassBalance]
    whole: ClassBalance
    bad: Mapping[str, str]

    def places(self, split: str) -> list[int]:
        """Return where the samples of a split are."""
        return [place for place, item in enumerate(self.seen) if item.split == split]

    def groups(self) -> F64:
        """Return the number of the split of each sample (N,)."""
        order = {name: number for number, name in enumerate(self.splits)}
        return np.array([order[item.split] for item in self.seen])


def make_survey(source: Source, *, skip_bad: bool) -> Survey:
    """Read every sample of every split once.

    Args:
        source: of the samples.
        skip_bad: list what cannot be used and go on.

    Raises:
        BadSampleError: a sample cannot be used and `skip_bad` is off.
        ConfigError: nothing is left.
    """
    names = source.taxonomy.names
    seen: list[Seen] = []
    descriptors: list[F32] = []
    bad: dict[str, str] = {}
    whole = BalanceCounter(names)
    parts: dict[str, ClassBalance] = {}
    for split in source.splits():
        counter = BalanceCounter(names)
        for name in source.names(split):
            sample = _load(source, name, bad, skip_bad=skip_bad)
            if sample is None:
                continue
            counter.add(sample.mask)
            counts = whole.add(sample.mask)
            seen.append(_look_at(sample, split, np.flatnonzero(counts).tolist()))
            descriptors.append(describe(sample.image))
            if len(seen) % SAY_EVERY == 0:
                log.info("%d samples", len(seen))
        parts[split] = counter.result()
    stacked = np.stack(descriptors) if descriptors else np.zeros((0, LENGTH), np.float32)
    return Survey(tuple(source.splits()), tuple(seen), stacked, parts, whole.result(), bad)


def _load(source: Source, name: str, bad: dict[str, str], *, skip_bad: bool) -> Sample | None:
    try:
        sample = source.load(name)
        check_classes(sample, source.taxonomy)
    except BadSampleError as error:
        if not skip_bad:
            raise
        bad[name] = str(error)
        return None
    return sample


def _look_at(sample: Sample, split: str, classes: Sequence[int]) -> Seen:
    image = sample.image
    colour = image.ndim == 3
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) if colour else image
    height, width = grey.shape
    factor = max(1.0, max(height, width) / THUMBNAIL_PX)
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    shown = small if colour else np.repeat(small[..., None], 3, axis=2)
    mask = cv2.resize(sample.mask, size, interpolation=cv2.INTER_NEAREST)
    return Seen(
        name=sample.name,
        split=split,
        image=shown,
        mask=np.asarray(mask, dtype=np.uint8),
        size_px=(width, height),
        colour=colour,
        mean=float(grey.mean()),
        std=float(grey.std()),
        black=float((grey <= BLACK).mean()),
        white=float((grey >= WHITE).mean()),
        classes=tuple(classes),
    )
