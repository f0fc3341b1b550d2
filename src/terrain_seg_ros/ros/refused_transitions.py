"""Answers to transitions that a node's state does not allow (rclpy issue 1209)."""

from __future__ import annotations

from typing import Any

from rclpy.lifecycle import LifecycleNode

from terrain_seg_ros.ros.security import RCLError


def answer_refused_transitions(node: LifecycleNode) -> None:
    """Let the service `~/change_state` answer false to a transition that the state does not allow.

    Up to Jazzy, rclpy raises there instead: the caller waits in vain, and a node that does not
    catch the error ends. The refusal is logged in one line.

    Args:
        node: a node whose lifecycle services exist.
    """
    service = node._service_change_state
    ask = service.callback  # rclpy offers no other way to its answer

    def answer(request: Any, response: Any) -> Any:
        state = node._state_machine.current_state
        try:
            return ask(request, response)
        except RCLError:
            asked = request.transition
            wanted = asked.label or asked.id
            node.get_logger().warning(
                f"the transition {wanted!r} is refused: the state {state[1]!r} does not allow it"
            )
            response.success = False
            return response

    service.callback = answer
