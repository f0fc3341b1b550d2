"""K folds of a training split: each is validated on by a network that learned the others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.data.contract import Source
from terrain_training.data.parted_source import PartedSource
from terrain_training.settings.recipe import FoldSettings

HELD_OUT = "held_out"
"""The validation split of the source, which no fold learns or chooses an epoch by."""


class FoldSource(PartedSource):
    """A source whose training split is parted into folds; one of them validates.

    Samples of a group, such as a drive of a rover or a generated world, are in one fold. The
    folds depend on the names alone.
    """

    def __init__(self, source: Source, fold: FoldSettings) -> None:
        """Take a source and which fold validates.

        Raises:
            ConfigError: there are fewer groups than folds, or the fold is not one of them.
        """
        if fold.number > fold.count:
            raise ConfigError(
                f"recipe key data.fold.number is {fold.number}, expected 1 to {fold.count}"
            )
        names = source.names("train")
        chosen = set(folds(source, names, fold.count)[fold.number - 1])
        parts = {
            "train": [name for name in names if name not in chosen],
            "validation": [name for name in names if name in chosen],
        }
        for split in source.splits():
            if split != "train":
                renamed = HELD_OUT if split == "validation" else split
                parts[renamed] = source.names(split)
        super().__init__(source, parts)


def folds(source: Source, names: Iterable[str], count: int) -> list[list[str]]:
    """Return names in `count` folds of about equal size, groups whole.

    Raises:
        ConfigError: there are fewer groups than folds.
    """
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(group_of(source, name), []).append(name)
    if len(groups) < count:
        raise ConfigError(
            f"{count} folds need as many groups of training images, but there are {len(groups)} "
            "(images of one drive or world belong together); ask for fewer folds"
        )
    parts: list[list[str]] = [[] for _ in range(count)]
    # The largest first, each to the smallest fold; those of one size in an order like chance.
    for group in sorted(groups, key=lambda name: (-len(groups[name]), _digest(name))):
        min(parts, key=len).extend(groups[group])
    return parts


def group_of(source: Source, name: str) -> str:
    """Return what a sample belongs to, itself where its source knows no groups."""
    inner: object = source
    while not hasattr(inner, "group") and hasattr(inner, "source"):
        inner = inner.source
    return str(inner.group(name)) if hasattr(inner, "group") else name


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
