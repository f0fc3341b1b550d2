"""Splits that depend on names and a seed alone, not on the order of files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from terrain_seg_ros.core.errors import ConfigError


def random_split(
    names: Iterable[str], shares: Mapping[str, float], *, seed: int
) -> dict[str, list[str]]:
    """Return disjoint lists of names, shuffled, that together hold every name.

    Args:
        names: each once.
        shares: of each part, together 1.
        seed: of the shuffling.

    Raises:
        ConfigError: the shares are not positive or do not add up, or there are too few names.
    """
    if any(share <= 0.0 for share in shares.values()) or abs(sum(shares.values()) - 1.0) > 1e-6:
        raise ConfigError(
            f"split shares are {dict(shares)}, expected positive ones that add up to 1"
        )
    ordered = sorted(names)
    if len(set(ordered)) != len(ordered):
        raise ConfigError("a split was asked for names that are not unique")
    if len(ordered) < len(shares):
        raise ConfigError(
            f"{len(ordered)} samples cannot fill the splits {list(shares)}; add images, or lists "
            "of names that say which image is in which split"
        )
    shuffled = [ordered[i] for i in np.random.default_rng(seed).permutation(len(ordered))]
    ends = np.rint(np.cumsum(list(shares.values())) * len(ordered)).astype(int)
    parts = dict(zip(shares, np.split(np.array(shuffled, dtype=object), ends[:-1])))
    empty = [name for name, part in parts.items() if not len(part)]
    if empty:
        raise ConfigError(f"{len(ordered)} samples leave the splits {empty} empty; add more")
    return {name: [str(item) for item in part] for name, part in parts.items()}


def part_of(parts: Mapping[str, list[str]], split: str) -> list[str]:
    """Return one part.

    Raises:
        ConfigError: there is none of this name.
    """
    if split not in parts:
        raise ConfigError(f"there is no split {split!r}, expected one of {list(parts)}")
    return list(parts[split])
