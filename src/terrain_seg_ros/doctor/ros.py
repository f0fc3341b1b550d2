"""The doctor's checks of the ROS side."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from terrain_seg_ros.doctor.finding import Finding, State, import_error

ROS_ROOT = Path("/opt/ros")
NEEDED = {
    "lifecycle_msgs": "lifecycle_msgs",
    "nav_msgs": "nav_msgs",
    "sensor_msgs": "sensor_msgs",
    "std_srvs": "std_srvs",
}
OPTIONAL = {
    "bondpy": "no bond with Nav2's lifecycle manager: give it bond_timeout 0.0",
    "cv_bridge": "only the common image encodings",
    "diagnostic_msgs": "no /diagnostics",
    "grid_map_msgs": "no grid_map",
    "map_msgs": "no hazard_grid_updates",
    "nav2_msgs": "no filter_info for keepout and speed masks",
    "tf2_ros": "transforms come from this package's own buffer",
    "vision_msgs": "no label_info and no landing_sites",
    "visualization_msgs": "no landing_sites_markers",
}
"""Python packages by what the node goes without where they are absent."""


def ros_findings() -> list[Finding]:
    """Return what is there of ROS 2: distribution, middleware, packages, interpreter."""
    distribution = os.environ.get("ROS_DISTRO", "")
    if not distribution:
        return [_unsourced()]
    error = import_error("rclpy")
    if error:
        remedy = (
            f"use the Python that ROS was built for ({_ros_python() or 'see its folder'}), in an "
            "environment made with --system-site-packages; this is "
            f"{sys.version_info[0]}.{sys.version_info[1]}"
        )
        return [Finding("ROS 2", State.MISSING, f"{distribution} is sourced, but {error}", remedy)]
    return [
        Finding("ROS 2", State.USABLE, f"{distribution}; rclpy imports"),
        _middleware(),
        _packages(distribution),
        _optional_packages(distribution),
        _node(),
    ]


def _unsourced() -> Finding:
    setups = sorted(ROS_ROOT.glob("*/setup.bash"))
    if not setups:
        return Finding("ROS 2", State.ABSENT, "not installed; DDS and bags work without it")
    found = ", ".join(path.parent.name for path in setups)
    return Finding("ROS 2", State.ABSENT, f"{found} installed, not sourced", f"source {setups[-1]}")


def _ros_python() -> str:
    """Return the version of Python that the sourced ROS was built for, such as "3.12"."""
    for folder in os.environ.get("PYTHONPATH", "").split(os.pathsep):
        for part in Path(folder).parts:
            if part.startswith("python3."):
                return part.removeprefix("python")
    return ""


def _middleware() -> Finding:
    import rclpy  # noqa: PLC0415  (only where ROS is)

    name = rclpy.get_rmw_implementation_identifier()
    domain = os.environ.get("ROS_DOMAIN_ID", "0")
    detail = f"{name}; domain {domain}, discovery {discovery_range(os.environ)}"
    if "cyclonedds" in name:
        return Finding("RMW", State.USABLE, detail)
    remedy = (
        "large best-effort images from `ros2 bag play` can get lost there: "
        "export RMW_IMPLEMENTATION=rmw_cyclonedds_cpp, or set input_reliability: reliable"
    )
    return Finding("RMW", State.USABLE, detail, remedy)


def discovery_range(environment: Mapping[str, str]) -> str:
    """Return how far ROS looks for peers.

    Humble knows ROS_LOCALHOST_ONLY alone; if it is 1, later distributions obey it first.
    """
    if environment.get("ROS_LOCALHOST_ONLY") == "1":
        return "LOCALHOST"
    return environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")


def _packages(distribution: str) -> Finding:
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        return Finding("ROS packages", State.MISSING, _list(missing), _apt(distribution, missing))
    return Finding("ROS packages", State.USABLE, ", ".join(NEEDED))


def _optional_packages(distribution: str) -> Finding:
    missing = [name for name in OPTIONAL if importlib.util.find_spec(name) is None]
    if missing:
        detail = "; ".join(f"{name} absent: {OPTIONAL[name]}" for name in missing)
        return Finding("ROS options", State.ABSENT, detail, _apt(distribution, missing))
    return Finding("ROS options", State.USABLE, ", ".join(OPTIONAL))


def _node() -> Finding:
    """Return whether `ros2 run` finds the node, and whether its interpreter has the wheels."""
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    scripts = [Path(item) / "lib" / "terrain_seg_ros" / "terrain_seg_node" for item in prefixes]
    script = next((item for item in scripts if item.is_file()), None)
    if script is None:
        remedy = "colcon build --packages-select terrain_seg_ros; source install/setup.bash"
        return Finding("ROS node", State.ABSENT, "not found by `ros2 run`", remedy)
    first = script.read_text(encoding="utf-8").partition("\n")[0].removeprefix("#!").strip()
    if Path(first).exists() and not Path(first).samefile(sys.executable):
        remedy = (
            "build with the environment that has the wheels: activate it, then "
            "`python -m colcon build`"
        )
        detail = f"{script} runs {first}, but this is {sys.executable}"
        return Finding("ROS node", State.ABSENT, detail, remedy)
    return Finding("ROS node", State.USABLE, str(script))


def _list(names: list[str]) -> str:
    return f"absent: {', '.join(names)}"


def _apt(distribution: str, names: list[str]) -> str:
    packages = (f"ros-{distribution}-{name.replace('_', '-')}" for name in names)
    return f"apt install {' '.join(packages)}"
