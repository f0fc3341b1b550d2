"""SIGINT, SIGTERM and SIGHUP end a command cleanly: one line, exit code 128 plus the number."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """A signal asked the process to end; code that handles Ctrl-C handles it as well."""

    def __init__(self, number: int) -> None:
        """Take the signal's number."""
        super().__init__(signal.Signals(number).name)
        self.number = number

    @property
    def exit_code(self) -> int:
        """Return what shells expect of a process that a signal ended."""
        return 128 + self.number


class Signals:
    """Raise `Interrupted` at the first signal, while in the `with` statement.

    What code raises in a signal handler can be swallowed where Python ignores exceptions, such as
    in a destructor or in a weak reference's callback. So the signal is noted too: `check` raises
    again, and Python's report of the swallowed exception is left out.
    """

    def __init__(self, line: str) -> None:
        """Take the line to print if a second signal ends the process at once."""
        self._line = line
        self._number: int | None = None
        self._before: dict[int, object] = {}
        self._unraisable = sys.unraisablehook

    def __enter__(self) -> Signals:
        """Install the handlers; SIGHUP stays ignored under nohup."""
        global _current  # noqa: PLW0603  (a process has one set of signal handlers)
        # Python takes handlers from the main thread alone.
        main = threading.current_thread() is threading.main_thread()
        self._before = {
            number: signal.getsignal(number) or signal.SIG_DFL
            for number in (SIGNALS if main else ())
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN
        }
        _current = self
        self._unraisable, sys.unraisablehook = sys.unraisablehook, self._leave_out_interrupted
        self.install()
        return self

    def __exit__(self, *_: object) -> None:
        """Restore the former handlers."""
        global _current  # noqa: PLW0603
        _current = None
        sys.unraisablehook = self._unraisable
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def install(self) -> None:
        """Install the handlers, also again after a library replaced them."""
        for number in self._before:
            signal.signal(number, self._handle)

    def check(self) -> None:
        """Raise what a signal asked for.

        Raises:
            Interrupted: there was one.
        """
        if self._number is not None:
            raise Interrupted(self._number)

    @property
    def number(self) -> int | None:
        """Return the first signal, None where there was none."""
        return self._number

    def _leave_out_interrupted(self, unraisable: UnraisableHookArgs) -> None:
        if not isinstance(unraisable.exc_value, Interrupted):
            self._unraisable(unraisable)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._number is not None:
            os.write(2, f"{self._line}\n".encode())
            os._exit(128 + self._number)
        self._number = number
        raise Interrupted(number)


_current: Signals | None = None


def current_signals() -> Signals | None:
    """Return what handles the signals of this process; None in a library's use."""
    return _current
