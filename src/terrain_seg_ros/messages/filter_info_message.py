"""What Nav2's costmap filters must know of a mask: nav2_msgs/CostmapFilterInfo."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.messages.message_types import Types


class FilterType(IntEnum):
    """The filters of nav2_costmap_2d/filters that we feed."""

    KEEPOUT = 0
    SPEED_PERCENT = 1


def encode_filter_info(types: Types, kind: FilterType, mask_topic: str, header: Any) -> Any:
    """Return what tells a filter to read a mask as it is: base 0, multiplier 1.

    Args:
        types: message classes.
        kind: of filter.
        mask_topic: with its namespace, because Nav2 resolves it in its own.
        header: its frame is not used.

    Raises:
        MessageError: the topic is not given in full.
    """
    if not mask_topic.startswith("/"):
        raise MessageError(f"filter mask topic {mask_topic!r} has no namespace; begin it with '/'")
    return types("nav2_msgs/msg/CostmapFilterInfo")(
        header=header,
        type=int(kind),
        filter_mask_topic=mask_topic,
        base=0.0,
        multiplier=1.0,
    )
