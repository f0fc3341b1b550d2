"""Reading of untrusted files: regular files only, up to a size limit."""

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
    """Return the content of a file.

    Args:
        path: the file; links are followed.
        limit_bytes: size limit, also enforced if the file grows while it is read.
        error: the type of error to raise.
        remedy: the advice appended to errors about a missing file or one that is not regular.

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
        path: the file; links are followed.
        limit_bytes: size limit; None for no limit.
        error: the type of error to raise.
        remedy: the advice appended to errors about a missing file or one that is not regular.

    Raises:
        TerrainSegError: of the given type: the file is missing, not a regular one or too large.
    """
    try:
        # The type is checked first because opening some devices has side effects. The open does
        # not block because another process may replace the file by a pipe in between; the second
        # check detects that.
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
    """Check a file that a library will open by its path.

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
        kind = next((text for test, text in _KINDS if test(status.st_mode)), "of an unknown type")
        raise error(f"{path}: is {kind}, expected a regular file; {remedy}")
    if limit_bytes is not None and status.st_size > limit_bytes:
        raise error(_too_large(path, str(status.st_size), limit_bytes))


def _too_large(path: Path, found: str, limit_bytes: int) -> str:
    return (
        f"{path}: the file has {found} bytes, the limit is {limit_bytes}; "
        "check that this is the right file"
    )


def _unreadable(path: Path, failure: OSError | ValueError, remedy: str) -> str:
    reason = failure.strerror if isinstance(failure, OSError) else str(failure)
    return f"{path}: cannot be read ({reason}); {remedy}"
