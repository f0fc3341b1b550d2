"""The machine that figures were measured on."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

CPU_INFO = Path("/proc/cpuinfo")
JETSON_RELEASE = Path("/etc/nv_tegra_release")
TIMEOUT_S = 10.0


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
    """Return GPU, driver and power mode as far as they are known; empty without a GPU."""
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


def vram_mib(pid: int) -> float | None:
    """Return the GPU memory of a process as nvidia-smi reports it; None if it does not."""
    query = ("nvidia-smi", "--query-compute-apps=pid,used_memory", "--format=csv,noheader,nounits")
    held = [line.split(",") for line in _run(*query).splitlines() if line.count(",") == 1]
    own = [float(used) for owner, used in held if owner.strip() == str(pid) and _is_number(used)]
    return sum(own) if own else None


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


def _is_number(text: str) -> bool:
    return text.strip().replace(".", "", 1).isdigit()


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
