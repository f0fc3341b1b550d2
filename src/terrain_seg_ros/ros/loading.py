"""Loading rclpy: what keeps it from working here is one line and exit code 2, not a traceback.

This module imports no rclpy: with a foreign RMW_IMPLEMENTATION, loading it ends the process.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.dds.discovery import choose_domain

EXIT_WRONG_INPUT = 2
MIDDLEWARE, PREFIXES = "RMW_IMPLEMENTATION", "AMENT_PREFIX_PATH"
MIDDLEWARE_INDEX = Path("share", "ament_index", "resource_index", "rmw_typesupport")
"""Below each prefix of ROS: one file per middleware that is installed."""
TRIAL_LIMIT_S = 60.0


def refuse(program: str, text: str) -> NoReturn:
    """End the process with a line on stderr and exit code 2."""
    sys.stderr.write(f"{program}: error: {text}\n")
    raise SystemExit(EXIT_WRONG_INPUT)


@contextmanager
def loading_ros(program: str, environment: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Check the variables that ROS reads, then let the body import what needs rclpy.

    Raises:
        SystemExit: a variable is refused, or ROS cannot be loaded; its reason is on the console.
    """
    try:
        choose_domain(None, environment)
        _check_middleware(environment)
    except ConfigError as error:
        refuse(program, str(error))
    try:
        yield
    except ImportError as error:
        if (error.name or "").startswith("terrain_seg_ros"):
            raise
        refuse(program, _why_not_loaded(error, environment))


def _check_middleware(environment: Mapping[str, str]) -> None:
    """Check RMW_IMPLEMENTATION; rclpy is loaded in another process if ROS's index lacks it.

    Raises:
        ConfigError: rclpy cannot be loaded with it.
    """
    name = environment.get(MIDDLEWARE, "")
    installed = _middlewares(environment)
    if not name or name in installed:
        return
    tried = subprocess.run(
        [sys.executable, "-c", "import rclpy.impl.implementation_singleton"],
        capture_output=True,
        text=True,
        timeout=TRIAL_LIMIT_S,
        env=dict(environment),
        check=False,
    )
    if tried.returncode and "RMW implementation" in tried.stderr:
        there = f" ({', '.join(installed)})" if installed else ""
        raise ConfigError(
            f"{MIDDLEWARE} is {name!r}, which this ROS 2 does not have; unset it, or give one that "
            f"is installed{there}"
        )


def _middlewares(environment: Mapping[str, str]) -> list[str]:
    """Return the names of the installed middlewares: those of a sourced ROS, else of the wheels."""
    prefixes = environment.get(PREFIXES, "") or sys.prefix
    folders = [Path(prefix) / MIDDLEWARE_INDEX for prefix in prefixes.split(os.pathsep) if prefix]
    names = {path.name for folder in folders if folder.is_dir() for path in folder.iterdir()}
    return sorted(names - {"rmw_implementation"})


def _why_not_loaded(error: ImportError, environment: Mapping[str, str]) -> str:
    """Return one line: what was found, and what helps."""
    python = f"Python {sys.version_info[0]}.{sys.version_info[1]}"
    without = "or use `terrain-seg run`, which needs no ROS"
    spec = importlib.util.find_spec("rclpy")
    if spec is None:
        return (
            f"rclpy is not installed for {python}; source a ROS 2 built for it, install the extra "
            f"`ros` (wheels for x86-64), {without}"
        )
    folder = Path(spec.origin or "rclpy").parent
    reason = str(error).strip().partition("\n")[0]
    remedy = f"source a ROS 2 built for this Python, {without}"
    causes = _causes(folder, environment)
    if causes:
        named = " and ".join(f"{name} ({environment[name]!r})" for name in causes)
        remedy = f"unset {named}, {remedy}"
    return f"rclpy of {str(folder)!r} cannot be used with {python}: {reason}; {remedy}"


def _causes(folder: Path, environment: Mapping[str, str]) -> list[str]:
    """Return the variables that may have led to this folder, or keep its libraries from loading."""
    searched = environment.get("PYTHONPATH", "").split(os.pathsep)
    by_path = any(item and folder.is_relative_to(Path(item).resolve()) for item in searched)
    return [
        name
        for name, is_cause in [(PREFIXES, bool(environment.get(PREFIXES))), ("PYTHONPATH", by_path)]
        if is_cause
    ]
