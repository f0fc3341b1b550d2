"""A list of samples to leave out, that people may edit."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError

LIST_LIMIT_BYTES = 16 * 2**20
_COMMENT = "#"


def read_removal_list(path: Path) -> tuple[str, ...]:
    """Return the sample names of a file, each once.

    One name per line. A `#` at the start of a line or after a blank starts a comment; a name that
    holds that itself, or blanks at its ends, stands in double quotes as in JSON.

    Raises:
        ConfigError: the file is missing, too large or no text, or a quoted name does not end.
    """
    try:
        if not path.is_file():
            raise ConfigError(f"list {path} is not a file; give a file with one name per line")
        if path.stat().st_size > LIST_LIMIT_BYTES:
            raise ConfigError(f"{path}: larger than {LIST_LIMIT_BYTES} bytes; is it a list?")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"list {path} cannot be read: {error}; write one name per line"
        ) from error
    names = [_name_of(line.strip(), f"{path}:{row}") for row, line in enumerate(lines, start=1)]
    return tuple(dict.fromkeys(name for name in names if name))


def write_removal_list(path: Path, head: Iterable[str], rows: Iterable[tuple[str, str]]) -> None:
    """Write a list that `read_removal_list` reads back.

    Args:
        path: of the file.
        head: comment lines for the top.
        rows: name and reason of each sample.

    Raises:
        OSError: the file cannot be written.
    """
    lines = [f"{_COMMENT} {line}" for line in head]
    lines += [f"{_quoted(name)}  {_COMMENT} {' '.join(reason.split())}" for name, reason in rows]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _name_of(line: str, place: str) -> str:
    if line.startswith('"'):
        try:
            name, _ = json.JSONDecoder().raw_decode(line)
        except ValueError as error:
            raise ConfigError(f"{place}: {line!r} has no closing quote; add it") from error
        return str(name)
    if line.startswith(_COMMENT):
        return ""
    starts = [at for at, sign in enumerate(line) if sign == _COMMENT and line[at - 1].isspace()]
    return line[: starts[0]].strip() if starts else line


def _quoted(name: str) -> str:
    plain = len(name.splitlines()) == 1 and name == _name_of(name.strip(), "")
    return name if plain and not name.startswith(('"', _COMMENT)) else json.dumps(name)
