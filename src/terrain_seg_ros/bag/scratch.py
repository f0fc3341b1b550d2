"""The folder in which a bag grows, and what is left of it after the process was killed."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

PREFIX = ".bag-"
_LOCK = "in_use"


@contextlib.contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Give an empty folder beside the final place of a bag, and remove it afterwards.

    Folders of processes that were killed are removed first, with a log line. A lock, which the
    system releases however its process ends, distinguishes them from those in use.
    """
    clear_abandoned(parent)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    try:
        # Locked before it has its name, so that nobody finds it unlocked.
        fresh = folder / f"{_LOCK}.new"
        with fresh.open("w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            fresh.rename(folder / _LOCK)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clear_abandoned(parent: Path) -> list[Path]:
    """Remove the scratch folders whose process is gone; return them."""
    removed = []
    for folder in sorted(parent.glob(f"{PREFIX}*")):
        if _is_abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(folder)
            logging.getLogger(__name__).warning(
                "terrain-seg: removed %s, which a run that was killed has left", folder
            )
    return removed


def _is_abandoned(folder: Path) -> bool:
    """Return whether a scratch folder has a lock that nobody holds; without one it is kept."""
    if folder.is_symlink():
        return False
    try:
        handle = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return False
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True
