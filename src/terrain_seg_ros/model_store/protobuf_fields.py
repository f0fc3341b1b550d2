"""Walk over a protobuf message without its schema, copying and executing nothing.

`onnx_safety` checks untrusted files before any runtime sees them. ONNX Runtime would
open the files that tensors refer to and fold constants while it loads, and the package onnx is not
on the vehicle.
"""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Iterate over a message: field numbers with numbers or bytes.

    Raises:
        IndexError, ValueError: the bytes are not a protobuf message.
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


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    number = 0
    for index in range(_MAX_VARINT_BYTES):
        byte = data[place + index]
        number |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return number, place + index + 1
    raise ValueError("a number is too long")
