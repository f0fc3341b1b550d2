"""The process `terrain_seg_node`."""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.parameters.file import NODE_NAME, parameter_sections
from terrain_seg_ros.report.output_place import check_output_file, holds_json, write_whole
from terrain_seg_ros.ros.node import TerrainSegNode
from terrain_seg_ros.ros.security import RCLError, why_not_joined
from terrain_seg_ros.runtime.run_summary import SUMMARY_KEYS
from terrain_seg_ros.runtime.security_request import check_security, is_secured, unenforced

POLL_S = 0.2
EXIT_WRONG_INPUT = 2


def main(arguments: Sequence[str] | None = None) -> None:
    """Spin the node until SIGINT, SIGTERM or a shutdown from outside, then end in order."""
    ending: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        ending.append(number)

    words = sys.argv[1:] if arguments is None else list(arguments)
    options = _options(words)
    check_parameter_files(words)
    try:
        check_security(os.environ)
    except ConfigError as error:
        _refuse(str(error))
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, note)
    node = _joined(words)
    _work(node, ending, duration_s=options.duration)
    if options.json is not None:
        summary = {**(node.summary or {}), "ended_by": _ended_by(ending)}
        write_whole(options.json, json.dumps(summary, indent=2) + "\n")


def _joined(words: Sequence[str]) -> TerrainSegNode:
    """Return a node that has joined ROS.

    Raises:
        SystemExit: a secured bus does not let it in; its reason is on the console.
    """
    try:
        # ROS's own handlers would take the context away from an image that is being published.
        rclpy.init(args=list(words), signal_handler_options=SignalHandlerOptions.NO)
        node = TerrainSegNode()
    except RCLError as error:
        if not is_secured(os.environ):
            raise
        _refuse(why_not_joined(error, os.environ))
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
    """Return the options that are not ROS's."""
    parser = argparse.ArgumentParser(
        prog="terrain_seg_node",
        description="The terrain segmentation node. Options of ROS follow --ros-args.",
    )
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="write the summary of the last run, from configure to cleanup, when the process ends",
    )
    parser.add_argument("--duration", type=float, metavar="S", help="end after S seconds")
    options = parser.parse_args(remove_ros_args(["terrain_seg_node", *words])[1:])
    if options.json is not None:
        try:
            check_output_file(options.json, option="--json", is_own=holds_json(*SUMMARY_KEYS))
        except ConfigError as error:
            _refuse(f"error: {error}")
    return options


def _ended_by(ending: Sequence[int]) -> str:
    return signal.Signals(ending[0]).name if ending else "shutdown"


def check_parameter_files(words: Sequence[str]) -> None:
    """Check the parameter files of a command line before ROS reads them.

    ROS silently lets the last of two equal keys win, and ignores sections for other nodes.

    Raises:
        SystemExit: a file is refused; its reason is on the console.
    """
    for option, path in itertools.pairwise(words):
        if option != "--params-file":
            continue
        try:
            sections = parameter_sections(path)
        except ConfigError as error:
            _refuse(f"error: {error}")
        names = [item.node for item in sections]
        if not any(NODE_NAME in name or "*" in name for name in names):
            sys.stderr.write(
                f"terrain_seg_node: warning: {path} is keyed to {names}: none of it is for "
                f"{NODE_NAME!r}\n"
            )


def _spin(executor: SingleThreadedExecutor, node: TerrainSegNode) -> bool:
    """Run due callbacks; return whether ROS was shut down from outside."""
    with node.resort.around("a callback"):
        try:
            executor.spin_once(timeout_sec=POLL_S)
        except ExternalShutdownException:
            return True
    return False


def _refuse(text: str) -> NoReturn:
    sys.stderr.write(f"terrain_seg_node: {text}\n")
    raise SystemExit(EXIT_WRONG_INPUT)


if __name__ == "__main__":
    main()
