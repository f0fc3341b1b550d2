"""Propose classes: names, colours and hazards."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_training.data.colours import Colour
from terrain_training.preparation.class_names import ClassNames
from terrain_training.preparation.known import (
    COLOURS,
    IGNORED,
    SPARE,
    hazard_of,
    plain_name,
)
from terrain_training.preparation.mask_values import Holds, MaskValues

BACKGROUND = "background"
_SAME = 16
"""Levels that JPEG moves the colour of an area by."""


@dataclass(frozen=True)
class ProposedClass:
    """A class; `why` says where its hazard comes from, `value` is what stands for it in masks."""

    name: str
    colour: Colour
    hazard: float
    why: str
    value: Colour | None = None


@dataclass(frozen=True)
class Proposal:
    """The classes in the order of their ids, and the values of masks that do not count.

    `notes` are things to say of their names.
    """

    classes: tuple[ProposedClass, ...]
    ignored: tuple[Colour, ...] = ()
    names_from: str = ""
    notes: tuple[str, ...] = ()

    def taxonomy(self) -> Taxonomy:
        """Return the classes as a taxonomy."""
        return Taxonomy(
            tuple(
                TerrainClass(number, item.name, item.colour, item.hazard)
                for number, item in enumerate(self.classes)
            )
        )

    def ids(self) -> dict[Colour, int]:
        """Return the class id, or 255, of each value in the masks."""
        known = {item.value: number for number, item in enumerate(self.classes) if item.value}
        return {**known, **dict.fromkeys(self.ignored, IGNORE)}


def classes_of_masks(values: MaskValues, names: ClassNames) -> Proposal:
    """Return a class for each value of masks, unless its name says that it does not count."""
    names, notes = _counted_names(values, names)
    classes: list[ProposedClass] = []
    ignored = list(values.ignored)
    named = [_name_of(value, values, names) for value in values.colours]
    void = names.others_ignored and any(named)
    for value, name in zip(values.colours, named):
        if (name is not None and name in IGNORED) or (name is None and void):
            ignored.append(value)
            continue
        shown = value if values.holds is Holds.COLOURS else None
        classes.append(_proposed(name or f"class_{len(classes)}", shown, value, classes, names))
    source = names.source if any(named) else ""
    if not source and any(named):
        source = "the colours of the shipped models"
    return Proposal(tuple(classes), tuple(ignored), source, notes)


def _counted_names(values: MaskValues, names: ClassNames) -> tuple[ClassNames, tuple[str, ...]]:
    """Return names whose values are those of the masks, where a file gives them without numbers.

    It may count from 0 or from 1; what the masks hold tells which, or the names are not used.
    """
    count = len(names.by_value)
    levels = [colour[0] for colour in values.colours]
    if not names.counted or values.holds is Holds.COLOURS or max(levels) != count:
        return names, ()
    if 0 in levels:
        return ClassNames(), (
            f"{names.source} has {count} names without numbers for the values 0 to {count}: which "
            "is whose is not known, and they are not used; write `0: NAME`, `1: NAME`, ... into it",
        )
    shifted = {number + 1: name for number, name in names.by_value.items()}
    return dataclasses.replace(names, by_value=shifted), (
        f"{names.source} has no numbers; its {count} names are of the values 1 to {count}",
    )


def classes_of_shapes(labels: Iterable[str], *, background: bool) -> Proposal:
    """Return a class for each label of shapes; `background` is one for what no shape covers.

    Raises:
        ConfigError: there are more labels than ids.
    """
    classes: list[ProposedClass] = []
    wanted = [plain_name(label) for label in labels]
    if background and BACKGROUND not in wanted:
        wanted = [BACKGROUND, *wanted]
    unique = [name for name in dict.fromkeys(wanted) if name not in IGNORED]
    if len(unique) > IGNORE:
        raise ConfigError(
            f"the shapes have {len(unique)} classes, but a mask holds at most {IGNORE}; give "
            "several of them one label"
        )
    for name in unique:
        classes.append(_proposed(name, None, None, classes, ClassNames()))
    return Proposal(tuple(classes), names_from="the labels of the shapes")


def _proposed(
    name: str,
    shown: Colour | None,
    value: Colour | None,
    before: Sequence[ProposedClass],
    names: ClassNames,
) -> ProposedClass:
    taken = {item.name for item in before}
    unique, number = name, 2
    while unique in taken:
        unique, number = f"{name}_{number}", number + 1
    hazard, why = hazard_of(name)
    used = {item.colour for item in before}
    wanted = shown or names.colours.get(name) or COLOURS.get(name)
    if wanted is None or (wanted in used and shown is None):
        wanted = next((c for c in SPARE if c not in used), SPARE[len(before) % len(SPARE)])
    return ProposedClass(unique, wanted, hazard, why, value)


_OURS = {colour: name for name, colour in COLOURS.items() if name != "big_rock"}


def _name_of(value: Colour, values: MaskValues, names: ClassNames) -> str | None:
    number = values.id_of(value)
    by_number = None if number is None else names.by_value.get(number)
    if values.holds is Holds.COLOURS:
        near = min(names.by_colour, key=lambda c: _distance(c, value), default=None)
        if near is not None and _distance(near, value) <= _SAME**2:
            return names.by_colour[near]
        if by_number is not None:
            return by_number
        ours = min(_OURS, key=lambda c: _distance(c, value))
        return _OURS[ours] if not names and _distance(ours, value) <= _SAME**2 else None
    grey = names.by_colour.get(value)
    return grey if grey is not None else by_number


def _distance(one: Colour, other: Colour) -> int:
    return sum((a - b) ** 2 for a, b in zip(one, other))
