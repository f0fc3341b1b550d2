"""Lists of images that a set brings, such as those of Pascal VOC."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.files.regular_file import read_regular_file
from terrain_training.data.split_lists import BOTH, LIST_LIMIT_BYTES, NAMES, TRAIN, names_in
from terrain_training.preparation.entry import FoundSet
from terrain_training.preparation.scan import Scan

_SPLITS = {alias: split for split, aliases in NAMES.items() for alias in aliases}
_FOLDERS = {"", "segmentation", "imagesets", "lists", "splits"}


def with_listed_splits(found: FoundSet, scan: Scan) -> FoundSet:
    """Return the set with the splits of its lists, where folders tell none.

    A list of training and validation images together is passed over if there is one of each.
    """
    if any(entry.split for entry in found.entries):
        entries = [
            entry if entry.split else dataclasses.replace(entry, split=TRAIN)
            for entry in found.entries
        ]
        free = sum(entry.split is None for entry in found.entries)
        note = f"{free} images are in the folder of no split; they are taken to train"
        notes = (*found.notes, note) if free else found.notes
        return dataclasses.replace(found, entries=tuple(entries), notes=notes)
    splits: dict[str, str] = {}
    twice: dict[str, None] = {}
    lists: list[str] = []
    known = {entry.image.stem: entry for entry in found.entries}
    paths = [path for path in scan.texts if path.suffix == ".txt"]
    for path in sorted(paths, key=lambda p: len(_SPLITS.get(p.stem.lower(), ""))):
        split = _SPLITS.get(path.stem.lower())
        folder = "" if path.parent == scan.root else path.parent.name.lower()
        if split is None or folder not in _FOLDERS:
            continue
        lists.append(path.name)
        for stem in _stems(path, known):
            if splits.setdefault(stem, split) != split and split != BOTH:
                twice[stem] = None
    if not lists:
        return found
    kept = tuple(
        dataclasses.replace(entry, split=splits[entry.image.stem])
        for entry in found.entries
        if entry.image.stem in splits
    )
    left = len(found.entries) - len(kept)
    said = []
    if not kept:
        said.append(f"{', '.join(lists)} name none of the images; the splits are drawn")
    elif left:
        said.append(f"{left} images are in no list and are left out")
    if twice:
        first = next(iter(twice))
        said.append(
            f"{len(twice)} images are in several lists; {first} is taken to {splits[first]}"
        )
    return dataclasses.replace(found, entries=kept or found.entries, notes=(*found.notes, *said))


def _stems(path: Path, known: Mapping[str, object]) -> list[str]:
    """Return the stems of the images that a list names; of other lines, their first word's."""
    try:
        text = read_regular_file(path, LIST_LIMIT_BYTES).decode("utf-8-sig")
    except (ConfigError, UnicodeDecodeError):
        return []
    stems: list[str] = []
    for line in text.splitlines():
        if not line.strip():
            continue
        word = line.split()[0].replace("\\", "/")
        stems += names_in(line, known) or names_in(word, known) or [PurePosixPath(word).stem]
    return stems
