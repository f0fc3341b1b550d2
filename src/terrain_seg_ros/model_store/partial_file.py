"""The note beside a partly fetched file: its address and version, so that versions never mix."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.files.regular_file import read_regular_file

MAX_NOTE_BYTES = 64 * 1024
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


class Note(BaseModel):
    """The address, the version (strong ETag or date, None if not given) and the full size."""

    model_config = ConfigDict(frozen=True, strict=True)

    url: str
    validator: str | None = None
    size_bytes: int | None = None

    def fits(self, headers: Mapping[str, str], have: int) -> bool:
        """Return whether a 206 answer continues this very version at byte `have`."""
        match = _RANGE.fullmatch(headers.get("Content-Range", ""))
        if match is None or int(match[1]) != have:
            return False
        if self.size_bytes is not None and match[2] not in {"*", str(self.size_bytes)}:
            return False
        found = validator_of(headers)
        return found is None or found == self.validator


def validator_of(headers: Mapping[str, str]) -> str | None:
    """Return what identifies a version: a strong ETag, else the date of change, else None."""
    etag = headers.get("ETag")
    if etag is not None and etag.startswith('"'):
        return etag
    return headers.get("Last-Modified")


def read_note(path: Path) -> Note | None:
    """Return the note, or None where there is none or it cannot be used."""
    try:
        return Note.model_validate_json(read_regular_file(path, MAX_NOTE_BYTES))
    except (ConfigError, ValidationError):
        return None


def write_note(path: Path, note: Note) -> None:
    """Write a note whole or not at all."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(note.model_dump_json() + "\n", encoding="utf-8")
    new.replace(path)
