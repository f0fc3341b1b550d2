"""Names from a bag, which may hold anything: made safe for ROS, and short to show."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

NAME_LIMIT = 48
"""Longest name of a camera; a full topic name of ROS has at most about 250 letters."""
SHOWN_LIMIT = 80
_OTHER = re.compile(r"[^A-Za-z0-9_]+")


def safe_names(names: Sequence[str]) -> list[str]:
    """Return names, each of parts between slashes, as unique relative topic names of ROS.

    Accents are dropped and all other letters replaced by underscores.
    """
    taken: set[str] = set()
    result = []
    for name in names:
        safe = "/".join(map(_safe_part, name.split("/")))[:NAME_LIMIT].rstrip("/")
        unique, number = safe, 1
        while unique in taken or (unique in names and unique != name):
            number += 1
            unique = f"{safe}_{number}"
        taken.add(unique)
        result.append(unique)
    return result


def shown(text: str) -> str:
    """Return a text that is at most `SHOWN_LIMIT` letters long."""
    return text if len(text) <= SHOWN_LIMIT else f"{text[: SHOWN_LIMIT - 3]}..."


def _safe_part(part: str) -> str:
    plain = unicodedata.normalize("NFKD", part)
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    safe = _OTHER.sub("_", plain)
    if not safe.strip("_"):
        return "camera"
    return f"camera_{safe}" if safe[0].isdigit() else safe
