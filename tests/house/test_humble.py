"""What the ROS rim uses of rclpy and launch is there in Humble too.

The sets were held against the Humble branches of ros2/rclpy, ros2/launch and ros2/launch_ros by
reading; nothing here has run on Humble. Whoever uses more looks it up there first.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    [*(ROOT / "src/terrain_seg_ros/ros").glob("*.py"), *(ROOT / "launch").glob("*.py")]
)
IN_HUMBLE = {
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
    },
    "rclpy.executors": {
        "ExternalShutdownException",
        "SingleThreadedExecutor",
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
    },
}
"""Methods whose keywords differ between distributions, with those that Humble knows."""


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_imported_names_are_in_humble(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(("rclpy", "launch")):
            names = {item.name for item in node.names}
            assert names <= IN_HUMBLE.get(node.module, set()), (node.module, names)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_keywords_are_in_humble(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            called = called or getattr(node.func, "id", "")
            given = {item.arg for item in node.keywords if item.arg is not None}
            assert given <= KEYWORDS_IN_HUMBLE.get(called, given), called


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_the_syntax_is_python_3_10_s(path):
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 10))


def test_every_listed_name_is_used():
    used = "".join(path.read_text(encoding="utf-8") for path in SOURCES)
    for names in IN_HUMBLE.values():
        for name in names:
            assert name in used
