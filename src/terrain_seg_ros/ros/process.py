"""The process `terrain_seg_node`: options, signals, spinning."""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.report.output_place import check_output_file, holds_json, write_whole
from terrain_seg_ros.ros.command_line import check_parameter_files, without_ros_words
from terrain_seg_ros.ros.loading import refuse
from terrain_seg_ros.ros.node import TerrainSegNode
from terrain_seg_ros.ros.security import RCLError, why_not_joined, why_not_started
from terrain_seg_ros.runtime.run_summary import SUMMARY_KEYS
from terrain_seg_ros.runtime.security_request import check_security, is_secured, unenforced

PROGRAM = "terrain_seg_node"
POLL_S = 0.2
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP)
"""What ends the node."""


def run_process(words: Sequence[str]) -> None:
    """Spin the node until SIGINT, SIGTERM or a shutdown from outside, then end in order."""
    ending: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        ending.append(number)

    try:
        check_parameter_files(words, program=PROGRAM)
        options = _options(words)
        check_security(os.environ)
    except ConfigError as error:
        refuse(PROGRAM, str(error))
    for number in SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, note)
    node = _joined(words)
    _work(node, ending, duration_s=options.duration)
    if options.json is not None:
        summary = {**(node.summary or {}), "ended_by": _ended_by(ending)}
        write_whole(options.json, json.dumps(summary, indent=2) + "\n")
    # Ctrl-C in a terminal reaches the node twice where `ros2 launch` passes it on: a late one must
    # not kill what Python still has to tidy up.
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _joined(words: Sequence[str]) -> TerrainSegNode:
    """Return a node that has joined ROS.

    Raises:
        SystemExit: ROS does not start, or a secured bus does not let the node in; the reason is on
            the console.
    """
    try:
        # ROS's own handlers would take the context away from an image that is being published.
        rclpy.init(args=list(words), signal_handler_options=SignalHandlerOptions.NO)
        node = TerrainSegNode()
    except RCLError as error:
        why = why_not_joined if is_secured(os.environ) else why_not_started
        refuse(PROGRAM, why(error, os.environ))
    if unenforced(os.environ):
        node.get_logger().warning(unenforced(os.environ))
    return node


def _work(node: TerrainSegNode, ending: Sequence[int], *, duration_s: float | None) -> None:
    """Spin until a signal was noted in `ending` or the time is over, then leave ROS."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    end_s = time.monotonic() + (math.inf if duration_s is None else duration_s)
    try:
        while rclpy.ok() and not ending and time.monotonic() < end_s:
            if _spin(executor, node):
                break
    finally:
        node.close()
        executor.remove_node(node)
        node.destroy_node()
        rclpy.try_shutdown()


def _options(words: Sequence[str]) -> argparse.Namespace:
    """Return the options that are not ROS's.

    Raises:
        ConfigError: ROS cannot read its own options, or a value cannot be used.
    """
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="The terrain segmentation node. Options of ROS follow --ros-args.",
    )
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write the summary of the last run, from configure to cleanup, when the process ends",
    )
    parser.add_argument("--duration", type=float, metavar="S", help="end after S seconds")
    options = parser.parse_args(without_ros_words(words))
    if options.duration is not None and not options.duration > 0.0:
        raise ConfigError(f"--duration is {options.duration}, expected more than 0 s")
    if options.json is not None:
        check_output_file(options.json, option="--json", is_own=holds_json(*SUMMARY_KEYS))
    return options


def _ended_by(ending: Sequence[int]) -> str:
    return signal.Signals(ending[0]).name if ending else "shutdown"


def _spin(executor: SingleThreadedExecutor, node: TerrainSegNode) -> bool:
    """Run due callbacks; return whether ROS was shut down from outside."""
    with node.resort.around("a callback"):
        try:
            executor.spin_once(timeout_sec=POLL_S)
        except ExternalShutdownException:
            return True
    return False
