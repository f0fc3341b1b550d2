"""How far a fetch is, as text."""

from __future__ import annotations

from collections.abc import Callable

STEP_BYTES = 4 * 2**20
LINE_PERCENT = 10
_MEGABYTE = 1e6


class ProgressText:
    """Write one line that renews itself on a terminal, else a line every ten per cent."""

    def __init__(self, write: Callable[[str], object], *, live: bool) -> None:
        """Take where to write, and whether that is a terminal."""
        self._write = write
        self._live = live
        self._last = -1
        self._open = False

    def __call__(self, done: int, total: int | None) -> None:
        """Note that `done` of `total` bytes are here."""
        percent = None if not total else 100 * done // total
        if percent is None:
            step = done // (STEP_BYTES if self._live else STEP_BYTES * 16)
        else:
            step = percent if self._live else percent // LINE_PERCENT
        if step == self._last:
            return
        self._last = step
        whole = "" if total is None else f" of {total / _MEGABYTE:.1f}"
        share = "" if percent is None else f" ({percent} %)"
        text = f"  {done / _MEGABYTE:.1f}{whole} MB{share}"
        self._write(f"\r{text}\033[K" if self._live else f"{text}\n")
        self._open = self._live

    def close(self) -> None:
        """End the line."""
        if self._open:
            self._write("\n")
        self._open = False
