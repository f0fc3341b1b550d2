"""Seeds of the worlds that are rendered, and which of them are for validation."""

from __future__ import annotations

WORLDS_PER_SEED = 100_000
FIRST_WORLD = 1_000_000
"""Seeds below are left to scores and simulations, which must not meet a world that trained."""
TRAIN, VALIDATION = "train", "validation"


def world_seed(seed: int, index: int) -> int:
    """Return the seed of the `index`-th world of a command's seed."""
    return FIRST_WORLD + seed * WORLDS_PER_SEED + index


def split_worlds(worlds: int, validation_share: float) -> dict[int, str]:
    """Return the split of each world by index: every so many is for validation."""
    return {
        index: VALIDATION
        if int((index + 1) * validation_share) > int(index * validation_share)
        else TRAIN
        for index in range(worlds)
    }
