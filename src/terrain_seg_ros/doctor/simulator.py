"""Whether `terrain-seg sim` can render on this machine."""

from __future__ import annotations

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.doctor.finding import Finding, State, version_of
from terrain_seg_ros.sim.opengl import choose_platform, mujoco_is_installed


def simulator_finding() -> Finding:
    """Return whether MuJoCo and an OpenGL library are there; neither is needed on a vehicle."""
    if not mujoco_is_installed():
        remedy = "optional, to simulate; in a checkout: pip install -c constraints.txt -e '.[sim]'"
        return Finding("simulator", State.ABSENT, "mujoco is not installed", remedy)
    version = f"mujoco {version_of('mujoco')}"
    try:
        platform = choose_platform()
    except ConfigError as error:
        remedy = "sudo apt-get install libegl1 libgl1"
        return Finding("simulator", State.ABSENT, f"{version}; {error}", remedy)
    return Finding("simulator", State.USABLE, f"{version}; renders with {platform}")
