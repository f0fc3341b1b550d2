"""Read every sample of a set once, and keep of each what is small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.types import F32, F64
from terrain_training.data.class_balance import BalanceCounter, ClassBalance
from terrain_training.data.contract import BadSampleError, Sample, Source, check_classes
from terrain_training.inspection import encoder
from terrain_training.inspection.descriptors import LENGTH, describe
from terrain_training.inspection.encoder import Encoder, Looks
from terrain_training.inspection.keypoints import Keypoints, find_keypoints, points_per_image
from terrain_training.progress import progress_of

F16 = np.ndarray[tuple[int, ...], np.dtype[np.float16]]

BLACK, WHITE = 2, 253
"""Grey levels from which on a pixel counts as black or saturated."""
SAME_ROW = 0.1
"""Mean difference in grey levels up to which a row of pixels repeats the one above it."""


@dataclass(frozen=True)
class Seen:
    """What is kept of one sample.

    `mean` and `std` are grey levels, `black` and `white` shares of the pixels, `labelled` the share
    that has a class, `repeated` the greatest share of the rows, one below the other, that are the
    same; `classes` holds the ids in the mask.
    """

    name: str
    split: str
    size_px: tuple[int, int]
    colour: bool
    mean: float
    std: float
    black: float
    white: float
    labelled: float
    repeated: float
    classes: tuple[int, ...]


@dataclass(frozen=True)
class Survey:
    """A set: N samples, their descriptors (N, D), balance per split, and the bad ones.

    `rows` (N, L) is what `Encoder.look` returned.
    """

    splits: tuple[str, ...]
    seen: tuple[Seen, ...]
    descriptors: F32
    rows: F16
    keypoints: tuple[Keypoints, ...]
    balance: Mapping[str, ClassBalance]
    whole: ClassBalance
    bad: Mapping[str, str]

    def places(self, split: str) -> list[int]:
        """Return where the samples of a split are."""
        return [place for place, item in enumerate(self.seen) if item.split == split]

    def looks(self) -> Looks:
        """Return what a network sees in the samples."""
        return Looks.of(self.rows)

    def groups(self) -> F64:
        """Return the number of the split of each sample (N,)."""
        order = {name: number for number, name in enumerate(self.splits)}
        return np.array([order[item.split] for item in self.seen])


def make_survey(source: Source, *, skip_bad: bool) -> Survey:
    """Read every sample of every split once.

    Args:
        source: of the samples.
        skip_bad: skip what cannot be used and report it.

    Raises:
        BadSampleError: a sample cannot be used and `skip_bad` is off.
        ConfigError: nothing is left.
    """
    names = source.taxonomy.names
    seen: list[Seen] = []
    descriptors: list[F32] = []
    network, rows = Encoder(), list[F16]()
    keypoints: list[Keypoints] = []
    points = points_per_image(sum(len(source.names(split)) for split in source.splits()))
    bad: dict[str, str] = {}
    whole = BalanceCounter(names)
    parts: dict[str, ClassBalance] = {}
    for split in source.splits():
        counter = BalanceCounter(names)
        for name in progress_of(source.names(split), f"inspect {split}", unit="sample"):
            sample = _load(source, name, bad, skip_bad=skip_bad)
            if sample is None:
                continue
            counter.add(sample.mask)
            counts = whole.add(sample.mask)
            seen.append(_look_at(sample, split, np.flatnonzero(counts).tolist()))
            descriptors.append(describe(sample.image))
            rows.append(network.look(sample.image))
            keypoints.append(find_keypoints(sample.image, count=points))
        parts[split] = counter.result()
    stacked = np.stack(descriptors) if descriptors else np.zeros((0, LENGTH), np.float32)
    looked = np.stack(rows) if rows else np.zeros((0, encoder.LENGTH), np.float16)
    return Survey(
        splits=tuple(source.splits()),
        seen=tuple(seen),
        descriptors=stacked,
        rows=looked,
        keypoints=tuple(keypoints),
        balance=parts,
        whole=whole.result(),
        bad=bad,
    )


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
    steps = np.abs(np.diff(grey.astype(np.int16), axis=0)).mean(axis=1)
    ends = np.flatnonzero(np.concatenate([[True], steps > SAME_ROW, [True]]))
    return Seen(
        name=sample.name,
        split=split,
        size_px=(width, height),
        colour=colour,
        mean=float(grey.mean()),
        std=float(grey.std()),
        black=float((grey <= BLACK).mean()),
        white=float((grey >= WHITE).mean()),
        labelled=float((sample.mask != IGNORE).mean()),
        repeated=float((np.diff(ends).max() - 1) / height),
        classes=tuple(classes),
    )
