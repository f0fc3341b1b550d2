"""Signals as a flag, so that work in progress is finished."""

from __future__ import annotations

import signal
from types import FrameType


class Interrupt:
    """Record SIGINT, SIGTERM, SIGQUIT and SIGHUP instead of ending the process, while in `with`.

    A SIGHUP that is ignored already, as under nohup, stays so. A plain flag, not an Event: an
    Event's lock may be held by the thread that the handler stops.
    """

    def __init__(self) -> None:
        """Begin without a signal."""
        self.asked = False
        self.by = ""
        """The name of the first signal, empty before it."""

    def __enter__(self) -> Interrupt:
        """Install the signal handlers."""
        signals = [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signals.append(signal.SIGHUP)
        self._before = {number: signal.signal(number, self._note) for number in signals}
        return self

    def __exit__(self, *_: object) -> None:
        """Restore the signal handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.by = self.by or signal.Signals(number).name
        self.asked = True
