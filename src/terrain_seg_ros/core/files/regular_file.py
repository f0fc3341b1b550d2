"""Read files that nobody vouches for: regular ones only, and never more than a limit."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO

from terrain_seg_ros.core.errors import ConfigError, TerrainSegError

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISSOCK, "a socket"),
)
_FIRST_BYTES = 2**20
_STEP_BYTES = 16 * 2**20


def read_regular_file(
    path: Path,
    limit_bytes: int,
    *,
    error: type[TerrainSegError] = ConfigError,
    remedy: str = "check the path",
) -> bytes:
    """Return a file's content.

    Args:
        path: of the file; links are followed.
        limit_bytes: more are refused, also where the file grows while it is read.
        error: what is raised.
        remedy: completes the messages about a file that is missing or of another kind.

    Raises:
        TerrainSegError: of the given type: the file is missing, not a regular one or too large.
    """
    with open_regular_file(path, limit_bytes, error=error, remedy=remedy) as file:
        parts: list[bytes] = []
        count = 0
        wanted = min(limit_bytes, max(os.fstat(file.fileno()).st_size, _FIRST_BYTES)) + 1
        try:
            while part := file.read(min(wanted, _STEP_BYTES)):
                parts.append(part)
                count += len(part)
                if count > limit_bytes:
                    raise error(_too_large(path, f"more than {limit_bytes}", limit_bytes))
        except OSError as failure:
            raise error(_unreadable(path, failure, remedy)) from failure
    return parts[0] if len(parts) == 1 else b"".join(parts)


def open_regular_file(
    path: Path,
    limit_bytes: int | None = None,
    *,
    error: type[TerrainSegError] = ConfigError,
    remedy: str = "check the path",
) -> IO[bytes]:
    """Open a file for reading, unbuffered; close it after use.

    Args:
        path: of the file; links are followed.
        limit_bytes: of its size; None for any size.
        error: what is raised.
        remedy: completes the messages about a file that is missing or of another kind.

    Raises:
        TerrainSegError: of the given type: the file is missing, not a regular one or too large.
    """
    try:
        # Before it is opened: opening some devices does something. Without blocking: another
        # process may put a pipe in the file's place in between, which then is seen below.
        _check(path, path.stat(), limit_bytes, error, remedy)
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (OSError, ValueError) as failure:
        raise error(_unreadable(path, failure, remedy)) from failure
    try:
        _check(path, os.fstat(descriptor), limit_bytes, error, remedy)
    except BaseException:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb", buffering=0)


def check_regular_file(
    path: Path,
    limit_bytes: int | None = None,
    *,
    error: type[TerrainSegError] = ConfigError,
    remedy: str = "check the path",
) -> None:
    """Check a file that a library opens by its path.

    Raises:
        TerrainSegError: of the given type: the file is missing, not a regular one or too large.
    """
    open_regular_file(path, limit_bytes, error=error, remedy=remedy).close()


def _check(
    path: Path,
    status: os.stat_result,
    limit_bytes: int | None,
    error: type[TerrainSegError],
    remedy: str,
) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = next((text for test, text in _KINDS if test(status.st_mode)), "of an odd kind")
        raise error(f"{path}: is {kind}, expected a regular file; {remedy}")
    if limit_bytes is not None and status.st_size > limit_bytes:
        raise error(_too_large(path, str(status.st_size), limit_bytes))


def _too_large(path: Path, found: str, limit_bytes: int) -> str:
    return (
        f"{path}: {found} bytes are too many, the limit is {limit_bytes}; "
        "check that this is the right file"
    )


def _unreadable(path: Path, failure: OSError | ValueError, remedy: str) -> str:
    reason = failure.strerror if isinstance(failure, OSError) else str(failure)
    return f"{path}: cannot be read ({reason}); {remedy}"
