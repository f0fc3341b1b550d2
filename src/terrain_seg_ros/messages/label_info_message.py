"""Class names: vision_msgs/LabelInfo."""

from __future__ import annotations

from typing import Any, NamedTuple

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import UNLABELLED
from terrain_seg_ros.messages.message_types import Types


class Labels(NamedTuple):
    """The names by class id, and the confidence below which nothing is concluded, 0 to 1."""

    names: dict[int, str]
    threshold: float


def encode_label_info(types: Types, taxonomy: Taxonomy, threshold: float, header: Any) -> Any:
    """Return a model's classes as a vision_msgs/LabelInfo.

    255 is never listed: Nav2's semantic layer then skips unlabelled pixels.

    Raises:
        MessageError: the threshold is out of range.
    """
    if not 0.0 <= threshold <= 1.0:
        raise MessageError(f"label threshold is {threshold}, expected 0 to 1")
    vision_class = types("vision_msgs/msg/VisionClass")
    return types("vision_msgs/msg/LabelInfo")(
        header=header,
        class_map=[vision_class(class_id=item.id, class_name=item.name) for item in taxonomy],
        threshold=float(threshold),
    )


def decode_label_info(message: Any) -> Labels:
    """Return the names of a vision_msgs/LabelInfo.

    Raises:
        MessageError: an id is listed twice or does not fit a mono8 mask.
    """
    names: dict[int, str] = {}
    for item in message.class_map:
        class_id = int(item.class_id)
        if class_id in names or class_id >= UNLABELLED:
            raise MessageError(
                f"label_info lists class id {class_id}, expected unique ids from 0 to 254"
            )
        names[class_id] = str(item.class_name)
    return Labels(names, float(message.threshold))
