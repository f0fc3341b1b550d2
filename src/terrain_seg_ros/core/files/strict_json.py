"""A strict, bounded JSON reader (RFC 8259): no NaN, no duplicate keys, limited nesting."""

from __future__ import annotations

import json
from typing import Any, NoReturn

MAX_DEPTH = 16
MAX_WHOLE_NUMBER = 2**63
_LAYOUT = "\n\t"


def read_json(data: bytes) -> Any:
    """Return the value of a JSON text in UTF-8.

    Raises:
        ValueError: it is not JSON, has a duplicate key, is nested deeper than `MAX_DEPTH`, or
            contains a number that is not finite, an integer beyond 64 bits or a control character;
            the message is one line.
    """
    try:
        content = json.loads(
            data.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant
        )
    except RecursionError:
        raise ValueError(f"it is nested more than {MAX_DEPTH} deep") from None
    _check(content)
    return content


def shown(value: Any, length: int = 100) -> str:
    """Return a value's representation for a message, shortened if it is long."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # whole numbers of thousands of digits have none
        text = f"a {type(value).__name__}"
    return text if len(text) <= length else f"{text[:length]}..."


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in content if keys.count(key) > 1)
        raise ValueError(f"the key {shown(twice)} occurs twice; keep one")
    return content


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _check(content: Any) -> None:
    """Check depth, numbers and texts, without recursion."""
    waiting = [(content, 1)]
    while waiting:
        value, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
        if isinstance(value, dict):
            waiting.extend((item, depth + 1) for item in value.values())
            waiting.extend((key, depth + 1) for key in value)
        elif isinstance(value, list):
            waiting.extend((item, depth + 1) for item in value)
        else:
            _check_leaf(value)


def _check_leaf(value: Any) -> None:
    if isinstance(value, str):
        if not value.isprintable() and any(_is_control(character) for character in value):
            raise ValueError(f"the string {shown(value)} contains a control character")
    elif isinstance(value, float):
        if value in (float("inf"), float("-inf")):
            raise ValueError("a number is too large")
    elif isinstance(value, int) and abs(value) >= MAX_WHOLE_NUMBER:
        raise ValueError("a whole number is too large")


def _is_control(character: str) -> bool:
    code = ord(character)
    in_range = code < 0x20 or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000
    return in_range and character not in _LAYOUT
