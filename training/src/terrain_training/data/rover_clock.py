"""Split images by the rover clock, so that validation is independent of training."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from terrain_seg_ros.core.errors import ConfigError

MIN_GAP_S = 3600
"""Images closer than this show the same ground."""

_CLOCK = re.compile(r"^N[LR][AB]_(\d{9})")


@dataclass(frozen=True)
class ClockSplit:
    """Two lists of image stems with no pair across them closer than the gap."""

    train: tuple[str, ...]
    validation: tuple[str, ...]


def has_rover_clock(stem: str) -> bool:
    """Return whether a name is that of an MSL NavCam image."""
    return _CLOCK.match(stem) is not None


def spacecraft_clock_s(stem: str) -> int:
    """Return the spacecraft clock of an MSL NavCam image, in seconds.

    Args:
        stem: product name such as `NLB_513168929EDR_F0540006NCAM00267M1`.

    Raises:
        ConfigError: the name carries no clock.
    """
    found = _CLOCK.match(stem)
    if found is None:
        raise ConfigError(
            f"image name {stem!r} carries no rover clock; expected one like "
            "NLB_513168929EDR_F0540006NCAM00267M1"
        )
    return int(found.group(1))


def split_by_rover_clock(
    train_stems: Sequence[str],
    other_stems: Sequence[str],
    *,
    gap_s: int = MIN_GAP_S,
    held_out_share: float = 0.07,
    seed: int = 42,
) -> ClockSplit:
    """Split so that no validation image lies within `gap_s` of a training image.

    All images are sorted by clock and cut into sessions wherever the gap is exceeded.
    Validation takes every session without an image of `train_stems`, and a random share
    of the rest, whole. Training takes the images of `train_stems` in the remaining
    sessions; other images there are left out, because the expert test set of AI4Mars is
    independent of `train_stems` only.

    Args:
        train_stems: images that may be trained on.
        other_stems: images that may only validate.
        gap_s: smallest clock distance across the split, in seconds.
        held_out_share: share of the mixed sessions that go to validation.
        seed: of the random choice.
    """
    trainable = set(train_stems)
    sessions = sessions_of(trainable | set(other_stems), gap_s=gap_s)
    chooser = random.Random(seed)
    train: list[str] = []
    validation: list[str] = []
    for session in sessions:
        usable = [stem for stem in session if stem in trainable]
        if not usable or chooser.random() < held_out_share:
            validation.extend(session)
        else:
            train.extend(usable)
    return ClockSplit(train=tuple(train), validation=tuple(validation))


def sessions_of(stems: Iterable[str], *, gap_s: int = MIN_GAP_S) -> list[list[str]]:
    """Return images sorted by clock, cut wherever `gap_s` passes without one."""
    sessions: list[list[str]] = []
    last_s: int | None = None
    for stem in sorted(stems, key=spacecraft_clock_s):
        clock_s = spacecraft_clock_s(stem)
        if last_s is None or clock_s - last_s > gap_s:
            sessions.append([])
        sessions[-1].append(stem)
        last_s = clock_s
    return sessions


def smallest_gap_s(split: ClockSplit) -> int:
    """Return the smallest clock distance between a training and a validation image, in seconds.

    Raises:
        ConfigError: one of the two is empty.
    """
    if not split.train or not split.validation:
        raise ConfigError(
            f"the split has {len(split.train)} training and {len(split.validation)} validation "
            "images, expected some of each; check train.txt and val.txt"
        )
    marked = sorted(
        [(spacecraft_clock_s(stem), True) for stem in split.train]
        + [(spacecraft_clock_s(stem), False) for stem in split.validation]
    )
    return min(b[0] - a[0] for a, b in itertools.pairwise(marked) if a[1] != b[1])
