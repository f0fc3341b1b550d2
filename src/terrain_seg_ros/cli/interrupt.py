"""Ctrl-C as a flag, so that work under way is finished."""

from __future__ import annotations

import signal
from types import FrameType


class Interrupt:
    """Note SIGINT and SIGTERM instead of dying of them, while in the `with` statement.

    A plain flag, not an Event: an Event's lock may be held by the thread that the handler stops.
    """

    def __init__(self) -> None:
        """Begin without a signal."""
        self.asked = False

    def __enter__(self) -> Interrupt:
        """Take over the signals."""
        signals = (signal.SIGINT, signal.SIGTERM)
        self._before = {number: signal.signal(number, self._note) for number in signals}
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True
