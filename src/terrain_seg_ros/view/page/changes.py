"""Whether what was drawn is still what is to be drawn."""

from __future__ import annotations

from typing import Any


def is_same(before: tuple[Any, ...], now: tuple[Any, ...]) -> bool:
    """Return whether two keys hold the same objects; texts and numbers compare by value."""
    return len(before) == len(now) and all(
        a is b or (isinstance(a, float | str) and a == b) for a, b in zip(before, now)
    )
