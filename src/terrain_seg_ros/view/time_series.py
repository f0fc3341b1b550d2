"""The time series that the viewer draws, over the seconds before now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from terrain_seg_ros.core.types import F64
from terrain_seg_ros.view.moment import HealthPoint, Moment

SPAN_S = 120.0
"""Time that is drawn."""
SHORTEST_STEP_S = 1e-3
BLUE, GREEN, YELLOW, RED = "#5adcff", "#6fcf97", "#f0be46", "#eb5757"


@dataclass(frozen=True)
class Line:
    """One line of a chart: finite values (N,) at ascending times (N,) in seconds, now being 0."""

    name: str
    color: str
    time_s: F64
    values: F64


def latency_lines(moment: Moment) -> tuple[Line, ...]:
    """Return the delay of each mask, and the node's median and p99, in ms."""
    health = moment.health
    return (
        _line(
            "stamp to mask",
            BLUE,
            moment,
            [item.time_ns for item in moment.delays],
            [item.delay_ms for item in moment.delays],
        ),
        _of_health("node p50", GREEN, moment, [item.median_ms for item in health]),
        _of_health("node p99", YELLOW, moment, [item.p99_ms for item in health]),
    )


def rate_lines(moment: Moment) -> tuple[Line, ...]:
    """Return images in, images out, and dropped or refused ones, per second each."""
    health = moment.health
    return (
        _of_health("in", BLUE, moment, [item.rate_in_hz for item in health]),
        _of_health("out", GREEN, moment, [item.rate_out_hz for item in health]),
        _of_health("dropped or refused", RED, moment, _lost_per_s(health)),
    )


def _lost_per_s(health: Sequence[HealthPoint]) -> list[float]:
    """Return by how much the counters grew since the message before, per second."""
    rates = [0.0] * len(health[:1])
    for before, now in pairwise(health):
        lost = now.dropped + now.refused - before.dropped - before.refused
        step_s = max((now.time_ns - before.time_ns) / 1e9, SHORTEST_STEP_S)
        rates.append(max(lost, 0.0) / step_s)
    return rates


def _of_health(name: str, color: str, moment: Moment, values: list[float]) -> Line:
    return _line(name, color, moment, [item.time_ns for item in moment.health], values)


def _line(name: str, color: str, moment: Moment, times_ns: list[int], values: list[float]) -> Line:
    # As integers: nanoseconds since 1970 do not fit into a float.
    time_s = np.array([time_ns - moment.time_ns for time_ns in times_ns], dtype=np.float64) / 1e9
    found = np.array(values, dtype=np.float64)
    shown = (time_s >= -SPAN_S) & np.isfinite(found)
    return Line(name, color, time_s[shown], found[shown])
