"""Labels that leave a choice: a pixel is of one of several classes, and nobody said which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.types import U8
from terrain_training.data.contract import Source
from terrain_training.data.parted_source import PartedSource

SEPARATOR = "/"
"""Between the name of a member and that of its sample."""


@dataclass(frozen=True)
class LabelSets:
    """Sets of class ids, the main class of each first, and which labels of which member mean them.

    `tables` gives for each member a table (256,) from the values of its masks, which name main
    classes, to what a network learns: the id of a class, or the number of classes plus the place
    of a set in `sets`. 255 stays, or becomes a set where unlabelled pixels have one.
    """

    sets: tuple[tuple[int, ...], ...]
    tables: Mapping[str, U8]

    def table(self, name: str) -> U8:
        """Return the table (256,) of a sample."""
        return self.tables[name.partition(SEPARATOR)[0]]

    def for_scores(self) -> LabelSets:
        """Return the sets with unlabelled pixels as 255: nothing says whether they are right."""
        tables = {member: table.copy() for member, table in self.tables.items()}
        for table in tables.values():
            table[IGNORE] = IGNORE
        return LabelSets(self.sets, tables)

    def told(self, names: Sequence[str]) -> str:
        """Return the sets as text, by the names of classes."""
        return "; ".join(
            f"{names[ids[0]]} may be {' or '.join(names[item] for item in ids)}"
            for ids in self.sets
        )


def label_sets_of(source: Source) -> LabelSets | None:
    """Return the sets of a source, None where each label names one class."""
    while isinstance(source, PartedSource):
        source = source.source
    found = getattr(source, "label_sets", None)
    return found if isinstance(found, LabelSets) else None
