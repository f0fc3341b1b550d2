"""What a process holds over time - memory, threads, files - and whether it grows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from terrain_seg_ros.core.errors import InferenceError

GROWTH_MIB, GROWTH_SHARE = 8.0, 0.02
"""Memory may grow by the larger of these between the first and the last third."""
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
    to last that still counts as flat.
    """

    name: str
    first: float
    last: float
    most: float
    limit: float

    @property
    def growth(self) -> float:
        """Return by how much it grew; negative where it shrank."""
        return self.last - self.first

    @property
    def is_flat(self) -> bool:
        """Return whether it did not grow by more than the limit."""
        return self.growth <= self.limit


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
        limit = max(GROWTH_MIB, GROWTH_SHARE * first) if column == 1 else 0.0
        result.append(Drift(name, first, last, float(values[:, column].max()), limit))
    return result
