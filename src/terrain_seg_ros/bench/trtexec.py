"""Read what NVIDIA's trtexec printed of the same engine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.files.regular_file import read_regular_file

FILE_LIMIT_BYTES = 64 * 2**20
_THROUGHPUT = re.compile(r"Throughput: ([\d.]+) qps")
_MEDIAN = r": min = [\d.]+ ms, max = [\d.]+ ms, mean = [\d.]+ ms, median = ([\d.]+) ms"


@dataclass(frozen=True)
class TrtexecFigures:
    """Queries per second, and median milliseconds with transfers and without."""

    throughput_per_s: float
    latency_ms: float
    compute_ms: float | None


def read_trtexec(path: Path) -> TrtexecFigures:
    """Return the summary of a log of trtexec.

    Raises:
        ConfigError: the file cannot be read, or has no summary.
    """
    try:
        text = read_regular_file(path, FILE_LIMIT_BYTES).decode("utf-8", errors="replace")
    except ConfigError as error:
        raise ConfigError(f"--against {error}") from error
    throughput = _THROUGHPUT.search(text)
    latency = re.search(r"\bLatency" + _MEDIAN, text)
    if throughput is None or latency is None:
        raise ConfigError(
            f"--against {path}: has no performance summary of trtexec; keep what "
            "`trtexec --loadEngine=FILE --useCudaGraph` prints"
        )
    compute = re.search(r"GPU Compute Time" + _MEDIAN, text)
    return TrtexecFigures(
        float(throughput[1]), float(latency[1]), None if compute is None else float(compute[1])
    )
