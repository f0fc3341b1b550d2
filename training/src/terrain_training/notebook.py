"""Outputs of a notebook's cell that are renewed in place; IPython is used only where it runs."""

from __future__ import annotations

import base64
import html
import importlib
import sys
import time
from typing import Any

UPDATE_S = 0.2
"""Between two states of a bar; a browser need not draw more."""


def in_notebook() -> bool:
    """Return whether this program runs in the kernel of a notebook."""
    return _shell() is not None


class LiveOutput:
    """One output of a cell, shown when there is something to show, then replaced in place."""

    def __init__(self) -> None:
        """Show nothing yet."""
        self._handle: Any = None

    def show_png(self, data: bytes) -> None:
        """Show a PNG file."""
        self._show({"image/png": base64.b64encode(data).decode("ascii")})

    def show_html(self, markup: str, *, text: str) -> None:
        """Show HTML, or text where that cannot be shown."""
        self._show({"text/html": markup, "text/plain": text})

    def _show(self, content: dict[str, str]) -> None:
        if self._handle is None:
            display = importlib.import_module("IPython.display").display
            self._handle = display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)


class NotebookBar:
    """A bar of a loop; all loops of a cell, one after another, use the same output."""

    _last: tuple[int, LiveOutput] | None = None
    """The number of the cell that runs, and its output."""

    def __init__(self, what: str, *, total: int, units: str) -> None:
        """Show that nothing is done yet.

        Args:
            what: is being done, such as "epoch 1 of 5".
            total: number of items.
            units: name of several items.
        """
        self._what, self._total, self._units = what, total, units
        self._output = self._of_this_cell()
        self._began_s = time.monotonic()
        self._drawn_s = 0.0
        self._draw(0)

    def set(self, done: int) -> None:
        """Show how many items are done."""
        if done >= self._total or time.monotonic() - self._drawn_s >= UPDATE_S:
            self._draw(done)

    def close(self) -> None:
        """Leave nothing behind."""
        self._output.show_html("", text="")

    def _draw(self, done: int) -> None:
        self._drawn_s = time.monotonic()
        seconds = self._drawn_s - self._began_s
        rate = f", {done / seconds:.3g} per second" if done and seconds > 0.0 else ""
        text = f"{self._what}: {done} of {self._total} {self._units}{rate}"
        bar = f'<progress value="{done}" max="{max(self._total, 1)}"></progress>'
        self._output.show_html(f"<div>{bar} {html.escape(text)}</div>", text=text)

    @classmethod
    def _of_this_cell(cls) -> LiveOutput:
        number = int(getattr(_shell(), "execution_count", 0))
        if cls._last is None or cls._last[0] != number:
            cls._last = (number, LiveOutput())
        return cls._last[1]


def _shell() -> Any:
    """Return IPython's shell where it belongs to a kernel, else None."""
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", None)
    shell = get_ipython() if callable(get_ipython) else None
    return shell if getattr(shell, "kernel", None) is not None else None
