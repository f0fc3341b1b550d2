"""Walk over a protobuf message without its schema and without the package protobuf."""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10


def only(message: memoryview, wanted: int) -> memoryview:
    """Return the first message or text of a field; empty where there is none."""
    return next((value for field, value in messages(message) if field == wanted), message[:0])


def messages(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Iterate over the fields of a message that are messages, texts or bytes themselves."""
    for field, value in fields(message):
        if isinstance(value, memoryview):
            yield field, value


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Iterate over a message: field numbers with numbers or bytes.

    Raises:
        IndexError, ValueError: the bytes are no protobuf message.
    """
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        kind = tag & 7
        if kind == _VARINT:
            number, place = _varint(message, place)
            yield tag >> 3, number
            continue
        size = {_FIXED64: 8, _FIXED32: 4}.get(kind, 0)
        if kind == _BYTES:
            size, place = _varint(message, place)
        elif not size:
            raise ValueError(f"wire type {kind}")
        if place + size > len(message):
            raise ValueError("it ends too early")
        if kind == _BYTES:
            yield tag >> 3, message[place : place + size]
        place += size


def packed(data: memoryview) -> Iterator[int]:
    """Iterate over the numbers of a packed field."""
    place = 0
    while place < len(data):
        number, place = _varint(data, place)
        yield number


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    number = 0
    for index in range(_MAX_VARINT_BYTES):
        byte = data[place + index]
        number |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return number, place + index + 1
    raise ValueError("a number is too long")
