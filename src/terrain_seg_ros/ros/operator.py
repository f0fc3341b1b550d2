"""Configure and activate a lifecycle node through its services, and take it back at the end.

Run as `python -m terrain_seg_ros.ros.operator`; Nav2's lifecycle manager or `ros2 lifecycle` do the
same on a vehicle. Each transition is one line on stdout.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType

import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

WAIT_S = 60.0
"""For the node's service to appear, and for each answer: loading a model takes seconds."""
POLL_S = 0.1
UP = {"configure": Transition.TRANSITION_CONFIGURE, "activate": Transition.TRANSITION_ACTIVATE}
DOWN = {"deactivate": Transition.TRANSITION_DEACTIVATE, "cleanup": Transition.TRANSITION_CLEANUP}


class Operator:
    """A client of one node's service `change_state`."""

    def __init__(self, node_name: str) -> None:
        """Join ROS; `node_name` is the full name of the node, such as /terrain/terrain_seg."""
        self._name = node_name
        self._node = rclpy.create_node("terrain_seg_operator")
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._client = self._node.create_client(ChangeState, f"{node_name}/change_state")

    def change(self, transition: str, number: int) -> str:
        """Ask for a transition; return what is wrong, or ""."""
        if not self._client.wait_for_service(WAIT_S):
            return f"{self._name} does not appear: is it started, on the same ROS_DOMAIN_ID?"
        future = self._client.call_async(ChangeState.Request(transition=Transition(id=number)))
        end_s = time.monotonic() + WAIT_S
        while not future.done() and time.monotonic() < end_s:
            self._executor.spin_once(timeout_sec=POLL_S)
        if not future.done():
            return f"{self._name} does not answer {transition} within {WAIT_S:.0f} s"
        if not future.result().success:
            return f"{transition} failed; the log of {self._name} says why"
        return ""

    def close(self) -> None:
        """Leave ROS."""
        self._executor.remove_node(self._node)
        self._node.destroy_node()


def main(arguments: Sequence[str] | None = None) -> int:
    """Bring a node up, wait for SIGINT or SIGTERM, and bring it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--node", default="/terrain/terrain_seg", help="full name of the node")
    options = parser.parse_args(arguments)
    ending: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        ending.append(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, note)
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    operator = Operator(options.node)
    try:
        wrong = _go_through(operator, UP)
        while not wrong and not ending:
            time.sleep(POLL_S)
        wrong = wrong or _go_through(operator, DOWN)
    finally:
        operator.close()
        rclpy.try_shutdown()
    if wrong:
        sys.stderr.write(f"{wrong}\n")
    return 1 if wrong else 0


def _go_through(operator: Operator, transitions: dict[str, int]) -> str:
    """Ask for transitions in turn; return what is wrong with the first that fails, or ""."""
    for name, number in transitions.items():
        wrong = operator.change(name, number)
        if wrong:
            return wrong
        sys.stdout.write(f"{name}: done\n")
        sys.stdout.flush()
    return ""


if __name__ == "__main__":
    sys.exit(main())
