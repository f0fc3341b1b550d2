"""Topics whose message packages ROS lacks: they go by Cyclone DDS from pip, beside rclpy."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rclpy.lifecycle import LifecycleNode
from rclpy.utilities import get_rmw_implementation_identifier

from terrain_seg_ros.core.errors import ConfigError, InferenceError
from terrain_seg_ros.messages.topic_spec import Direction
from terrain_seg_ros.ros.port import RosPort
from terrain_seg_ros.runtime.joined_port import JoinedPort
from terrain_seg_ros.runtime.live import LiveNode
from terrain_seg_ros.runtime.security_request import is_secured

if TYPE_CHECKING:
    from terrain_seg_ros.runtime.port import Port

DDS_MIDDLEWARES = ("fastrtps", "cyclonedds", "connextdds")
"""Parts of the names of the middlewares that speak DDS."""
HIDDEN_NAME = "_terrain_seg_dds"
"""Node name of the second participant in the ROS graph; the underscore hides it from lists."""


def port_with_wire(
    node: LifecycleNode, *, environment: Mapping[str, str] = os.environ
) -> JoinedPort:
    """Return the port of a node: rclpy, and Cyclone DDS for the types that ROS lacks.

    Nothing of Cyclone DDS is imported while ROS has every type. Where Cyclone DDS cannot be used,
    the log says why, once, and the node works without those topics.
    """

    def make() -> Port | None:
        why = why_not(get_rmw_implementation_identifier(), environment)
        if why is None:
            try:
                return _dds_port(node, environment)
            except (ConfigError, InferenceError, ImportError) as error:
                why = str(error)
        node.get_logger().warning(
            f"topics whose message packages are not installed cannot go by Cyclone DDS: {why}"
        )
        return None

    return JoinedPort(RosPort(node), make)


class Transport:
    """Say in log and diagnostics which topics do not go by ROS, and which are missing."""

    def __init__(self, node: LifecycleNode, live: LiveNode, port: JoinedPort) -> None:
        """Say nothing yet."""
        self._log = node.get_logger()
        self._live, self._port = live, port
        self._said: set[str] = set()

    def say(self) -> None:
        """Say what is new since the last call; call it when topics were opened."""
        for spec in self._live.missing:
            what = "published" if spec.direction is Direction.OUT else "received"
            self._warn_once(f"{spec.name!r} is not {what}: {spec.type} is not installed")
        rows = self._port.by_other
        if not rows:
            return
        packages = dict.fromkeys(row.type.split("/", maxsplit=1)[0] for row in rows)
        text = (
            f"{', '.join(row.name for row in rows)} by Cyclone DDS in this process, because ROS "
            f"lacks {', '.join(packages)}"
        )
        self._live.health.remark("transport", text)  # which also logs it

    def _warn_once(self, text: str) -> None:
        if text not in self._said:
            self._log.warning(text)
            self._said.add(text)


def why_not(middleware: str, environment: Mapping[str, str]) -> str | None:
    """Return why no second participant can serve beside rclpy, or None if it can."""
    if not any(name in middleware for name in DDS_MIDDLEWARES):
        return f"the middleware {middleware} does not speak DDS; install the packages"
    if is_secured(environment):
        return "it has no security plug-ins and the bus is secured; install the packages"
    if environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "").strip() == "OFF":
        return "ROS_AUTOMATIC_DISCOVERY_RANGE is OFF; install the packages"
    return None


def _dds_port(node: LifecycleNode, environment: Mapping[str, str]) -> Port:
    # Imported late: Cyclone DDS may be absent, and is not needed where ROS is whole.
    from terrain_seg_ros.dds.discovery import Discovery, choose_discovery  # noqa: PLC0415
    from terrain_seg_ros.dds.port import DdsPort, NodeOptions  # noqa: PLC0415

    asked = environment.get("ROS_AUTOMATIC_DISCOVERY_RANGE") or environment.get(
        "ROS_LOCALHOST_ONLY"
    )
    discovery = choose_discovery(None, environment) if asked else Discovery.ANY
    options = NodeOptions(
        domain_id=node.context.get_domain_id(),
        discovery=discovery,
        namespace=node.get_namespace(),
        name=HIDDEN_NAME,
    )
    return DdsPort(options)
