"""The time series that the viewer draws, as arrays over the seconds before now."""

from __future__ import annotations

import numpy as np

from terrain_seg_ros.core.types import F64
from terrain_seg_ros.view.moment import Moment

SPAN_S = 120.0
"""Time that is drawn."""


def latency_series(moment: Moment) -> tuple[F64, ...]:
    """Return seconds before now, delay of each mask, and the node's median and p99, in ms.

    Each holds until the next time that it is known. A column that is never known is NaN.
    """
    told_s, told = _health(moment)
    arrived_s = _seconds([item.time_ns for item in moment.delays], moment.time_ns)
    delays_ms = np.array([item.delay_ms for item in moment.delays])
    time_s = np.union1d(arrived_s, told_s)
    arrived_s, first = np.unique(arrived_s, return_index=True)
    delay = _held(time_s, arrived_s, delays_ms[first])
    columns = [_held(time_s, told_s, told[:, index]) for index in (4, 5)]
    return _cut(time_s, delay, *columns)


def rate_series(moment: Moment) -> tuple[F64, ...]:
    """Return seconds before now, and images in, images out and lost ones, per second each."""
    time_s, told = _health(moment)
    if time_s.size < 2:
        return _cut(time_s, told[:, 0], told[:, 1], np.zeros(time_s.size))
    lost = told[:, 2] + told[:, 3]
    step_s = np.maximum(np.diff(time_s), 1e-3)
    per_s = np.concatenate([[0.0], np.maximum(np.diff(lost), 0.0) / step_s])
    return _cut(time_s, told[:, 0], told[:, 1], per_s)


def _health(moment: Moment) -> tuple[F64, F64]:
    """Return seconds (N,) and rates, counts and latencies (N, 6) of the node's diagnostics."""
    rows = [item[1:] for item in map(_fields, moment.health)]
    time_s = _seconds([item.time_ns for item in moment.health], moment.time_ns)
    time_s, first = np.unique(time_s, return_index=True)
    return time_s, np.array(rows, dtype=np.float64).reshape(-1, 6)[first]


def _fields(item: object) -> tuple[float, ...]:
    return tuple(vars(item).values())


def _seconds(times_ns: list[int], now_ns: int) -> F64:
    return np.array([(time_ns - now_ns) / 1e9 for time_ns in times_ns], dtype=np.float64)


def _held(time_s: F64, told_s: F64, values: F64) -> F64:
    """Return the last known value at each time, before the first that one; NaN without any."""
    known = np.isfinite(values)
    told_s, values = told_s[known], values[known]
    if not told_s.size:
        return np.full(time_s.size, np.nan)
    return values[np.maximum(np.searchsorted(told_s, time_s, side="right") - 1, 0)]


def _cut(time_s: F64, *columns: F64) -> tuple[F64, ...]:
    shown = time_s >= -SPAN_S
    return tuple(np.asarray(column)[shown] for column in (time_s, *columns))
