"""What is known of a file that is half here: where it comes from, and which version it is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from email.message import Message
from pathlib import Path
from typing import Any

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.files.regular_file import read_regular_file

MAX_NOTE_BYTES = 64 * 1024
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True)
class Note:
    """Hold the address, the version (strong ETag or date; None: not told) and the size."""

    url: str
    validator: str | None
    size_bytes: int | None

    def fits(self, headers: Message, have: int) -> bool:
        """Return whether a 206 answer goes on at byte `have` of this very version."""
        match = _RANGE.fullmatch(headers.get("Content-Range", ""))
        if match is None or int(match[1]) != have:
            return False
        if self.size_bytes is not None and match[2] not in {"*", str(self.size_bytes)}:
            return False
        told = validator_of(headers)
        return told is None or told == self.validator


def validator_of(headers: Message) -> str | None:
    """Return what tells versions apart: a strong ETag, else the date of change, else None."""
    etag = headers.get("ETag")
    if etag is not None and etag.startswith('"'):
        return etag
    return headers.get("Last-Modified")


def read_note(path: Path) -> Note | None:
    """Return the note, or None where there is none or it cannot be used."""
    try:
        content: Any = json.loads(read_regular_file(path, MAX_NOTE_BYTES))
    except (ConfigError, ValueError, RecursionError):
        return None
    if not isinstance(content, Mapping):
        return None
    url, validator, size = (content.get(key) for key in ("url", "validator", "size_bytes"))
    if not isinstance(url, str) or not isinstance(validator, (str, type(None))):
        return None
    return Note(url, validator, size if isinstance(size, int) else None)


def write_note(path: Path, note: Note) -> None:
    """Write a note whole or not at all."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(json.dumps(asdict(note)) + "\n", encoding="utf-8")
    new.replace(path)
