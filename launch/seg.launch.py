"""Start the node and activate it; `--show-args` lists the arguments.

Algorithm parameters are not set here: they are in config/rover.param.yaml, which the node loads by
itself, with mode:=lander in config/lander.param.yaml on top, and in `params_file` on top of both.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ament_index_python.packages import get_package_share_directory, get_packages_with_prefixes
from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessStart
from launch.events import matches_action
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from lifecycle_msgs.msg import Transition

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.inference.backend_names import BackendName
from terrain_seg_ros.parameters.file import NODE_NAME, read_parameter_file
from terrain_seg_ros.parameters.shipped import MODES, shipped_parameter_file
from terrain_seg_ros.ros.bag_storage import bag_storage

PACKAGE = "terrain_seg_ros"
BACKENDS = tuple(item.value for item in BackendName)
ENCLAVE_VARIABLE = "ROS_SECURITY_ENCLAVE_OVERRIDE"
RVIZ_FILE = Path(get_package_share_directory(PACKAGE)) / "config" / "terrain_seg.rviz"
ARGUMENTS = (
    ("mode", MODES[0], f"vehicle whose shipped parameters are loaded first: {' or '.join(MODES)}"),
    ("params_file", "", "parameter file on top of the shipped one, keyed to /** or terrain_seg"),
    ("namespace", "terrain", "namespace of the node and of its topics"),
    ("image_topic", "", "camera images; empty takes `image` in the namespace"),
    ("camera_info_topic", "", "intrinsics; empty takes `camera_info` in the namespace"),
    ("model", "", "name of a shipped or installed model, or a path; empty: as in the file"),
    ("backend", "", f"{', '.join(BACKENDS)}; empty: as in the file"),
    ("use_sim_time", "", "true takes the time from /clock; empty: as in the file, else false"),
    ("log_level", "info", "debug, info, warn, error or fatal"),
    ("enclave", "", "SROS2 enclave of the node, such as /terrain/terrain_seg; empty: inherited"),
    ("autostart", "true", "true: configure and activate the node; false: leave it to a manager"),
    ("rviz", "false", "true: start RViz with image, overlay, grid and points"),
    ("record", "false", "true: record the namespace, TF and diagnostics with `ros2 bag record`"),
)


def generate_launch_description() -> LaunchDescription:
    """Return the arguments, the node and the optional tools."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, default, text in ARGUMENTS
    ]
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", str(RVIZ_FILE)],
        condition=IfCondition(LaunchConfiguration("rviz")),
    )
    return LaunchDescription([*arguments, OpaqueFunction(function=_start), rviz])


def _start(context: LaunchContext) -> list[Any]:
    given = {
        name: context.perform_substitution(LaunchConfiguration(name)) for name, *_ in ARGUMENTS
    }
    node = LifecycleNode(
        package=PACKAGE,
        executable="terrain_seg_node",
        name=NODE_NAME,
        namespace=given["namespace"],
        output="screen",
        parameters=_parameters(given),
        remappings=_remappings(given),
        arguments=["--ros-args", "--log-level", f"{NODE_NAME}:={given['log_level']}"],
        # The launch process joins the bus as well, in an enclave that may call the node's services.
        additional_env={ENCLAVE_VARIABLE: given["enclave"]} if given["enclave"] else {},
    )
    actions: list[Any] = [node]
    if _is_true(given["autostart"]):
        actions = [*_autostart(node), node]
    if _is_true(given["record"]):
        actions.append(_recorder(given["namespace"]))
    return actions


def _parameters(given: dict[str, str]) -> list[Any]:
    """Return the mode's file, the user's file, and the user's values for this node once more.

    ROS silently ignores values under `terrain_seg` if the node has a namespace.
    """
    overrides: dict[str, Any] = {name: given[name] for name in ("model", "backend") if given[name]}
    if given["use_sim_time"]:
        overrides["use_sim_time"] = _is_true(given["use_sim_time"])
    chosen = [overrides] if overrides else []
    if given["mode"] not in MODES:
        raise RuntimeError(f"argument mode is {given['mode']!r}, expected one of {MODES}")
    # The node itself loads the rover's file.
    shipped = [] if given["mode"] == MODES[0] else [str(shipped_parameter_file(given["mode"]))]
    if not given["params_file"]:
        return [*shipped, *chosen]
    try:
        values = read_parameter_file(given["params_file"], f"/{given['namespace'].strip('/')}")
    except ConfigError as error:
        raise RuntimeError(f"argument params_file: {error}") from error
    return [*shipped, given["params_file"], *([values] if values else []), *chosen]


def _remappings(given: dict[str, str]) -> list[tuple[str, str]]:
    pairs = [
        ("image", given["image_topic"]),
        ("image/compressed", given["image_topic"] and f"{given['image_topic']}/compressed"),
        ("camera_info", given["camera_info_topic"]),
    ]
    return [(name, topic) for name, topic in pairs if topic]


def _autostart(node: LifecycleNode) -> list[Any]:
    """Return handlers that configure the node when it has started, and activate it afterwards."""

    def change(transition_id: int) -> EmitEvent:
        return EmitEvent(
            event=ChangeState(
                lifecycle_node_matcher=matches_action(node), transition_id=transition_id
            )
        )

    return [
        RegisterEventHandler(
            OnProcessStart(target_action=node, on_start=[change(Transition.TRANSITION_CONFIGURE)])
        ),
        RegisterEventHandler(
            OnStateTransition(
                target_lifecycle_node=node,
                start_state="configuring",
                goal_state="inactive",
                entities=[change(Transition.TRANSITION_ACTIVATE)],
            )
        ),
    ]


def _recorder(namespace: str) -> ExecuteProcess:
    pattern = f"/{namespace.strip('/')}/.*|/tf|/tf_static|/diagnostics"
    storage = bag_storage(get_packages_with_prefixes())
    return ExecuteProcess(
        cmd=["ros2", "bag", "record", "--storage", storage, "--regex", pattern], output="screen"
    )


def _is_true(text: str) -> bool:
    return text.strip().lower() in {"true", "1", "yes", "on"}
