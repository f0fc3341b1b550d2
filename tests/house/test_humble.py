"""What the ROS rim uses of rclpy and launch is there in Humble too.

The sets were held against the Humble branches of ros2/rclpy, ros2/launch, ros2/launch_ros and
ament/ament_index by reading; nothing here has run on Humble. Whoever uses more looks it up there
first. `NEWER` is what those packages gained after Humble, from comparing the branches.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    [*(ROOT / "src/terrain_seg_ros/ros").glob("*.py"), *(ROOT / "launch").glob("*.py")]
)
EVERY_SOURCE = sorted([*SOURCES, *(ROOT / "src").rglob("*.py")])
IN_HUMBLE = {
    "ament_index_python.packages": {
        "get_package_prefix",
        "get_package_share_directory",
        "PackageNotFoundError",
        "get_packages_with_prefixes",
    },
    "launch": {
        "LaunchContext",
        "LaunchDescription",
    },
    "launch.actions": {
        "DeclareLaunchArgument",
        "EmitEvent",
        "ExecuteProcess",
        "IncludeLaunchDescription",
        "OpaqueFunction",
        "RegisterEventHandler",
        "TimerAction",
    },
    "launch.conditions": {
        "IfCondition",
    },
    "launch.event_handlers": {
        "OnProcessExit",
        "OnProcessStart",
    },
    "launch.events": {
        "Shutdown",
        "matches_action",
    },
    "launch.events.process": {
        "ProcessExited",
    },
    "launch.launch_description_sources": {
        "PythonLaunchDescriptionSource",
    },
    "launch.substitutions": {
        "LaunchConfiguration",
    },
    "launch_ros.actions": {
        "LifecycleNode",
        "Node",
    },
    "launch_ros.event_handlers": {
        "OnStateTransition",
    },
    "launch_ros.events.lifecycle": {
        "ChangeState",
    },
    "rclpy.clock": {
        "Clock",
        "ClockType",
        "JumpThreshold",
    },
    "rclpy.duration": {
        "Duration",
    },
    "rclpy.exceptions": {
        "InvalidServiceNameException",
    },
    "rclpy.executors": {
        "ExternalShutdownException",
        "SingleThreadedExecutor",
    },
    "rclpy.impl.implementation_singleton": {
        "rclpy_implementation",
    },
    "rclpy.lifecycle": {
        "LifecycleNode",
        "LifecycleState",
        "TransitionCallbackReturn",
    },
    "rclpy.node": {
        "Node",
    },
    "rclpy.parameter": {
        "Parameter",
    },
    "rclpy.qos": {
        "DurabilityPolicy",
        "HistoryPolicy",
        "QoSProfile",
        "ReliabilityPolicy",
    },
    "rclpy.utilities": {
        "get_rmw_implementation_identifier",
        "remove_ros_args",
    },
    "rclpy.signals": {
        "SignalHandlerOptions",
    },
}
KEYWORDS_IN_HUMBLE = {
    "create_timer": {"clock"},
    "create_node": {"context"},
    "init": {"args", "context", "signal_handler_options"},
    "try_shutdown": {"context"},
    "declare_parameter": {"ignore_override"},
    "spin_once": {"timeout_sec"},
    "TransformListener": {"spin_thread"},
    "LifecycleNode": {
        "package",
        "executable",
        "name",
        "namespace",
        "parameters",
        "remappings",
        "output",
        "arguments",
        "ros_arguments",
        "additional_env",
    },
}
"""Methods whose keywords differ between distributions, with those that Humble knows."""

NEWER = {
    "AsyncParameterClient",
    "EqualsSubstitution",
    "EventsExecutor",
    "FileContent",
    "IfElseSubstitution",
    "LaunchLogDir",
    "LifecycleTransition",
    "NotEqualsSubstitution",
    "ParameterEventHandler",
    "PushROSNamespace",
    "ROSTimer",
    "SetROSLogDir",
    "TypeDescriptionService",
    "add_post_set_parameters_callback",
    "add_pre_set_parameters_callback",
    "autostart",
    "configure_introspection",
    "count_clients",
    "count_services",
    "enable_logger_service",
    "get_fully_qualified_node_names",
    "incompatible_type",
    "parameter_client",
    "respawn_max_retries",
    "time_jump_callback",
    "wait_for_node",
}
"""Names of rclpy, launch, launch_ros and tf2_ros that Humble does not have."""


def uses_of(tree):
    """Return every attribute, imported name and keyword of a module."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.ImportFrom):
            found.update(item.name for item in node.names)
        elif isinstance(node, ast.keyword):
            found.add(node.arg)
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_imported_names_are_in_humble(path):
    roots = ("rclpy", "launch", "ament_index_python")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(roots):
            names = {item.name for item in node.names}
            assert names <= IN_HUMBLE.get(node.module, set()), (node.module, names)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_nothing_newer_than_humble_is_used(path):
    assert uses_of(ast.parse(path.read_text(encoding="utf-8"))) & NEWER == set()


@pytest.mark.parametrize(
    "code",
    [
        "from launch_ros.actions import LifecycleTransition",
        "LifecycleNode(name='a', autostart=True)",
        "node.add_post_set_parameters_callback(take)",
    ],
)
def test_what_is_newer_is_seen(code):
    assert uses_of(ast.parse(code)) & NEWER


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_keywords_are_in_humble(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            called = called or getattr(node.func, "id", "")
            given = {item.arg for item in node.keywords if item.arg is not None}
            assert given <= KEYWORDS_IN_HUMBLE.get(called, given), called


def test_the_syntax_is_python_3_10_s():
    for path in EVERY_SOURCE:
        ast.parse(path.read_text(encoding="utf-8"), str(path), feature_version=(3, 10))


def test_syntax_of_python_3_11_is_refused():
    with pytest.raises(SyntaxError):
        ast.parse("try:\n    pass\nexcept* OSError:\n    pass\n", feature_version=(3, 10))


def test_types_and_style_are_checked_for_python_3_10():
    configuration = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'python_version = "3.10"' in configuration
    assert 'target-version = "py310"' in configuration


def test_every_listed_name_is_used():
    used = "".join(path.read_text(encoding="utf-8") for path in SOURCES)
    for names in IN_HUMBLE.values():
        for name in names:
            assert name in used
