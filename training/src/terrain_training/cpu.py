"""How many CPU cores this process may really use, and how many threads help a network."""

from __future__ import annotations

import os
from pathlib import Path

PIXELS_PER_THREAD = 32_768
"""Of a batch: with fewer, threads wait for each other longer than they compute."""
_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def available_cores() -> int:
    """Return the cores of this process's affinity, or of its containers' CPU quota if less."""
    allowed = len(os.sched_getaffinity(0))
    quotas = [quota for quota in _quotas(_CGROUPS, _OWN_CGROUP) if quota > 0.0]
    return max(1, min([allowed, *(int(quota) for quota in quotas)]))


def helpful_threads(batch_pixels: int, *, processes: int = 1) -> int:
    """Return how many threads of torch help to train on batches of a size.

    Args:
        batch_pixels: of the network's input, over the whole batch.
        processes: that train together on the CPU.
    """
    cores = max(1, available_cores() // max(1, processes))
    return max(1, min(cores, batch_pixels // PIXELS_PER_THREAD))


def let_threads_sleep() -> None:
    """Let waiting OpenMP threads sleep; to be called before torch is imported.

    By default they spin. Where others use the cores too, a step of a small network then takes
    twenty times as long, because the thread that all wait for has no core.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _quotas(cgroups: Path, own: Path) -> list[float]:
    """Return the quotas, in cores, of the own control group and those around it."""
    found = []
    for line in _lines(own):
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        root = cgroups / "cpu" if "cpu" in controllers.split(",") else cgroups
        if controllers and root == cgroups:
            continue
        folder = root / path.lstrip("/")
        for group in (folder, *folder.parents):
            found += _quota(group)
            if group == root:
                break
    return found


def _quota(group: Path) -> list[float]:
    """Return the quota of one control group, version 2 or 1; empty where it has none."""
    second = " ".join(_lines(group / "cpu.max")).split()
    first = [*_lines(group / "cpu.cfs_quota_us"), *_lines(group / "cpu.cfs_period_us")]
    for words in (second, first):
        if len(words) == 2 and all(word.isdigit() for word in words) and int(words[1]) > 0:
            return [int(words[0]) / int(words[1])]
    return []


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
