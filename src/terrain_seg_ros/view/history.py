"""What the viewer remembers over time: counters, delays and the vehicle's path, all bounded."""

from __future__ import annotations

import math
import re
from collections import deque

import numpy as np

from terrain_seg_ros.core.types import F64
from terrain_seg_ros.messages.diagnostics_message import Status
from terrain_seg_ros.view.moment import Delay, HealthPoint

POINTS = 600
"""Points of a time series."""
PATH_POINTS = 4000
STEP_M = 0.05
"""The path gets a point each time the vehicle has moved this far."""
LONGEST_DELAY_MS = 60_000.0
"""A longer delay says that stamps and clock differ, as in a bag that was replayed later."""
STATUS_NAME = "terrain_seg"
_LATENCY = "latency_total_ms"
_PERCENTILES = re.compile(r"p50 ([0-9.]+), p90 [0-9.]+, p99 ([0-9.]+)")


class History:
    """Time series and path; `clear` begins anew, as after a jump in time."""

    def __init__(self) -> None:
        """Begin empty."""
        self._health: deque[HealthPoint] = deque(maxlen=POINTS)
        self._delays: deque[Delay] = deque(maxlen=POINTS)
        self._path: deque[tuple[float, float, float]] = deque(maxlen=PATH_POINTS)
        self._path_array: F64 | None = None

    def clear(self) -> None:
        """Forget everything."""
        self._health.clear()
        self._delays.clear()
        self._path.clear()
        self._path_array = None

    def add_status(self, status: Status, time_ns: int) -> None:
        """Add the counters of one status of this node's; others and odd values are left out."""
        if not status.name.startswith(STATUS_NAME) or "images_in" not in status.values:
            return
        found = _PERCENTILES.search(status.values.get(_LATENCY, ""))
        median_ms, p99_ms = map(_number, found.groups()) if found else (math.nan, math.nan)
        rate_in, rate_out, dropped, refused = (
            _number(status.values.get(key, ""))
            for key in ("rate_in_hz", "rate_out_hz", "dropped", "refused")
        )
        self._health.append(
            HealthPoint(time_ns, rate_in, rate_out, dropped, refused, median_ms, p99_ms)
        )

    def add_delay(self, stamp_ns: int, time_ns: int) -> None:
        """Add the time from an image's stamp to its mask, unless the clocks cannot be compared."""
        delay_ms = (time_ns - stamp_ns) / 1e6
        if 0.0 <= delay_ms <= LONGEST_DELAY_MS:
            self._delays.append(Delay(time_ns, delay_ms))

    def add_place(self, xyz_m: F64) -> None:
        """Add the place of the vehicle, if it has moved."""
        x, y, z = xyz_m.tolist()
        if self._path and math.dist(self._path[-1], (x, y, z)) < STEP_M:
            return
        self._path.append((x, y, z))
        self._path_array = None

    @property
    def health(self) -> tuple[HealthPoint, ...]:
        """Return the counters, oldest first."""
        return tuple(self._health)

    @property
    def delays(self) -> tuple[Delay, ...]:
        """Return the delays, oldest first."""
        return tuple(self._delays)

    @property
    def path_xyz_m(self) -> F64 | None:
        """Return the places of the vehicle (N, 3), None before the first."""
        if not self._path:
            return None
        if self._path_array is None:
            self._path_array = np.array(self._path)
        return self._path_array


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan
