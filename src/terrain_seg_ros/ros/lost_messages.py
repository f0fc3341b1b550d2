"""Subscribe and hear of messages that the middleware knows it has lost."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

from rclpy.node import Node

_MODULES = ("rclpy.event_handler", "rclpy.qos_event")
"""Where the events lie, by its newer and its older name (Humble)."""


def subscribe(
    node: Node,
    name: str,
    take: Callable[[Any], None],
    *,
    kind: Any,
    quality: Any,
    on_lost: Callable[[int], None],
) -> Any:
    """Return a subscription; `on_lost` gets how many more messages were lost.

    Not every middleware tells; where it does not, nothing is heard.
    """
    found = next(item for item in _MODULES if importlib.util.find_spec(item) is not None)
    events = importlib.import_module(found)
    callbacks = events.SubscriptionEventCallbacks(
        message_lost=lambda event: on_lost(int(event.total_count_change))
    )
    try:
        return node.create_subscription(kind, name, take, quality, event_callbacks=callbacks)
    except events.UnsupportedEventTypeError:
        return node.create_subscription(kind, name, take, quality)
