"""Detect a published data set by its layout."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.data.files import IMAGE_SUFFIXES
from terrain_training.data.rover_clock import has_rover_clock


def detect_source(root: Path) -> str:
    """Return the name of the source that reads a folder or file; see `data.factory.SOURCES`.

    Raises:
        ConfigError: the layout is none that tells its own classes.
    """
    if not root.exists():
        raise ConfigError(f"'{root}' does not exist; check --data")
    name = likely_source(root)
    if name is not None and name != LABELLED_FOLDER:
        return name
    raise ConfigError(
        f"'{root}' has the layout of no published set ({', '.join(_MARKS)}, mars_terrain); give a "
        "recipe with --recipe that names source and classes, such as one with labelled_folder"
    )


def likely_source(root: Path) -> str | None:
    """Return the name of the source that a folder or file is laid out for, None where unclear."""
    if root.suffix == ".npz" and root.is_file():
        return "mars_terrain"
    if not root.is_dir():
        return None
    for name, is_marked in _MARKS.items():
        if is_marked(root):
            return name
    if (root / "images").is_dir() and (root / "masks").is_dir():
        return LABELLED_FOLDER
    return None


def _is_ai4mars(root: Path) -> bool:
    """Detect it by its folders, or by NASA's product names among its images."""
    if (root / "msl").is_dir():
        return True
    images = root / "images"
    if not (images.is_dir() and (root / "val.txt").is_file()):
        return False
    some = list(itertools.islice((path.stem for path in images.iterdir()), LOOKED_AT))
    return bool(some) and all(has_rover_clock(stem) for stem in some)


def _is_side_by_side(root: Path) -> bool:
    """Detect it by pictures of one ending, and nothing else, in `train`."""
    train = root / "train"
    if not train.is_dir() or (root / "images").is_dir():
        return False
    some = list(itertools.islice((p for p in train.iterdir() if p.name[:1] != "."), LOOKED_AT))
    endings = {path.suffix.lower() for path in some}
    return len(endings) == 1 and endings <= set(IMAGE_SUFFIXES)


LABELLED_FOLDER = "labelled_folder"
LOOKED_AT = 20
_MARKS: dict[str, Callable[[Path], bool]] = {
    "lunar_landscape": lambda root: (root / "images" / "render").is_dir(),
    "ai4mars": _is_ai4mars,
    "side_by_side": _is_side_by_side,
    "earth_terrain": lambda root: any(root.glob("*_t.png")),
}
