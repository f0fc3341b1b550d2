"""The panel with latency and rates over time."""

from __future__ import annotations

from typing import Any

import numpy as np
from viser import uplot

from terrain_seg_ros.view.moment import Moment
from terrain_seg_ros.view.time_series import latency_series, rate_series

HEIGHT_PX = 165
_AXIS = "#9aa0ac"
_GRID = "rgba(140,146,158,.18)"
_LATENCY = (("stamp to mask", "#5adcff"), ("node p50", "#6fcf97"), ("node p99", "#f0be46"))
_RATES = (("in", "#5adcff"), ("out", "#6fcf97"), ("dropped or refused", "#eb5757"))


class SeriesPanel:
    """Two charts over the last two minutes."""

    def __init__(self, gui: Any) -> None:
        """Add the charts to the container that is open in viser."""
        self._latency = _chart(gui, "Latency, ms", _LATENCY)
        self._rates = _chart(gui, "Images per second", _RATES)
        self._drawn: tuple[Any, Any] = (None, None)

    def draw(self, moment: Moment) -> None:
        """Draw what has changed."""
        key = (moment.health[-1:], moment.delays[-1:])
        if key == self._drawn:
            return
        self._drawn = key
        for chart, arrays in (
            (self._latency, latency_series(moment)),
            (self._rates, rate_series(moment)),
        ):
            if arrays[0].size:
                chart.data = arrays


def _chart(gui: Any, title: str, names: tuple[tuple[str, str], ...]) -> Any:
    nothing = np.array([-1.0, 0.0])
    lines = [
        uplot.Series(label=label, stroke=color, width=1.5, spanGaps=True, points={"show": False})
        for label, color in names
    ]
    axis = {"stroke": _AXIS, "grid": {"stroke": _GRID, "width": 1}, "ticks": {"stroke": _GRID}}
    return gui.add_uplot(
        (nothing, *[np.full(2, np.nan) for _ in names]),
        (uplot.Series(label="s"), *lines),
        title=title,
        scales={"x": uplot.Scale(time=False, auto=True), "y": uplot.Scale(auto=True)},
        axes=(uplot.Axis(**axis), uplot.Axis(**axis, size=44)),
        legend=uplot.Legend(show=True),
        height=HEIGHT_PX,
    )
