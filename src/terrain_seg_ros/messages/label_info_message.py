"""Class names: vision_msgs/LabelInfo."""

from __future__ import annotations

from typing import Any

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.core.taxonomy import Taxonomy
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
