"""Class names: vision_msgs/LabelInfo, both ways."""

from __future__ import annotations

from typing import Any

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import UNLABELLED
from terrain_seg_ros.messages.message_types import Types


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


def decode_label_info(message: Any) -> dict[int, str]:
    """Return the class names of a vision_msgs/LabelInfo by class id; ids above 254 are left out."""
    names = {int(item.class_id): str(item.class_name) for item in message.class_map}
    return {number: name for number, name in names.items() if 0 <= number < UNLABELLED}
