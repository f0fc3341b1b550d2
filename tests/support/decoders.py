"""What a subscriber reads from messages that the package only writes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from terrain_seg_ros.messages.cloud_message import Cloud

POINT = np.dtype(
    {
        "names": ["x", "y", "z", "label", "confidence"],
        "formats": ["<f4", "<f4", "<f4", "u1", "u1"],
        "offsets": [0, 4, 8, 12, 13],
        "itemsize": 16,
    }
)


class Labels(NamedTuple):
    """The names by class id, and the confidence below which nothing is concluded."""

    names: dict[int, str]
    threshold: float


def decode_cloud(message) -> Cloud:
    """Return the points of a PointCloud2 of ours."""
    points = np.frombuffer(bytes(message.data), POINT).reshape(message.height, message.width)
    points_m = np.stack([points[name] for name in "xyz"], axis=-1)
    return Cloud(points_m, points["label"], points["confidence"])


def decode_label_info(message) -> Labels:
    """Return the names of a vision_msgs/LabelInfo."""
    names = {int(item.class_id): str(item.class_name) for item in message.class_map}
    return Labels(names, float(message.threshold))


def surface_grid_m(world, x_m, y_m):
    """Return the height of a world's ground and rocks (rows, cols) at a grid of points."""
    height = world.ground_height_m(x_m[np.newaxis, :], y_m[:, np.newaxis])
    for index in range(len(world.rocks)):
        world._raise_by_rock(index, x_m, y_m, height)
    return height
