"""The panel with latency and rates over time."""

from __future__ import annotations

from typing import Any

import numpy as np

from terrain_seg_ros.core.types import F64
from terrain_seg_ros.view.moment import Moment
from terrain_seg_ros.view.time_series import latency_series, rate_series

HEIGHT_PX = 128
_AXIS = "#9aa0ac"
_GRID = "rgba(140,146,158,.18)"
Lines = tuple[tuple[str, str], ...]
"""Names and colours."""
_LATENCY: Lines = (("stamp to mask", "#5adcff"), ("node p50", "#6fcf97"), ("node p99", "#f0be46"))
_RATES: Lines = (("in", "#5adcff"), ("out", "#6fcf97"), ("dropped or refused", "#eb5757"))


class SeriesPanel:
    """Two charts over the last two minutes."""

    def __init__(self, gui: Any, container: Any) -> None:
        """Add the charts to a container of viser."""
        self._charts = (
            _Chart(gui, container, "Latency, ms", _LATENCY),
            _Chart(gui, container, "Images per second", _RATES),
        )
        self._drawn: tuple[Any, Any] = ((), ())

    def draw(self, moment: Moment) -> None:
        """Draw what has changed."""
        key = (moment.health[-1:], moment.delays[-1:])
        if key != self._drawn:
            self._drawn = key
            self._charts[0].draw(latency_series(moment))
            self._charts[1].draw(rate_series(moment))


class _Chart:
    """A chart of those lines that are known: a NaN would spoil uPlot's scale."""

    def __init__(self, gui: Any, container: Any, title: str, lines: Lines) -> None:
        self._gui, self._container, self._title, self._lines = gui, container, title, lines
        self._order = float(len(title))
        self._known: tuple[bool, ...] = ()
        self._handle: Any = None
        self.draw((np.array([-1.0, 0.0]), *[np.zeros(2) for _ in lines]))

    def draw(self, arrays: tuple[F64, ...]) -> None:
        """Draw seconds before now, and one array for each line."""
        known = tuple(bool(np.isfinite(values).all()) for values in arrays)
        if arrays[0].size < 2 or not any(known[1:]):
            return
        shown = tuple(values for values, ok in zip(arrays, known) if ok)
        if known == self._known:
            self._handle.data = shown
            return
        if self._handle is not None:
            self._handle.remove()
        self._known = known
        self._handle = self._made(shown)

    def _made(self, arrays: tuple[F64, ...]) -> Any:
        lines = [
            {"label": label, "stroke": color, "width": 1.5, "points": {"show": False}}
            for (label, color), ok in zip(self._lines, self._known[1:])
            if ok
        ]
        axis = {"stroke": _AXIS, "grid": {"stroke": _GRID, "width": 1}, "ticks": {"stroke": _GRID}}
        with self._container:
            return self._gui.add_uplot(
                arrays,
                ({"label": "s"}, *lines),
                title=self._title,
                scales={"x": {"time": False, "auto": True}, "y": {"auto": True}},
                axes=(axis, {**axis, "size": 44}),
                legend={"show": True},
                height=HEIGHT_PX,
                order=self._order,
            )
