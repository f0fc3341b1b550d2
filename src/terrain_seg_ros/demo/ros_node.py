"""The demo's ROS 2 node: whether rclpy can be had here, and the processes that run it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from terrain_seg_ros.demo.processes import module_command

PROBE_LIMIT_S = 60.0
SETTLE_S = 1.0
"""For Fast DDS and Cyclone DDS to match all endpoints: longer than within one of them."""
EXIT_REFUSED = 2
"""The probe's, with one line that says why ROS cannot be loaded."""
LAST_WORDS = 200
"""Characters of another error that are shown."""


@dataclass(frozen=True)
class RosFacts:
    """Which ROS 2 runs the node."""

    rclpy: str
    middleware: str
    source: str

    @property
    def text(self) -> str:
        """Return one line about it."""
        return f"rclpy {self.rclpy} with {self.middleware}, from {self.source}"


def ros_environment(domain: int) -> dict[str, str]:
    """Return the variables that keep ROS on a domain of this machine."""
    return {"ROS_DOMAIN_ID": str(domain), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}


def find_ros(domain: int) -> RosFacts | str:
    """Return which ROS 2 can run the node, or why none can."""
    environment = {**os.environ, **ros_environment(domain)}
    try:
        tried = subprocess.run(
            module_command("ros.probe"),
            capture_output=True,
            text=True,
            timeout=PROBE_LIMIT_S,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"rclpy does not start within {PROBE_LIMIT_S:.0f} s"
    if tried.returncode != 0:
        words = tried.stderr.strip().splitlines()
        if tried.returncode == EXIT_REFUSED and words:
            return words[-1].removeprefix("probe: error: ")
        last = words[-1][-LAST_WORDS:] if words else f"exit code {tried.returncode}"
        return f"rclpy cannot be used with this Python: {last}"
    return RosFacts(**json.loads(tried.stdout.splitlines()[-1]))


def node_command(values: Mapping[str, str], *, json_file: Path, limit_s: float) -> list[str]:
    """Return the command of the lifecycle node.

    Args:
        values: parameters.
        json_file: for its summary.
        limit_s: it ends by itself after that.
    """
    command = module_command("ros.main", "--json", json_file, "--duration", limit_s)
    command += ["--ros-args", "-r", "__ns:=/terrain"]
    for name, value in values.items():
        command += ["-p", f"{name}:={json.dumps(value)}"]
    return command


def operator_command() -> list[str]:
    """Return the command of what configures and activates it, and takes it back."""
    return module_command("ros.operator")
