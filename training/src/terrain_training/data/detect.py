"""Tell a published data set by its layout."""

from __future__ import annotations

from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError


def detect_source(root: Path) -> str:
    """Return the name of the source that reads a folder or file; see `data.factory.SOURCES`.

    Raises:
        ConfigError: the layout is none that tells its own classes.
    """
    if not root.exists():
        raise ConfigError(f"'{root}' does not exist; check --data")
    if root.suffix == ".npz":
        return "mars_terrain"
    marks = {
        "lunar_landscape": (root / "images" / "render").is_dir(),
        "ai4mars": (root / "msl").is_dir() or (root / "val.txt").is_file(),
        "side_by_side": (root / "train").is_dir() and not (root / "images").is_dir(),
        "earth_terrain": any(root.glob("*_t.png")),
    }
    for name, found in marks.items():
        if found:
            return name
    raise ConfigError(
        f"'{root}' has the layout of no published set ({', '.join(marks)}, mars_terrain); give a "
        "recipe with --recipe that names source and classes, such as one with labelled_folder"
    )
