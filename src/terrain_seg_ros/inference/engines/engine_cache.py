"""A folder of engines: each is built once, by one process, and verified when it is used."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError, InferenceError
from terrain_seg_ros.inference.engines.engine_files import (
    ENGINE_SUFFIX,
    MAX_ENGINE_BYTES,
    EngineFiles,
    EngineRefusedError,
    make_room,
    remove_leftovers,
)
from terrain_seg_ros.inference.engines.engine_key import EngineKey

LOCK_FILE = "engines.lock"
MAX_WAIT_S = 3600.0
_POLL_S = 0.1

Report = Callable[[str], None]
"""Takes a sentence for the user."""


def default_cache_folder() -> Path:
    """Return the user's folder for engines, whether or not it exists.

    That is terrain_seg_ros/engines in $XDG_CACHE_HOME or ~/.cache.

    Raises:
        ConfigError: the user has no home and the variable is not set.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        # The XDG rules want a relative path ignored.
        base = cache if cache.is_absolute() else Path.home() / ".cache"
    except RuntimeError:
        raise ConfigError(
            "there is no home folder for built engines; set engine_cache_dir or XDG_CACHE_HOME"
        ) from None
    return base / "terrain_seg_ros" / "engines"


def warn(text: str) -> None:
    """Write a sentence to the log as a warning."""
    logging.getLogger(__name__).warning("%s", text)


class EngineCache:
    """Keep engines in a folder, safe for several processes.

    One build at a time holds the folder's lock: a second one of the same key would be wasted, one
    of another key would disturb the timing by which a builder chooses its kernels.
    """

    def __init__(self, folder: Path, *, report: Report = warn) -> None:
        """Use a folder, which is created when the first engine is written.

        Args:
            folder: where the engines are.
            report: is called when an engine is refused, waited for or cannot be stored.
        """
        self.folder = folder
        self._report = report

    def path(self, key: EngineKey) -> Path:
        """Return the path of the engine of a key, whether or not it exists."""
        return EngineFiles(self.folder, key).engine

    def count(self) -> int:
        """Return how many engines the folder holds, whether or not they can be used here."""
        return len(list(self.folder.glob(f"*{ENGINE_SUFFIX}")))

    def load(self, key: EngineKey) -> bytes | None:
        """Return the engine, or None if there is none; an unusable one is reported."""
        try:
            return EngineFiles(self.folder, key).read()
        except EngineRefusedError as error:
            self._report(f"engine {self.path(key)} is refused: {error}")
            return None

    def refusal(self, key: EngineKey) -> str:
        """Return why the engine of a key cannot be used; empty if it can."""
        try:
            found = EngineFiles(self.folder, key).read()
        except EngineRefusedError as error:
            return str(error)
        return "" if found is not None else "no engine was built"

    def discard(self, key: EngineKey, reason: str) -> None:
        """Remove an engine that the runtime refused, and report it."""
        self._report(f"engine {self.path(key)} is refused: {reason}; it is removed")
        EngineFiles(self.folder, key).remove()

    def load_or_build(
        self,
        key: EngineKey,
        build: Callable[[], bytes],
        *,
        must_keep: bool = False,
        force: bool = False,
    ) -> bytes:
        """Return the engine; build it if there is none that can be used.

        An engine that cannot be kept is returned all the same, and reported.

        Args:
            key: what the engine depends on.
            build: builds it; an error is passed on and leaves nothing behind.
            must_keep: take an engine that cannot be kept for an error, before the build where
                that can be known.
            force: build it even if it is there; the old one stays until the new one replaces it.

        Raises:
            ConfigError: the engine must be kept and cannot be, or the folder cannot be locked.
            InferenceError: another process held the lock for too long, or the engine is empty or
                too large.
        """
        # Another process may be between its two files: what does not fit is judged again below,
        # under the lock.
        with contextlib.suppress(EngineRefusedError):
            found = None if force else EngineFiles(self.folder, key).read()
            if found is not None:
                return found
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            self._cannot_keep(error, must_keep=must_keep)
            return _checked(build(), key)
        with contextlib.closing(os.fdopen(lock, "rb")) as file, self._locked(file.fileno()):
            if not force:
                found = self._found(key)
                if found is not None:
                    return found
            return self._build(key, build, must_keep=must_keep)

    def _found(self, key: EngineKey) -> bytes | None:
        files = EngineFiles(self.folder, key)
        try:
            return files.read()
        except EngineRefusedError as error:
            self._report(f"engine {files.engine} is refused: {error}; it is built again")
            files.remove()
            return None

    def _build(self, key: EngineKey, build: Callable[[], bytes], *, must_keep: bool) -> bytes:
        remove_leftovers(self.folder)
        if must_keep:
            self._try_writing()
        start_s = time.monotonic()
        data = _checked(build(), key)
        try:
            EngineFiles(self.folder, key).write(data, build_s=time.monotonic() - start_s)
            make_room(self.folder, key)
        except OSError as error:
            self._cannot_keep(error, must_keep=must_keep)
        return data

    def _try_writing(self) -> None:
        try:
            with tempfile.TemporaryFile(dir=self.folder):
                return
        except OSError as error:
            self._cannot_keep(error, must_keep=True)

    def _cannot_keep(self, error: OSError, *, must_keep: bool) -> None:
        """Report that an engine cannot be stored, or raise if it must be."""
        text = (
            f"engines cannot be stored in '{self.folder}' ({error.strerror}); make room, allow "
            "writing there, or set engine_cache_dir to another folder"
        )
        if must_keep:
            raise ConfigError(text) from error
        self._report(f"{text}: this one will be built again at the next start")

    @contextlib.contextmanager
    def _locked(self, lock: int) -> Iterator[None]:
        """Hold the folder's lock, which ends with the process whatever happens."""
        end_s = time.monotonic() + MAX_WAIT_S
        waiting = False
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not waiting:
                    self._report(f"another process builds an engine in '{self.folder}'; waiting")
                    waiting = True
            except OSError as error:
                raise ConfigError(
                    f"files cannot be locked in '{self.folder}' ({error.strerror}); set "
                    "engine_cache_dir to a folder on a local disk"
                ) from error
            if time.monotonic() > end_s:
                raise InferenceError(
                    f"another process has held '{self.folder / LOCK_FILE}' for {MAX_WAIT_S:.0f} s; "
                    "end it, or set engine_cache_dir to another folder"
                )
            time.sleep(_POLL_S)
        try:
            yield
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)


def _checked(data: bytes, key: EngineKey) -> bytes:
    if not 0 < len(data) <= MAX_ENGINE_BYTES:
        raise InferenceError(
            f"the built engine has {len(data)} bytes, expected 1 to {MAX_ENGINE_BYTES}; "
            f"choose another backend for model {key.model_sha256[:12]}"
        )
    return data
