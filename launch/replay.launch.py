"""Play a bag to the node and show its output; `--show-args` lists the arguments.

`ros2 bag play` publishes the clock, so the node runs in the bag's time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_prefix, get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
    TimerAction,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.events.process import ProcessExited
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

PACKAGE = "terrain_seg_ros"
SHARE = Path(get_package_share_directory(PACKAGE))
START_S = "5.0"
LIMIT_MISSED = 1
ARGUMENTS = (
    ("bag", "", "bag to play: a folder, or a .mcap or .db3 file"),
    ("params_file", "", "see seg.launch.py"),
    ("namespace", "terrain", "see seg.launch.py"),
    ("image_topic", "", "topic of camera images in the bag, see seg.launch.py"),
    ("camera_info_topic", "", "topic of intrinsics in the bag, see seg.launch.py"),
    ("model", "", "see seg.launch.py"),
    ("backend", "", "see seg.launch.py"),
    ("rate", "1.0", "playback rate"),
    ("start_after_s", START_S, "delay before playback, for the node to load its model"),
    ("rviz", "false", "true: start RViz"),
    ("foxglove", "false", "true: start the Foxglove bridge on port 8765"),
    ("record", "false", "true: record inputs and outputs with `ros2 bag record`"),
    ("limits", "", "YAML of minima and maxima: score the bag offline afterwards, fail if missed"),
    ("truth", "", "with limits: topic or folder of true masks, see `terrain-seg replay`"),
    ("scored_bag", "", "with limits: path of the new bag to write; empty: BAG_scored"),
)
PASSED_ON = (
    "params_file",
    "namespace",
    "image_topic",
    "camera_info_topic",
    "model",
    "backend",
    "rviz",
    "record",
)


def generate_launch_description() -> LaunchDescription:
    """Return the arguments, the node, the player and the optional tools."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, default, text in ARGUMENTS
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=_start)])


def _start(context: LaunchContext) -> list[Any]:
    given = {
        name: context.perform_substitution(LaunchConfiguration(name)) for name, *_ in ARGUMENTS
    }
    if not Path(given["bag"]).exists() or not given["bag"]:
        raise RuntimeError(f"argument bag: {given['bag']!r} does not exist; give bag:=FOLDER")
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(SHARE / "launch" / "seg.launch.py")),
        launch_arguments=[(name, given[name]) for name in PASSED_ON] + [("use_sim_time", "true")],
    )
    player = ExecuteProcess(
        cmd=["ros2", "bag", "play", given["bag"], "--clock", "--rate", given["rate"]],
        output="screen",
    )
    after = [EmitEvent(event=Shutdown(reason="playback has finished"))]
    actions: list[Any] = [node]
    if given["limits"]:
        score = _score(given)
        actions.append(RegisterEventHandler(OnProcessExit(target_action=player, on_exit=[score])))
        actions.append(RegisterEventHandler(OnProcessExit(target_action=score, on_exit=_end)))
    else:
        actions.append(RegisterEventHandler(OnProcessExit(target_action=player, on_exit=after)))
    actions.append(TimerAction(period=float(given["start_after_s"]), actions=[player]))
    if given["foxglove"].strip().lower() == "true":
        actions.append(Node(package="foxglove_bridge", executable="foxglove_bridge"))
    return actions


def _end(event: ProcessExited, _: LaunchContext) -> list[Any]:
    """End the launch, with an error if a limit was missed or the bag could not be scored."""
    if event.returncode != 0:
        raise RuntimeError(
            "a limit was missed; see the output above"
            if event.returncode == LIMIT_MISSED
            else "the bag could not be scored; see the reason above"
        )
    return [EmitEvent(event=Shutdown(reason="the bag has been scored"))]


def _score(given: dict[str, str]) -> ExecuteProcess:
    """Return the offline replay that checks the same bag against the limits."""
    source = Path(given["bag"]).resolve()
    target = given["scored_bag"] or str(source.with_name(f"{source.name}_scored"))
    program = Path(get_package_prefix(PACKAGE)) / "lib" / PACKAGE / "terrain-seg"
    words = [str(program), "replay", given["bag"], target, "--limits", given["limits"]]
    for option, name in (
        ("--params", "params_file"),
        ("--model", "model"),
        ("--backend", "backend"),
        ("--truth", "truth"),
    ):
        words += [option, given[name]] if given[name] else []
    words += ["--image-topic", given["image_topic"]] if given["image_topic"] else []
    return ExecuteProcess(cmd=words, output="screen")
