"""Lists of images that a set brings, such as those of Pascal VOC."""

from __future__ import annotations

import dataclasses
from pathlib import Path, PurePosixPath

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.files.regular_file import read_regular_file
from terrain_training.data.split_lists import LIST_LIMIT_BYTES, NAMES, TRAIN
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
        return dataclasses.replace(found, entries=tuple(entries))
    splits: dict[str, str] = {}
    paths = [path for path in scan.texts if path.suffix == ".txt"]
    for path in sorted(paths, key=lambda p: len(_SPLITS.get(p.stem.lower(), ""))):
        split = _SPLITS.get(path.stem.lower())
        folder = "" if path.parent == scan.root else path.parent.name.lower()
        if split is None or folder not in _FOLDERS:
            continue
        for stem in _stems(path):
            splits.setdefault(stem, split)
    if not splits:
        return found
    kept = tuple(
        dataclasses.replace(entry, split=splits[entry.image.stem])
        for entry in found.entries
        if entry.image.stem in splits
    )
    left = len(found.entries) - len(kept)
    if not kept:
        return found
    notes = found.notes + ((f"{left} images are in no list and are left out",) if left else ())
    return dataclasses.replace(found, entries=kept, notes=notes)


def _stems(path: Path) -> list[str]:
    try:
        text = read_regular_file(path, LIST_LIMIT_BYTES).decode("utf-8-sig")
    except (ConfigError, UnicodeDecodeError):
        return []
    words = [line.split()[0] for line in text.splitlines() if line.split()]
    return [PurePosixPath(word.replace("\\", "/")).stem for word in words]
