"""Checks of output files and folders; only earlier results of this software are overwritten.

Commands check their outputs before they compute, and files are replaced atomically.
"""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError

READ_LIMIT_BYTES = 64 * 2**20
_SHOWN = 3


def check_output_folder(folder: Path, *, option: str, is_own: Callable[[Path], bool]) -> None:
    """Check that results may be written into a folder: it is absent, empty, or has earlier ones.

    Args:
        folder: the output folder.
        option: the option that set it, for the message.
        is_own: returns whether a non-empty folder contains earlier results of the command.

    Raises:
        ConfigError: it is a file, has other content, or cannot be created or written.
    """
    _check_parent(folder, option)
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise ConfigError(f"{option} '{folder}' exists and is not a folder; give a new folder")
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise ConfigError(f"{option} '{folder}' cannot be read ({error.strerror})") from error
    _check_writable(folder, f"{option} '{folder}'")
    if names and not is_own(folder):
        raise ConfigError(
            f"{option} '{folder}' contains {some(names)}, which this command did not write; give a "
            "new or empty folder"
        )


def check_output_file(path: Path, *, option: str, is_own: Callable[[str], bool]) -> None:
    """Check that a result may be written to a file: it is absent, empty, or an earlier result.

    A pipe or a device, such as /dev/stdout, is accepted as well.

    Args:
        path: the output file.
        option: the option that set it, for the message.
        is_own: returns whether a text was written by the command.

    Raises:
        ConfigError: it is a folder, contains something else, or cannot be written.
    """
    if not path.absolute().parent.is_dir():
        raise ConfigError(
            f"{option} '{path}': the folder '{path.parent}' does not exist; create it"
        )
    _check_parent(path, option)
    if path.is_dir():
        raise ConfigError(f"{option} '{path}' is a folder; give a file")
    if not path.exists():
        return
    _check_file_writable(path, f"{option} '{path}'")
    text = _own_text(path)
    if text is None or (text and not is_own(text)):
        raise ConfigError(
            f"{option} '{path}' exists and was not written by this command; remove it or give "
            "another name"
        )


def check_not_same(path: Path, *, option: str, others: Iterable[tuple[str, Path]]) -> None:
    """Check that an output is none of the other files and folders of a command line.

    Args:
        path: the output.
        option: the option that set it, for the message.
        others: what each one is, for the message, and its path.

    Raises:
        ConfigError: it is one of them.
    """
    for what, other in others:
        is_same = os.path.realpath(path) == os.path.realpath(other)
        if is_same or (path.exists() and other.exists() and path.samefile(other)):
            raise ConfigError(f"{option} '{path}' is {what} '{other}'; give another path")


def check_outside(path: Path, *, option: str, others: Iterable[tuple[str, Path]]) -> None:
    """Check that an output is none of the other files and folders and in none of them.

    The arguments are those of `check_not_same`.

    Raises:
        ConfigError: it is one of them, or lies in one.
    """
    others = list(others)
    check_not_same(path, option=option, others=others)
    parents = Path(os.path.realpath(path)).parents
    for what, other in others:
        if Path(os.path.realpath(other)) in parents:
            raise ConfigError(
                f"{option} '{path}' lies in {what} '{other}'; give a path outside of it"
            )


def holds_json(*keys: str) -> Callable[[str], bool]:
    """Return a function that checks whether a text is a JSON object with the given keys."""

    def is_own(text: str) -> bool:
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            return False
        return isinstance(content, dict) and set(keys) <= set(content)

    return is_own


def has_own_file(name: str, is_own: Callable[[str], bool]) -> Callable[[Path], bool]:
    """Return a function that checks whether a folder has the named file with own content."""

    def folder_is_own(folder: Path) -> bool:
        path = folder / name
        text = _own_text(path) if path.is_file() else None
        return bool(text) and is_own(str(text))

    return folder_is_own


def write_whole(path: Path, data: str | bytes) -> None:
    """Write a file atomically: an existing file is replaced only by the complete new one.

    Raises:
        OSError: the file cannot be written.
    """
    content = data.encode("utf-8") if isinstance(data, str) else data
    if path.exists() and not path.is_file():
        path.write_bytes(content)  # a pipe or a device
        return
    target = path.resolve()
    new = target.with_name(f".{target.name}.{secrets.token_hex(4)}.new")
    try:
        new.write_bytes(content)
        new.replace(target)
    finally:
        new.unlink(missing_ok=True)


def some(names: list[str]) -> str:
    """Return the first names of a list, and how many more there are, for a message."""
    rest = len(names) - _SHOWN
    listed = ", ".join(repr(name) for name in names[:_SHOWN])
    return listed if rest <= 0 else f"{listed} and {rest} more"


def _check_parent(path: Path, option: str) -> None:
    """Check that the nearest existing parent folder is writable."""
    above = path.absolute().parent
    while not os.path.lexists(above):
        above = above.parent
    if not above.is_dir():
        raise ConfigError(f"{option} '{path}': '{above}' is not a folder; give another path")
    if not os.path.lexists(path):
        _check_writable(above, f"{option} '{path}' cannot be created: '{above}'")


def _check_file_writable(path: Path, what: str) -> None:
    """Check that an existing file can be replaced, or a device written.

    Raises:
        ConfigError: it cannot.
    """
    if path.is_char_device():
        try:
            with path.open("wb", buffering=0) as device:
                device.write(b"")
        except OSError as error:
            raise _unwritable(what, error) from error
    elif not os.access(path, os.W_OK):
        raise ConfigError(f"{what} cannot be written; check its permissions")
    elif path.is_file():
        folder = path.resolve().parent
        _check_writable(folder, f"{what} cannot be replaced: '{folder}'")


def _check_writable(folder: Path, what: str) -> None:
    """Check that files can be created in a folder; permissions alone do not tell.

    Raises:
        ConfigError: they cannot.
    """
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unwritable(what, error) from error


def _unwritable(what: str, error: OSError) -> ConfigError:
    return ConfigError(
        f"{what} cannot be written ({error.strerror}); check its permissions and the free space, "
        "or give another path"
    )


def _own_text(path: Path) -> str | None:
    """Return a regular file's text, an empty one for a pipe or device, None if it is not text."""
    if not path.is_file():
        return ""
    try:
        if path.stat().st_size > READ_LIMIT_BYTES:
            return None
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
