"""The message classes of the ROS 2 that is installed; packages may be absent."""

from __future__ import annotations

import functools
import importlib
from typing import Any

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.messages.message_types import RosTypes


@functools.lru_cache(maxsize=64)
def message_class(name: str) -> Any:
    """Return the class of a type such as "sensor_msgs/msg/Image".

    Raises:
        ConfigError: its package is not installed; the message says how to install it.
    """
    package, kind, item = name.split("/")
    try:
        return getattr(importlib.import_module(f"{package}.{kind}"), item)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"message type {name} cannot be used ({error}); get it with: "
            f"apt install ros-$ROS_DISTRO-{package.replace('_', '-')}"
        ) from error


def has_message(name: str) -> bool:
    """Return whether there is a class of a type."""
    try:
        message_class(name)
    except ConfigError:
        return False
    return True


ROS_TYPES = RosTypes(message_class, has_message)
