"""The panel with latency and rates over time."""

from __future__ import annotations

from typing import Any

from terrain_seg_ros.view.chart import chart, span_of
from terrain_seg_ros.view.moment import Moment
from terrain_seg_ros.view.time_series import latency_lines, rate_lines


class SeriesPanel:
    """Two charts over the last two minutes."""

    def __init__(self, gui: Any) -> None:
        """Add the charts to the container that is open in viser."""
        self._latency, self._rates = gui.add_html(""), gui.add_html("")
        self.draw(Moment())

    def draw(self, moment: Moment) -> None:
        """Draw the charts; what has not changed is not sent again."""
        latency, rates = latency_lines(moment), rate_lines(moment)
        span_s = span_of([*latency, *rates])
        self._latency.content = chart("Latency", latency, " ms", span_s)
        self._rates.content = chart("Images per second", rates, "", span_s)
