"""One training at a time in the folder of a run: two would overwrite each other's epochs."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.processes import is_first_process

LOCK = ".training.lock"


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder of a run while it trains; of several processes, the first one does.

    A process that is killed holds it no longer, nor do those that load its images.

    Raises:
        ConfigError: another process trains in it.
    """
    if not is_first_process() or not folder.is_dir():
        yield
        return
    path = folder / LOCK
    with path.open("a+") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            file.seek(0)
            raise ConfigError(
                f"process {file.read(20).strip() or 'unknown'} trains in {folder} now; wait until "
                "it ends, or give another --out"
            ) from error
        except OSError:  # no locks on this file system
            pass
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield
        finally:
            with suppress(OSError):
                path.unlink()
