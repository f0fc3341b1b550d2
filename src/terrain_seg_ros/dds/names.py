"""Names of ROS topics and types on a DDS bus; needs no Cyclone DDS."""

from __future__ import annotations

import re

from terrain_seg_ros.core.errors import ConfigError

_PART = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
NAME_LIMIT = 245
"""Longest topic name; DDS allows 255 characters, and ROS puts prefixes and suffixes around it."""


def dds_topic_name(name: str, namespace: str, *, option: str = "topic") -> str:
    """Return the DDS name of a ROS topic; a relative one lies in the namespace.

    Args:
        name: of the topic.
        namespace: of the node, such as "/terrain".
        option: what gave the name, for the error.

    Raises:
        ConfigError: ROS does not accept the name.
    """
    full = name if name.startswith("/") else f"{namespace.rstrip('/')}/{name}"
    parts = full.lstrip("/").split("/")
    if not name or not all(map(_PART.fullmatch, parts)) or len(full) > NAME_LIMIT:
        shown = full if len(full) <= NAME_LIMIT else f"{full[:40]}..."
        raise ConfigError(
            f"{option} {shown!r} is not a ROS name; between slashes use letters, digits and _, "
            f"with no digit first, and at most {NAME_LIMIT} characters in all"
        )
    return "rt/" + "/".join(parts)


def dds_type_name(message_type: str) -> str:
    """Return the DDS name of a ROS type: "sensor_msgs/msg/Image" is that of ROS's own nodes.

    Raises:
        ConfigError: it is not written as package/msg/Name.
    """
    parts = message_type.split("/")
    if len(parts) != 3 or not all(parts):
        raise ConfigError(f"message type {message_type!r} is not written as package/msg/Name")
    package, kind, name = parts
    return f"{package}::{kind}::dds_::{name}_"
