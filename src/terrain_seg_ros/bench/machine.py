"""What a benchmark ran on, and the energy that the platform tells."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

CPU_INFO = Path("/proc/cpuinfo")
RAPL = Path("/sys/class/powercap")
JETSON_RELEASE = Path("/etc/nv_tegra_release")
TIMEOUT_S = 10.0
_POWER = re.compile(r"VDD_IN (\d+)mW")


def machine() -> str:
    """Return processor, cores, system and Python in one line."""
    model = platform.processor() or platform.machine()
    for line in _lines(CPU_INFO):
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return (
        f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    )


def accelerators() -> dict[str, Any]:
    """Return GPU, driver and power mode, as far as this machine tells; empty without a GPU."""
    found: dict[str, Any] = {}
    gpu = _run("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    if gpu:
        found["gpu"] = gpu.splitlines()[0].strip()
    if JETSON_RELEASE.is_file():
        found["jetson"] = _lines(JETSON_RELEASE)[0].strip("# ")
        mode = _run("nvpmodel", "-q")
        if mode:
            found["power_mode"] = " ".join(mode.split())
    return found


class EnergyMeter:
    """Read the energy used between `start` and `stop`: Intel's or AMD's RAPL counters.

    Most virtual machines hide them, and only root reads them on many systems: then there is none.
    """

    def __init__(self, folder: Path = RAPL) -> None:
        """Take the folder of the counters."""
        self._counters = sorted(folder.glob("*-rapl:[0-9]*"))
        # Sub-domains (rapl:0:0) are part of their package (rapl:0).
        self._counters = [path for path in self._counters if path.name.count(":") == 1]
        self._before: list[int | None] = []

    def start(self) -> None:
        """Read the counters."""
        self._before = [_number(path / "energy_uj") for path in self._counters]

    def stop(self) -> float | None:
        """Return the joules since `start`; None where no counter can be read."""
        total_uj, known = 0, False
        for path, before in zip(self._counters, self._before):
            after = _number(path / "energy_uj")
            if before is None or after is None:
                continue
            known = True
            step = after - before
            total_uj += step if step >= 0 else step + (_number(path / "max_energy_range_uj") or 0)
        return total_uj / 1e6 if known else None


def vram_mib(pid: int) -> float | None:
    """Return the GPU memory that a process holds, as nvidia-smi tells it; None if untold."""
    query = ("nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits")
    held = [line.split(",") for line in _run(*query).splitlines() if line.count(",") == 1]
    own = [float(used) for owner, used in held if owner.strip() == str(pid) and _is_number(used)]
    return sum(own) if own else None


def power_w() -> float | None:
    """Return what the board (tegrastats) or the GPU (nvidia-smi) draws now; None if untold."""
    text = _run("nvidia-smi", "--query-gpu=power.draw", "--format=csv,noheader,nounits")
    if text:
        try:
            return float(text.splitlines()[0])
        except ValueError:  # "[N/A]"
            return None
    return parse_tegrastats(_first_line("tegrastats", "--interval", "100") or "")


def parse_tegrastats(line: str) -> float | None:
    """Return the board's watts out of a line of tegrastats; None where it has none."""
    found = _POWER.search(line)
    return int(found[1]) / 1e3 if found else None


def _run(*command: str) -> str:
    """Return a program's output; nothing where it is absent or fails."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _first_line(*command: str) -> str | None:
    """Return the first line of a program that does not end by itself, and end it."""
    if shutil.which(command[0]) is None:
        return None
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline() if process.stdout else ""
        process.terminate()
    return line


def _is_number(text: str) -> bool:
    return text.strip().replace(".", "", 1).isdigit()


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
