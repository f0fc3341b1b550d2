"""Look through a folder of unknown content, within limits."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.data.files import IMAGE_SUFFIXES

MAX_FILES = 200_000
MAX_DEPTH = 8
_SHOWN = 6
EXPECTED = (
    "expected images with masks (images/ + masks/, img/ + ann/, photo.jpg + photo_mask.png, "
    "Pascal VOC, Cityscapes), a COCO .json, or labelme .json files beside the images"
)


@dataclass(frozen=True)
class Scan:
    """The files of a folder, sorted; pictures, and files that may say something of them."""

    root: Path
    pictures: tuple[Path, ...]
    jsons: tuple[Path, ...]
    texts: tuple[Path, ...]
    endings: Counter[str]

    def summary(self) -> str:
        """Return how many files of which ending there are, for messages."""
        if not self.endings:
            return "no files"
        most = self.endings.most_common(_SHOWN)
        rest = sum(self.endings.values()) - sum(count for _, count in most)
        parts = [f"{count} {ending or 'without an ending'}" for ending, count in most]
        return ", ".join(parts + ([f"{rest} others"] if rest else []))


def scan_folder(root: Path) -> Scan:
    """Return what a folder holds; links to folders are not followed, hidden files are left out.

    Raises:
        ConfigError: it is no folder, or holds more files than `MAX_FILES`.
    """
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise ConfigError(f"'{root}' {what}; {EXPECTED}")
    found: list[Path] = []
    for folder, folders, files in os.walk(root):
        depth = len(Path(folder).relative_to(root).parts)
        folders[:] = [] if depth >= MAX_DEPTH else sorted(n for n in folders if _is_shown(n))
        found += [Path(folder, name) for name in sorted(files) if _is_shown(name)]
        if len(found) > MAX_FILES:
            raise ConfigError(
                f"'{root}' holds more than {MAX_FILES} files; give the folder of one data set"
            )
    return Scan(
        root,
        tuple(path for path in found if path.suffix.lower() in IMAGE_SUFFIXES),
        tuple(path for path in found if path.suffix.lower() == ".json"),
        tuple(path for path in found if path.suffix.lower() in {".txt", ".csv"}),
        Counter(path.suffix.lower() for path in found),
    )


def _is_shown(name: str) -> bool:
    return not name.startswith((".", "__MACOSX"))
