"""Keep unexpected errors from ending a live node: its only place that catches all exceptions."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from threading import Lock
from types import TracebackType

from terrain_seg_ros.runtime.health import DEFECTS_IN_A_ROW, Health

KINDS_LIMIT = 100
"""Tracebacks are logged for this many kinds of defects; further kinds are only counted."""


class LastResort:
    """Count defects by their place, and log the traceback of each kind once.

    A kind is the type of the error and the line that raised it. MemoryError is a defect like any
    other; KeyboardInterrupt and SystemExit pass. Every method may be called from any thread.
    """

    def __init__(self, health: Health) -> None:
        """Count in `health`; tracebacks go to the log of the module."""
        self._health = health
        self._tell: Callable[[str], None] = logging.getLogger(__name__).error
        self._kinds: set[tuple[str, str, int]] = set()
        self._lock = Lock()

    def tell_by(self, tell: Callable[[str], None]) -> None:
        """Send tracebacks elsewhere, such as to the log of ROS."""
        self._tell = tell

    def around(self, place: str) -> Attempt:
        """Return a context that catches and counts every exception except a request to exit.

        Args:
            place: what is done, in a few words; one of a fixed set.
        """
        return Attempt(self, place)

    def passed(self, place: str) -> None:
        """Note that work at a place succeeded."""
        self._health.passed(place)

    def failed(self, place: str, error: Exception) -> bool:
        """Count a defect, and log its traceback if it is the first of its kind.

        Returns:
            Whether this makes so many in a row that the grid must be withdrawn.
        """
        frame = traceback.extract_tb(error.__traceback__)[-1:]
        where = (frame[0].filename, frame[0].lineno or 0) if frame else ("", 0)
        text = " ".join(str(error).split())
        count = self._health.count_defect(place, f"{place}: {type(error).__name__}: {text}")
        kind = (type(error).__name__, *where)
        with self._lock:
            is_new = kind not in self._kinds and len(self._kinds) < KINDS_LIMIT
            if is_new:
                self._kinds.add(kind)
        if is_new:
            trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
            self._tell(
                f"defect in {place}: the message is skipped and the node continues. Please report "
                f"it with this traceback, which is shown once:\n{trace}"
            )
        return count == DEFECTS_IN_A_ROW


class Attempt:
    """One attempt at the work of a place.

    Afterwards `failed` says whether it ended by a defect, and `turned_persistent` whether that
    makes so many in a row that the grid must be withdrawn.
    """

    def __init__(self, resort: LastResort, place: str) -> None:
        """Prepare; nothing is counted before the end."""
        self._resort = resort
        self._place = place
        self.failed = self.turned_persistent = False

    def __enter__(self) -> Attempt:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Count how it ended; only requests to exit the process propagate."""
        if error is None:
            self._resort.passed(self._place)
            return False
        if not isinstance(error, Exception):
            return False
        self.failed = True
        self.turned_persistent = self._resort.failed(self._place, error)
        return True
