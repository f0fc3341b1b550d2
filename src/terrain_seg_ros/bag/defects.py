"""Unexpected errors of a replay: one message must not end the work on the others."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

LOGGED_LIMIT = 32
TEXT_LIMIT = 400

log = logging.getLogger(__name__)


class Defects:
    """Count messages that are damaged in the bag, and those whose processing failed unexpectedly.

    Every kind is logged once, with its traceback; `last` is the newest text of each.
    """

    def __init__(self) -> None:
        """Start without defects."""
        self.counts: dict[str, int] = {}
        self.last: dict[str, str] = {}
        self.in_a_row = 0

    def stored(self, topic: str, what: str) -> None:
        """Count a message that cannot be read from the bag."""
        self._count("message stored in a broken way", f"{topic}: {what}")

    @contextmanager
    def caught(self, topic: str, *, is_image: bool = False) -> Iterator[None]:
        """Count any error that processing a message raises, instead of raising it.

        Errors of the file system propagate: a full disk ends the replay. Images in a row count.
        """
        try:
            yield
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 (the last resort around one message)
            self.in_a_row += is_image
            kind = f"{type(error).__name__} at {_place(error)}"
            self._count(kind, f"{topic}: {error}", error)
        else:
            self.in_a_row = 0 if is_image else self.in_a_row

    def _count(self, kind: str, text: str, error: Exception | None = None) -> None:
        is_new = kind not in self.counts
        self.counts[kind] = self.counts.get(kind, 0) + 1
        self.last[kind] = " ".join(text.split())[:TEXT_LIMIT]
        if is_new and len(self.counts) <= LOGGED_LIMIT:
            log.error("a message is left out, the work goes on: %s: %s", kind, text, exc_info=error)


def _place(error: Exception) -> str:
    """Return file and line at which an error was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "an unknown place"
    return f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
