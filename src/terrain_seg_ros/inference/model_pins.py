"""Pins: the one model file that a name may stand for, kept in the user's models folder."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from terrain_seg_ros.core.errors import ModelError

PINS_FILE = "pins.json"
PINS_FORMAT = 1
MAX_PINS_BYTES = 2**20
_SHA256 = re.compile(r"[0-9a-f]{64}")


def read_pins(models: Path) -> dict[str, str]:
    """Return the sha256 of the model file per pinned name.

    Raises:
        ModelError: the file of pins cannot be read: then no name may be trusted.
    """
    path = models / PINS_FILE
    try:
        if path.stat().st_size > MAX_PINS_BYTES:
            raise ModelError(f"{path}: is larger than {MAX_PINS_BYTES} bytes; {_REMEDY}")
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: cannot be read ({error}); {_REMEDY}") from error
    pins = content.get("sha256") if isinstance(content, dict) else None
    if not isinstance(pins, dict) or content.get("format") != PINS_FORMAT:
        raise ModelError(f"{path}: is no file of pins of format {PINS_FORMAT}; {_REMEDY}")
    for name, digest in pins.items():
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise ModelError(f"{path}: pins {name!r} to {digest!r}, expected a sha256; {_REMEDY}")
    return pins


def check_pin(models: Path, name: str, digest: str) -> None:
    """Check a model file's sha256 against the pin of its name, if there is one.

    Raises:
        ModelError: it is another file, or the pins cannot be read.
    """
    pinned = read_pins(models).get(name, digest)
    if pinned != digest:
        raise ModelError(
            f"model {name!r} is pinned to sha256 {pinned[:16]}..., but its file is "
            f"{digest[:16]}...; bring the pinned file back, or let go of it with "
            f"`terrain-seg models pin {name} --release`"
        )


def set_pin(models: Path, name: str, digest: str) -> None:
    """Pin a name to a file's sha256.

    Raises:
        ModelError: it is pinned to another one, or the pins cannot be read.
    """
    check_pin(models, name, digest)
    _write(models, {**read_pins(models), name: digest})


def release_pin(models: Path, name: str) -> bool:
    """Forget the pin of a name and return whether there was one.

    Raises:
        ModelError: the pins cannot be read.
    """
    pins = read_pins(models)
    if name not in pins:
        return False
    del pins[name]
    _write(models, pins)
    return True


_REMEDY = "repair it, or remove it to let go of all pins"


def _write(models: Path, pins: Mapping[str, str]) -> None:
    models.mkdir(parents=True, exist_ok=True)
    content = {"format": PINS_FORMAT, "sha256": dict(sorted(pins.items()))}
    handle, name = tempfile.mkstemp(dir=models, prefix=".pins-")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(json.dumps(content, indent=2) + "\n")
        temporary.replace(models / PINS_FILE)
    finally:
        temporary.unlink(missing_ok=True)
