"""The folder of a run that none was given for: `runs/NAME-N`."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.processes import is_one_of_several

RUNS = Path("runs")
"""Beside the working folder."""
_HANDED_ON = "TERRAIN_TRAIN_RUN"
"""Tells the processes that the first one starts which folder it took."""


@contextmanager
def run_folder(out: Path | None, name: str, *, parent: Path = RUNS) -> Iterator[Path]:
    """Give the folder of a run: the one that was asked for, or a new one under `parent`.

    A new folder is made at once, so that two runs never share one, and removed again if nothing
    was written into it.

    Args:
        out: what was asked for; None takes a new folder.
        name: of the recipe.
        parent: of a new folder.

    Raises:
        ConfigError: another program started this process as one of several, and `out` is None.
    """
    if out is not None:
        yield out
        return
    if is_one_of_several():
        yield _of_the_first_process()
        return
    folder = _reserve(name, parent)
    os.environ[_HANDED_ON] = str(folder)
    try:
        yield folder
    finally:
        os.environ.pop(_HANDED_ON, None)
        _remove_empty(folder)
        _remove_empty(parent)


def _of_the_first_process() -> Path:
    if _HANDED_ON not in os.environ:
        raise ConfigError(
            "several processes were started without a common folder for the run; give --out"
        )
    return Path(os.environ[_HANDED_ON])


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # something is in it
        folder.rmdir()


def _reserve(name: str, parent: Path) -> Path:
    """Make the folder with the number after the highest one that is there."""
    stem = re.sub(r"[^\w.-]+", "_", name)
    pattern = re.compile(rf"{re.escape(stem)}-([0-9]+)")
    there = [path.name for path in parent.iterdir()] if parent.is_dir() else []
    taken = [int(found[1]) for name in there if (found := pattern.fullmatch(name))]
    number = max(taken, default=0) + 1
    while True:
        folder = parent / f"{stem}-{number}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
        else:
            return folder
