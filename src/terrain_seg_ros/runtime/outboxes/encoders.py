"""The encoders of the outputs, found by the name of the topic's row in the table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from terrain_seg_ros.messages.message_types import Types

Encoder = Callable[[Types, Any], Any]
"""Makes the message of one topic from the product of its group, such as a `GridProduct`; returns
None where there is nothing to send now. The message classes are handed in per topic."""

ENCODERS: dict[str, Encoder] = {}
"""The encoder of each output."""


def encodes(row: str) -> Callable[[Encoder], Encoder]:
    """Return a decorator that registers a function as the encoder of a row of the table."""

    def register(encoder: Encoder) -> Encoder:
        ENCODERS[row] = encoder
        return encoder

    return register
