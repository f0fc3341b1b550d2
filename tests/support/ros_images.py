"""Image messages of rclpy with any encoding."""

from __future__ import annotations

import numpy as np

from terrain_seg_ros.messages.header_message import make_header
from terrain_seg_ros.ros.message_classes import ROS_TYPES, message_class


def message_of(encoding, channels, *, height=24, width=32, padding=0):
    rows = np.random.default_rng(0).integers(0, 255, (height, width * channels + padding))
    return message_class("sensor_msgs/msg/Image")(
        header=make_header(ROS_TYPES, 1_500_000_000, "optical"),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=width * channels + padding,
        data=ROS_TYPES.buffer(rows.astype(np.uint8).reshape(-1)),
    )
