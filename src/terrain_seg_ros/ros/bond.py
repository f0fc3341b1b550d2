"""The bond that Nav2's lifecycle manager wants, where ROS 2's bondpy is installed."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from rclpy.lifecycle import LifecycleNode

BOND_TOPIC = "bond"
HEARTBEAT_PERIOD_S = 0.1


def make_bond(node: LifecycleNode) -> Any:
    """Return a started bond under the node's name, or None where there is no bondpy of ROS 2.

    Without it the lifecycle manager needs `bond_timeout: 0.0`. The packages named bondpy on PyPI
    and in Debian are unrelated.
    """
    if not _is_ros2_bondpy():
        node.get_logger().info(
            "no bondpy: give Nav2's lifecycle manager bond_timeout 0.0 for this node", once=True
        )
        return None
    bond = importlib.import_module("bondpy.bondpy").Bond(node, BOND_TOPIC, node.get_name())
    bond.heartbeat_period = HEARTBEAT_PERIOD_S
    bond.start()
    return bond


def break_bond(node: LifecycleNode, bond: Any) -> None:
    """End a bond; bondpy itself would leave a dead subscription in the node's list."""
    node.destroy_subscription(bond.sub)
    bond.shutdown()
    node.destroy_publisher(bond.pub)


def _is_ros2_bondpy() -> bool:
    return (
        importlib.util.find_spec("bond") is not None
        and importlib.util.find_spec("bondpy") is not None
        and importlib.util.find_spec("smclib") is not None
    )
