"""Pins: the one model that a name may stand for, kept in the user's models folder.

A pin is the digest over all files of a model. Format 1 of the file pinned the network alone, so
that a changed card went unseen; such pins are still read, and refused until they are renewed.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.core.files.regular_file import read_regular_file
from terrain_seg_ros.core.files.strict_json import read_json

PINS_FILE = "pins.json"
PINS_FORMAT = 2
_OLD_FORMAT = 1
MAX_PINS_BYTES = 2**20
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Pin(NamedTuple):
    """The model that a name is pinned to.

    `digest` is over all files of the model, empty in a pin of format 1; `sha256` is of the network
    alone, empty in a pin of format 2.
    """

    digest: str
    sha256: str


def read_pins(models: Path) -> dict[str, Pin]:
    """Return the pins by name.

    Raises:
        ModelError: the file of pins cannot be read: then no name may be trusted.
    """
    path = models / PINS_FILE
    if not os.path.lexists(path):
        return {}
    data = read_regular_file(path, MAX_PINS_BYTES, error=ModelError, remedy=_REMEDY)
    try:
        content = read_json(data)
    except ValueError as error:
        raise ModelError(f"{path}: cannot be read ({error}); {_REMEDY}") from error
    given = content.get("format") if isinstance(content, dict) else None
    # A section that lacks or has another name would let go of its pins in silence.
    if given == PINS_FORMAT and {"digest"} <= content.keys() - {"format"} <= {"digest", "sha256"}:
        pins = {name: Pin("", sha256) for name, sha256 in _section(content, "sha256", path)}
        return pins | {name: Pin(digest, "") for name, digest in _section(content, "digest", path)}
    if given == _OLD_FORMAT and given is not True and "sha256" in content:
        return {name: Pin("", sha256) for name, sha256 in _section(content, "sha256", path)}
    raise ModelError(f"{path}: is not a pins file of format {PINS_FORMAT}; {_REMEDY}")


def _section(content: Mapping[str, Any], key: str, path: Path) -> list[tuple[str, str]]:
    section = content.get(key, {})
    if not isinstance(section, dict):
        raise ModelError(f"{path}: is not a pins file of format {PINS_FORMAT}; {_REMEDY}")
    for name, digest in section.items():
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise ModelError(
                f"{path}: pins {name!r} to {str(digest)[:80]!r}, expected a sha256; {_REMEDY}"
            )
    return list(section.items())


def check_pin(models: Path, name: str, found: Pin, *, renews: bool = False) -> None:
    """Check a model against the pin of its name, if there is one.

    Args:
        models: the user's folder of models.
        name: of the model.
        found: its digest and its network's sha256.
        renews: whether a pin of format 1 that fits is about to be renewed.

    Raises:
        ModelError: it is another model, the pin covers its network alone, or the pins cannot be
            read.
    """
    pin = read_pins(models).get(name)
    if pin is None:
        return
    _check_same_model(name, pin, found)
    if not pin.digest and not renews:
        raise ModelError(
            f"model {name!r} is pinned by an older version, whose pins did not cover its card and "
            f"golden image; look at its card (`terrain-seg models show {name}`), then pin it again "
            f"with `terrain-seg models pin {name}`"
        )


def set_pin(models: Path, name: str, found: Pin) -> None:
    """Pin a name to a model; a pin of format 1 on the same network is renewed.

    Raises:
        ModelError: it is pinned to another one, or the pins cannot be read.
    """
    pins = read_pins(models)
    if name in pins:
        _check_same_model(name, pins[name], found)
    _write(models, {**pins, name: Pin(found.digest, "")})


def _check_same_model(name: str, pin: Pin, found: Pin) -> None:
    pinned, given, what = pin.digest, found.digest, "digest"
    if not pinned:
        pinned, given, what = pin.sha256, found.sha256, "sha256"
    if pinned != given:
        raise ModelError(
            f"model {name!r} is pinned to {what} {pinned[:16]}..., but its files have "
            f"{given[:16]}...; bring the pinned files back, or let go of it with "
            f"`terrain-seg models pin {name} --release`"
        )


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


def _write(models: Path, pins: Mapping[str, Pin]) -> None:
    models.mkdir(parents=True, exist_ok=True)
    whole = {name: pin.digest for name, pin in sorted(pins.items()) if pin.digest}
    old = {name: pin.sha256 for name, pin in sorted(pins.items()) if not pin.digest}
    content = {"format": PINS_FORMAT, "digest": whole, **({"sha256": old} if old else {})}
    handle, name = tempfile.mkstemp(dir=models, prefix=".pins-")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(json.dumps(content, indent=2) + "\n")
        temporary.replace(models / PINS_FILE)
    finally:
        temporary.unlink(missing_ok=True)
