"""Engine files on disk: complete or absent, each with a sidecar that describes it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from terrain_seg_ros import __version__
from terrain_seg_ros.inference.engines.engine_key import EngineKey

MAX_ENGINE_BYTES = 4 * 2**30
MAX_SIDECAR_BYTES = 64 * 2**10
MAX_ENGINES = 32
"""In one folder; the least recently used are removed first."""
ENGINE_SUFFIX = ".engine"
SIDECAR_SUFFIX = ".json"
_TEMPORARY_PREFIX = ".build-"


class EngineRefusedError(Exception):
    """A cached engine that must not be used; the message is a clause that says why."""


@dataclass(frozen=True)
class EngineFiles:
    """Read and write the engine of one key in a folder."""

    folder: Path
    key: EngineKey

    @property
    def engine(self) -> Path:
        """Return the path of the engine, which holds only the bytes of the runtime."""
        return self.folder / f"{self.key.digest}{ENGINE_SUFFIX}"

    @property
    def sidecar(self) -> Path:
        """Return the path of its description."""
        return self.folder / f"{self.key.digest}{SIDECAR_SUFFIX}"

    def read(self) -> bytes | None:
        """Return the engine if it matches its sidecar, or None if there is none.

        Raises:
            EngineRefusedError: one of the two is missing, too large, unreadable, corrupt or stale.
        """
        if not self.engine.exists() and not self.sidecar.exists():
            return None
        described = self._read_sidecar()
        data = _read(self.engine, MAX_ENGINE_BYTES)
        if hashlib.sha256(data).hexdigest() != described.get("engine_sha256"):
            raise EngineRefusedError("the engine is corrupt: its sha256 differs from its sidecar")
        # The time of use decides which engine makes room; a read-only folder keeps none.
        with contextlib.suppress(OSError):
            os.utime(self.engine)
        return data

    def write(self, data: bytes, *, build_s: float) -> None:
        """Put the engine and its sidecar in place, each in one step, the engine first.

        Ended in between, they do not fit each other, which `read` refuses.

        Raises:
            OSError: the folder cannot be written to, or the disk is full.
        """
        content = {
            "key": self.key.content(),
            "text": self.key.text(),
            "engine_sha256": hashlib.sha256(data).hexdigest(),
            "engine_bytes": len(data),
            "build_s": round(build_s, 3),
            "built_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "software": f"terrain_seg_ros {__version__}",
        }
        _replace(self.engine, data)
        _replace(self.sidecar, (json.dumps(content, indent=2) + "\n").encode())

    def remove(self) -> None:
        """Remove both files, as far as the folder allows."""
        for path in (self.sidecar, self.engine):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def _read_sidecar(self) -> dict[str, Any]:
        try:
            content = json.loads(_read(self.sidecar, MAX_SIDECAR_BYTES))
        except (ValueError, RecursionError) as error:
            raise EngineRefusedError(f"the sidecar is corrupt ({error})") from None
        if not isinstance(content, dict) or not isinstance(content.get("key"), dict):
            raise EngineRefusedError("the sidecar is corrupt: it holds no key")
        wanted = self.key.content()
        found = content["key"]
        differing = [name for name in wanted if found.get(name) != wanted[name]]
        if differing or set(found) != set(wanted):
            what = ", ".join(differing) or "its parts"
            raise EngineRefusedError(f"the engine is stale: built for another {what}")
        return content


def remove_leftovers(folder: Path) -> None:
    """Remove incomplete files of builds that ended; the caller holds the lock of the folder."""
    for path in folder.glob(f"{_TEMPORARY_PREFIX}*"):
        with contextlib.suppress(OSError):
            path.unlink()


def make_room(folder: Path, keep: EngineKey) -> None:
    """Remove the least recently used engines; the caller holds the lock of the folder."""
    times = {}
    for path in folder.glob(f"*{ENGINE_SUFFIX}"):
        with contextlib.suppress(OSError):
            times[path] = path.stat().st_mtime_ns
    others = sorted((path for path in times if path.stem != keep.digest), key=times.__getitem__)
    for path in others[: max(0, len(others) + 1 - MAX_ENGINES)]:
        for old in (path.with_suffix(SIDECAR_SUFFIX), path):
            with contextlib.suppress(OSError):
                old.unlink(missing_ok=True)


def _read(path: Path, limit_bytes: int) -> bytes:
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > limit_bytes:
                raise EngineRefusedError(f"'{path.name}' has {size} bytes, {limit_bytes} at most")
            return file.read(limit_bytes)
    except OSError as error:
        raise EngineRefusedError(f"'{path.name}' cannot be read ({error.strerror})") from None


def _replace(path: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=_TEMPORARY_PREFIX, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
