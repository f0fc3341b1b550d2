"""A client of a lifecycle node's service `change_state`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.exceptions import InvalidServiceNameException
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.ros.security import RCLError, why_not_started

WAIT_S = 60.0
"""For the node's service to appear, and for each answer: loading a model takes seconds."""
POLL_S = 0.1
UP = {"configure": Transition.TRANSITION_CONFIGURE, "activate": Transition.TRANSITION_ACTIVATE}
DOWN = {"deactivate": Transition.TRANSITION_DEACTIVATE, "cleanup": Transition.TRANSITION_CLEANUP}
TAKES_BACK = {"configure": "cleanup", "activate": "deactivate"}


class Operator:
    """Takes one node through its transitions; each that is done is a line on stdout."""

    def __init__(self, node_name: str, ending: Sequence[int]) -> None:
        """Join ROS.

        Args:
            node_name: full name of the node, such as /terrain/terrain_seg.
            ending: the signals so far; it grows from outside. The first ends the wait for the node
                to appear and for what comes next, a second one also the wait for an answer.

        Raises:
            ConfigError: ROS allows no such name.
        """
        self._name = node_name
        self._ending = ending
        self._done: list[str] = []
        self._node = rclpy.create_node("terrain_seg_operator")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        try:
            self._client = self._node.create_client(ChangeState, f"{node_name}/change_state")
        except InvalidServiceNameException:
            self.close()
            raise ConfigError(
                f"--node is {node_name!r}, expected the full name of a node, of letters, digits, _ "
                "and /, such as /terrain/terrain_seg"
            ) from None

    def bring_up(self) -> str:
        """Configure and activate; return what is wrong, or "".

        A signal ends it before the next transition.
        """
        end_s = time.monotonic() + WAIT_S
        while not self._client.service_is_ready():
            if self._ending:
                return f"{self._name} did not appear before the signal to end"
            if time.monotonic() > end_s:
                return f"{self._name} does not appear: is it started, on the same ROS_DOMAIN_ID?"
            self._executor.spin_once(timeout_sec=POLL_S)
        for name, number in UP.items():
            if self._ending:
                return ""
            wrong = self._change(name, number)
            if wrong:
                return wrong
            self._done.append(name)
        return ""

    def take_back(self) -> str:
        """Undo what `bring_up` has done; return what is wrong, or ""."""
        while self._done:
            name = TAKES_BACK[self._done.pop()]
            wrong = self._change(name, DOWN[name])
            if wrong:
                return wrong
        return ""

    def _change(self, transition: str, number: int) -> str:
        """Ask for a transition; return what is wrong, or ""."""
        if not self._client.service_is_ready():
            return f"{self._name} has left: it cannot {transition}"
        future = self._client.call_async(ChangeState.Request(transition=Transition(id=number)))
        end_s = time.monotonic() + WAIT_S
        while not future.done() and time.monotonic() < end_s:
            if len(self._ending) > 1:
                return f"{self._name} did not answer {transition} before the second signal to end"
            self._executor.spin_once(timeout_sec=POLL_S)
        if not future.done():
            return f"{self._name} does not answer {transition} within {WAIT_S:.0f} s"
        if not future.result().success:
            return f"{transition} failed; the log of {self._name} says why"
        sys.stdout.write(f"{transition}: done\n")
        sys.stdout.flush()
        return ""

    def close(self) -> None:
        """Leave ROS."""
        self._executor.remove_node(self._node)
        self._node.destroy_node()


def operate(node_name: str, ending: Sequence[int]) -> str:
    """Bring a node up, wait for a signal in `ending`, and take it back; return what is wrong.

    Raises:
        ConfigError: ROS allows no such name, or does not start.
    """
    try:
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        operator = Operator(node_name, ending)
    except RCLError as error:
        raise ConfigError(why_not_started(error, os.environ)) from None
    try:
        wrong = operator.bring_up()
        while not wrong and not ending:
            time.sleep(POLL_S)
        return wrong or operator.take_back()
    finally:
        operator.close()
        rclpy.try_shutdown()
