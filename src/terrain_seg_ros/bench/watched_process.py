"""What a process holds over time - memory, threads, files - and whether it grows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from terrain_seg_ros.core.errors import InferenceError
from terrain_seg_ros.core.types import F64

GROWTH_MIB, GROWTH_SHARE = 8.0, 0.02
"""Memory may grow by the larger of these between the first and the last third."""
TREND_MIB_PER_HOUR = 3.0
"""Steady growth of the memory above this is a leak: the thirds alone did not see one of 9."""
TREND_AFTER_S = 300.0
"""A trend is judged where the samples cover at least this time."""
TREND_SAMPLES = 200
LEAST_SAMPLES = 9
_MIB_IN_KIB = 1024.0


class Holding(NamedTuple):
    """What a process holds at one moment; `at_s` counts from the start of watching."""

    at_s: float
    memory_mib: float
    threads: int
    files: int


@dataclass(frozen=True)
class Drift:
    """How a quantity changed between the first and the last third of the samples.

    `first` and `last` are medians, `most` is the largest sample. `limit` is the growth from first
    to last that still counts as flat. `per_hour` is the steady growth, `steady_limit` what still
    counts as flat; NaN where the samples cover too little time.
    """

    name: str
    first: float
    last: float
    most: float
    limit: float
    per_hour: float = np.nan
    steady_limit: float = np.inf

    @property
    def growth(self) -> float:
        """Return by how much it grew; negative where it shrank."""
        return self.last - self.first

    @property
    def is_flat(self) -> bool:
        """Return whether it did not grow by more than the limits."""
        return self.growth <= self.limit and not self.per_hour > self.steady_limit


def look_at(pid: int, at_s: float, *, proc: Path = Path("/proc")) -> Holding:
    """Return what a process holds now.

    Raises:
        InferenceError: it is gone, or the system does not tell.
    """
    folder = proc / str(pid)
    try:
        status = (folder / "status").read_text(encoding="utf-8")
        files = sum(1 for _ in (folder / "fd").iterdir())
    except OSError as error:
        raise InferenceError(
            f"process {pid} cannot be watched ({error.strerror}); it ended, or this is not Linux"
        ) from error
    found = dict(re.findall(r"^(VmRSS|Threads):\s+(\d+)", status, re.MULTILINE))
    if len(found) != 2:
        raise InferenceError(f"process {pid} has ended; its log is above")
    return Holding(at_s, int(found["VmRSS"]) / _MIB_IN_KIB, int(found["Threads"]), files)


def judge(samples: list[Holding]) -> list[Drift]:
    """Return how memory, threads and open files changed.

    Raises:
        InferenceError: there are fewer than `LEAST_SAMPLES` samples.
    """
    if len(samples) < LEAST_SAMPLES:
        raise InferenceError(
            f"{len(samples)} samples are too few to judge, expected {LEAST_SAMPLES}; run longer"
        )
    third = len(samples) // 3
    values = np.array(samples, dtype=np.float64)
    result = []
    for column, name in enumerate(("memory MiB", "threads", "open files"), start=1):
        first, last = (
            float(np.median(part)) for part in (values[:third, column], values[-third:, column])
        )
        limit, steady = (max(GROWTH_MIB, GROWTH_SHARE * first), TREND_MIB_PER_HOUR)
        if column > 1:
            limit, steady = 0.0, np.inf
        trend = _trend_per_hour(values[:, 0], values[:, column])
        result.append(
            Drift(name, first, last, float(values[:, column].max()), limit, trend, steady)
        )
    return result


def _trend_per_hour(at_s: F64, values: F64) -> float:
    """Return the median slope of pairs of samples, which few jumps do not change (Theil 1950).

    NaN where the samples cover less than `TREND_AFTER_S`.
    """
    if at_s[-1] - at_s[0] < TREND_AFTER_S:
        return np.nan
    chosen = np.linspace(0, at_s.size - 1, min(at_s.size, TREND_SAMPLES)).astype(np.intp)
    first, second = np.triu_indices(chosen.size, k=1)
    first, second = chosen[first], chosen[second]
    slopes = (values[second] - values[first]) / (at_s[second] - at_s[first])
    return float(np.median(slopes)) * 3600.0
