"""How message classes are handed in: any callable from a type name to a class."""

from __future__ import annotations

import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

_TYPECODES = {"i8": "q", "u8": "Q"}
"""Element types that rosidl names otherwise than numpy, which calls 64 bits "l" on Linux."""

Types = Callable[[str], Any]
"""Returns the class of "pkg/msg/Name". It may have more attributes, as `RosTypes` does: `buffer`
and `byte`, without which arrays stay numpy arrays and bytes stay ints (as rosbags expects), and
`has`, without which every type exists. Where some topics go by another transport, whose message
classes differ, `of` returns the classes that messages of a type are made of."""


@dataclass(frozen=True)
class RosTypes:
    """Wrap the lookup of rclpy's classes, whose array fields want `array.array`.

    Assigning a numpy array to `Image.data` costs up to 400 ms for 1080p there, an array 0.2 ms.
    """

    lookup: Callable[[str], Any]
    has: Callable[[str], bool]

    def __call__(self, name: str) -> Any:
        """Return the message class of a type name."""
        return self.lookup(name)

    @staticmethod
    def buffer(values: NDArray[Any]) -> array.array[Any]:
        """Return a 1-D numpy array as the `array.array` of the same element type."""
        code = _TYPECODES.get(values.dtype.str[1:], values.dtype.char)
        result: array.array[Any] = array.array(code)
        result.frombytes(values.data.cast("B"))
        return result

    @staticmethod
    def byte(value: int) -> bytes:
        """Return the value of a `byte` field, which rclpy holds as one byte."""
        return bytes([value])


def has_type(types: Types, name: str) -> bool:
    """Return whether there is a class of a type."""
    has = getattr(types, "has", None)
    return has is None or bool(has(name))


def types_of(types: Types, name: str) -> Types:
    """Return the classes that a message of a type, and everything in it, is made of."""
    of = getattr(types, "of", None)
    return types if of is None else cast("Types", of(name))


def sequence_of(types: Types, values: NDArray[Any]) -> Any:
    """Return an array as the value of a sequence field, flat and without a copy if possible."""
    flat = np.ascontiguousarray(values).reshape(-1)
    buffer = getattr(types, "buffer", None)
    return flat if buffer is None else buffer(flat)


def byte_of(types: Types, value: int) -> Any:
    """Return a small number as the value of a `byte` field."""
    byte = getattr(types, "byte", None)
    return value if byte is None else byte(value)
