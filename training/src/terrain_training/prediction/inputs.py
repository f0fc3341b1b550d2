"""Which images and videos are meant by files and folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.report.output_place import some
from terrain_seg_ros.report.segmented_files import check_stems
from terrain_training.data.files import IMAGE_SUFFIXES

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")


@dataclass(frozen=True)
class Inputs:
    """Image files and video files, each sorted by name within its folder."""

    images: tuple[Path, ...]
    videos: tuple[Path, ...]


def find_inputs(paths: Sequence[Path]) -> Inputs:
    """Return the images and videos of files and folders; folders are not searched deeper.

    Raises:
        ConfigError: a file is missing or of another kind, a folder has neither images nor videos,
            or two files would write the same results.
    """
    files = [file for path in paths for file in _files(path)]
    files = list(dict.fromkeys(files))
    check_stems(files)
    return Inputs(
        images=tuple(path for path in files if _is(path, IMAGE_SUFFIXES)),
        videos=tuple(path for path in files if _is(path, VIDEO_SUFFIXES)),
    )


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        if not path.exists():
            raise ConfigError(f"'{path}' does not exist; give images, videos or a folder of them")
        if not _is(path, IMAGE_SUFFIXES + VIDEO_SUFFIXES):
            raise ConfigError(
                f"'{path}' is neither an image ({', '.join(IMAGE_SUFFIXES)}) nor a video "
                f"({', '.join(VIDEO_SUFFIXES)})"
            )
        return [path]
    children = sorted(child for child in path.iterdir() if not child.name.startswith("."))
    found = [
        child
        for child in children
        if child.is_file() and _is(child, IMAGE_SUFFIXES + VIDEO_SUFFIXES)
    ]
    if not found:
        names = [child.name for child in children]
        inside = f"it has {some(names)}" if names else "it is empty"
        raise ConfigError(
            f"folder '{path}' has no images or videos itself ({inside}); give the folder that "
            "holds them"
        )
    return found


def _is(path: Path, suffixes: Sequence[str]) -> bool:
    return path.suffix.lower() in suffixes
