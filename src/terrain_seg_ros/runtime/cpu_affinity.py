"""Keep this process on some of the machine's processors."""

from __future__ import annotations

import os
import re

from terrain_seg_ros.core.errors import ConfigError

_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


def parse_cpu_list(text: str) -> frozenset[int]:
    """Return the processors of a list such as `0,2-3`, as taskset and cpusets write it.

    Raises:
        ConfigError: it is not such a list.
    """
    found: set[int] = set()
    for part in text.split(","):
        match = _RANGE.fullmatch(part.strip())
        first = int(match[1]) if match else 0
        last = int(match[2] or match[1]) if match else -1
        if last < first:
            raise ConfigError(f"cpu_affinity is {text!r}, expected processors such as 0,2-3")
        found.update(range(first, last + 1))
    return frozenset(found)


def apply_cpu_affinity(text: str) -> None:
    """Restrict this process, and the threads it starts from now on, to these processors.

    Args:
        text: a list as `parse_cpu_list` takes it; empty changes nothing.

    Raises:
        ConfigError: it is not a list, or names a processor that this process may not use.
    """
    if not text:
        return
    wanted = parse_cpu_list(text)
    allowed = os.sched_getaffinity(0)
    if not wanted <= allowed:
        raise ConfigError(
            f"cpu_affinity is {text!r}, but this process may use {sorted(allowed)} only; "
            "change the list or the container's cpuset"
        )
    os.sched_setaffinity(0, wanted)
