"""Selection of the OpenGL platform for offscreen rendering, before MuJoCo is imported."""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import subprocess
import sys
from functools import lru_cache
from typing import Any

from terrain_seg_ros.core.errors import ConfigError

VARIABLE = "MUJOCO_GL"
LIBRARIES = {
    "egl": (("libEGL.so.1",), "libegl1 libgl1"),
    "osmesa": (("libOSMesa.so.8", "libOSMesa.so.6"), "libosmesa6"),
}
"""Platforms in the order in which they are tried, each with alternative libraries, one of which is
needed, and the Debian packages that provide them."""
REMEDY = (
    "install the Debian packages libegl1 and libgl1 (EGL), or libosmesa6 (OSMesa, slower), with "
    "`apt-get install libegl1 libgl1`"
)
PROBE_LIMIT_S = 60.0
_PROBE = "import mujoco; context = mujoco.GLContext(16, 16); context.make_current(); context.free()"


def mujoco_is_installed() -> bool:
    """Return whether the package of the extra `sim` is installed, without importing it."""
    return importlib.util.find_spec("mujoco") is not None


@lru_cache(maxsize=1)
def load_mujoco() -> Any:
    """Import MuJoCo with a platform that works on this machine, and return its module.

    Raises:
        ConfigError: MuJoCo is not installed, or no OpenGL platform works.
    """
    if not mujoco_is_installed():
        raise ConfigError(
            "the simulator needs MuJoCo, which is not installed (the extra `sim`): run "
            "`pip install 'mujoco>=3.3,<5'` or, in a checkout, `pip install -e '.[sim]'`"
        )
    os.environ[VARIABLE] = choose_platform()
    return importlib.import_module("mujoco")


def choose_platform() -> str:
    """Return the first platform that creates a context: the value of MUJOCO_GL, or EGL, OSMesa.

    Each is tried in a separate process, because a failed import of MuJoCo cannot be undone.

    Raises:
        ConfigError: none works; the message names the missing packages.
    """
    own = os.environ.get(VARIABLE, "").strip().lower()
    failures = []
    for name in [own] if own else list(LIBRARIES):
        failure = _missing_library(name) or _probe(name)
        if not failure:
            return name
        failures.append(f"{name}: {failure}")
    raise ConfigError(f"no OpenGL library works here ({'; '.join(failures)}); {REMEDY}")


def _missing_library(platform: str) -> str:
    """Return what is missing; empty if a library is found or none is known to be needed."""
    names, packages = LIBRARIES.get(platform, ((), ""))
    for name in names:
        try:
            ctypes.CDLL(name)
        except OSError:
            continue
        return ""
    return f"{names[0]} is missing, provided by the Debian packages {packages}" if names else ""


def _probe(platform: str) -> str:
    """Return why a platform cannot create a context; empty if it can."""
    environment = {**os.environ, VARIABLE: platform}
    environment.pop("PYOPENGL_PLATFORM", None)
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE],
            env=environment,
            capture_output=True,
            text=True,
            timeout=PROBE_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no context within {PROBE_LIMIT_S:.0f} s"
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or [f"ended with code {done.returncode}"])[-1]
