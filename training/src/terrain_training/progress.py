"""How far a long loop is: a bar in a terminal or notebook, else a line of the log now and then."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TypeVar

from tqdm import tqdm

from terrain_training.notebook import NotebookBar, in_notebook

log = logging.getLogger(__name__)

PLAIN = {"plain": True}
"""`extra` of log records that are rows of a table: they are shown without a time."""


class PlainOrTimed(logging.Formatter):
    """Show records marked with `PLAIN` as they are, others behind date and time."""

    def __init__(self) -> None:
        """Choose the usual form."""
        super().__init__("%(asctime)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        return record.getMessage() if getattr(record, "plain", False) else super().format(record)


LOG_EVERY_S = 30.0
_Item = TypeVar("_Item")


class Progress:
    """Count finished items of a known total."""

    def __init__(self, what: str, *, total: int, unit: str) -> None:
        """Start at 0.

        Args:
            what: is being done, such as "evaluate".
            total: number of items.
            unit: of one item, such as "image".
        """
        self._what, self._total = what, total
        self._units = f"{unit}es" if unit.endswith("ch") else f"{unit}s"
        self._done = 0
        self._logged_s = time.monotonic()
        self._in_notebook = (
            NotebookBar(what, total=total, units=self._units) if in_notebook() else None
        )
        shown = sys.stderr.isatty() and self._in_notebook is None
        self._bar = tqdm(total=total, desc=what, unit=unit, disable=not shown, leave=False)

    def __enter__(self) -> Progress:
        """Return itself."""
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Remove the bar."""
        self.close()

    def close(self) -> None:
        """Remove the bar, where there is no `with` statement."""
        self._bar.close()
        if self._in_notebook is not None:
            self._in_notebook.close()

    def add(self, count: int = 1) -> None:
        """Count finished items."""
        self._done += count
        self._bar.update(count)
        if self._in_notebook is not None:
            self._in_notebook.set(self._done)
        elif self._bar.disable and time.monotonic() - self._logged_s > LOG_EVERY_S:
            self._logged_s = time.monotonic()
            log.info("%s: %d of %d %s", self._what, self._done, self._total, self._units)


def progress_of(items: Sequence[_Item], what: str, *, unit: str) -> Iterator[_Item]:
    """Yield items and show how many of them are done."""
    with Progress(what, total=len(items), unit=unit) as progress:
        for item in items:
            yield item
            progress.add()
