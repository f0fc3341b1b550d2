"""An image of somebody's set and where its label is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from terrain_training.preparation.rle import RunLengths


@dataclass(frozen=True)
class Shape:
    """An area with a class: polygons, each [x, y, x, y, ...] in pixels, or run lengths.

    `source` names it in messages.
    """

    label: str
    source: str
    polygons: tuple[tuple[float, ...], ...] = ()
    runs: RunLengths | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class Entry:
    """An image, its label (a mask file, or shapes to draw), and its split where the set says so.

    `size` is (height, width) in px as the annotations say, None where they do not.
    """

    name: str
    image: Path
    label: Path | tuple[Shape, ...]
    split: str | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class FoundSet:
    """The images of a set.

    `layout` is said to the user. `in_place` means that the source `labelled_folder` reads the
    folder as it is. `notes` are further things to say, `labels` the names of drawn classes.
    """

    layout: str
    entries: tuple[Entry, ...]
    in_place: bool = False
    notes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    kind: str = ""


_NOT_LISTABLE = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029\ud800-\udfff\"'\\]|^[\s#.]+|\s+$")


def _listable(name: str) -> str:
    """Return a name as one line that is neither a comment nor hidden, nor loses its ends."""
    return _NOT_LISTABLE.sub("_", name)


def unique_names(entries: Sequence[Entry], root: Path) -> tuple[Entry, ...]:
    """Return the entries with names that differ: where stems are equal, folders are part of it.

    Characters that a list of names cannot hold become `_`.
    """
    seen: dict[str, int] = {}
    entries = [replace(entry, name=_listable(entry.name)) for entry in entries]
    for entry in entries:
        seen[entry.name] = seen.get(entry.name, 0) + 1
    result, taken = [], set()
    for entry in entries:
        name = entry.name
        if seen[name] > 1:
            parts = entry.image.relative_to(root).with_suffix("").parts
            name = _listable("_".join(parts))
        while name in taken:
            name = f"{name}_"
        taken.add(name)
        result.append(replace(entry, name=name))
    return tuple(result)
