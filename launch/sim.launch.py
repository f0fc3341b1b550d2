"""Simulate a rover or a lander in Gazebo in a generated lunar or Martian world, with the node.

    ros2 launch terrain_seg_ros sim.launch.py world:=mars rviz:=true

The world is generated at startup. ros_gz_sim and ros_gz_bridge are required to run it, but not to
list the arguments with `--show-args`.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from terrain_seg_ros.core.errors import TerrainSegError
from terrain_seg_ros.parameters.shipped import MODES
from terrain_seg_ros.worlds.gazebo.sdf_vehicle import MOUNTINGS, OPTICAL_FRAME
from terrain_seg_ros.worlds.gazebo.world_to_sdf import gazebo_world, write_sdf
from terrain_seg_ros.worlds.world import Body

SHARE = Path(get_package_share_directory("terrain_seg_ros"))
GAZEBO_PACKAGES = ("ros_gz_sim", "ros_gz_bridge")
ARGUMENTS = (
    ("world", "moon", "moon or mars"),
    ("seed", "1", "seed of the world"),
    ("mode", MODES[0], f"vehicle and its parameters: {' or '.join(MODES)}"),
    (
        "params_file",
        str(SHARE / "config" / "gazebo.yaml"),
        "parameter file that overrides the shipped parameters",
    ),
    ("model", "", "name of a shipped model, or path to model.onnx; empty: from the parameters"),
    ("headless", "false", "true: render without a window"),
    ("rviz", "false", "true: start RViz with image, overlay, grid and points"),
    ("record", "false", "true: record the namespace, TF and diagnostics"),
)


def generate_launch_description() -> LaunchDescription:
    """Return the launch arguments and the actions that depend on them."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, default, text in ARGUMENTS
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=_start)])


def _start(context: LaunchContext) -> list[Any]:
    given = {
        name: context.perform_substitution(LaunchConfiguration(name)) for name, *_ in ARGUMENTS
    }
    gazebo = _find_gazebo()
    world = _make_world(given)
    flags = "-r -s --headless-rendering" if given["headless"].lower() == "true" else "-r"
    passed = {name: given[name] for name in ("mode", "params_file", "model", "rviz", "record")}
    bridge = Node(
        package="ros_gz_bridge",
        executable="parameter_bridge",
        parameters=[{"config_file": str(SHARE / "config" / "gz_bridge.yaml")}],
        output="screen",
    )
    return [
        _include(gazebo / "launch" / "gz_sim.launch.py", {"gz_args": f"{flags} {world}"}),
        bridge,
        *_camera_frames(given["mode"]),
        _include(SHARE / "launch" / "seg.launch.py", {**passed, "use_sim_time": "true"}),
    ]


def _find_gazebo() -> Path:
    try:
        found = [Path(get_package_share_directory(name)) for name in GAZEBO_PACKAGES]
    except PackageNotFoundError as error:
        raise RuntimeError(
            f"sim.launch.py requires {' and '.join(GAZEBO_PACKAGES)}, but {error}; "
            "`sudo apt install ros-$ROS_DISTRO-ros-gz` installs both with Gazebo"
        ) from error
    return found[0]


def _make_world(given: dict[str, str]) -> Path:
    try:
        body, seed = Body(given["world"]), int(given["seed"])
        world = gazebo_world(body, seed)
        folder = Path(tempfile.mkdtemp(prefix="terrain_seg_"))
        return write_sdf(world, folder, vehicle=given["mode"])
    except (ValueError, TerrainSegError) as error:
        raise RuntimeError(f"arguments world, seed and mode: {error}") from error


def _include(path: Path, arguments: dict[str, str]) -> IncludeLaunchDescription:
    source = PythonLaunchDescriptionSource(str(path))
    return IncludeLaunchDescription(source, launch_arguments=arguments.items())


def _camera_frames(mode: str) -> list[Node]:
    at, turn = MOUNTINGS[mode], -0.5 * math.pi
    pairs = (
        ("base_link", "navcam_link", {"x": at.x_m, "z": at.z_m, "pitch": at.pitch_rad}),
        ("navcam_link", OPTICAL_FRAME, {"roll": turn, "yaw": turn}),
    )
    words = [
        ["--frame-id", parent, "--child-frame-id", child, *_options(pose)]
        for parent, child, pose in pairs
    ]
    program = "static_transform_publisher"
    return [Node(package="tf2_ros", executable=program, arguments=part) for part in words]


def _options(values: dict[str, float]) -> list[str]:
    return [word for key, value in values.items() for word in (f"--{key}", str(value))]
