"""Another source's samples in splits of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_training.data.contract import Sample, Source
from terrain_training.data.splits import part_of


class PartedSource:
    """Samples of a source, in splits that need not be the source's."""

    def __init__(self, source: Source, parts: Mapping[str, Sequence[str]]) -> None:
        """Take a source, and the names of samples by split."""
        self.source = source
        self._parts = {split: list(names) for split, names in parts.items()}

    @property
    def taxonomy(self) -> Taxonomy:
        """Return the source's classes."""
        return self.source.taxonomy

    def splits(self) -> tuple[str, ...]:
        """Return the names of the splits."""
        return tuple(self._parts)

    def names(self, split: str) -> list[str]:
        """Return the names of a split.

        Raises:
            ConfigError: there is no such split.
        """
        return part_of(self._parts, split)

    def load(self, name: str) -> Sample:
        """Return a sample.

        Raises:
            BadSampleError: its files cannot be used.
        """
        return self.source.load(name)
