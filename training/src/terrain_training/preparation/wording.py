"""Words for what is counted."""

from __future__ import annotations


def counted(count: int, one: str, many: str) -> str:
    """Return a count before what is said of one or of many."""
    return f"{count} {one if count == 1 else many}"
