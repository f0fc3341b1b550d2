"""Hear of jumps of the node's clock: a bag that loops, a simulation that was started again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.node import Node

SHORTEST_BACK_S = 0.1


def watch_clock(node: Node, on_jump: Callable[[], None]) -> Any:
    """Call `on_jump` when the clock jumps backwards, until the returned handle is unregistered."""
    threshold = JumpThreshold(
        min_forward=None,
        min_backward=Duration(seconds=-SHORTEST_BACK_S),
        on_clock_change=False,
    )
    return node.get_clock().create_jump_callback(threshold, post_callback=lambda _: on_jump())
