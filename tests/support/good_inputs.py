"""One good message of every kind that the node takes, of a rover that stands still."""

from __future__ import annotations

import cv2
import numpy as np

from support.rover import HEIGHT_PX, OPTICAL, WIDTH_PX, camera_info_message, image_message
from terrain_seg_ros.core.geometry.frames import BODY_R_OPTICAL
from terrain_seg_ros.core.ground.measurement import DepthImage
from terrain_seg_ros.core.types import Transform
from terrain_seg_ros.messages.cdr import message_class
from terrain_seg_ros.messages.cloud_message import encode_points
from terrain_seg_ros.messages.depth_message import encode_depth
from terrain_seg_ros.messages.header_message import make_header
from terrain_seg_ros.messages.transform_message import StampedTransform, encode_transforms

MOUNTING = Transform(BODY_R_OPTICAL, np.array([0.0, 0.0, 1.5]))
STILL = Transform(np.eye(3), np.zeros(3))
STEP_NS = 20_000_000


def header(stamp_ns, frame_id=OPTICAL):
    return make_header(message_class, stamp_ns, frame_id)


def colour_image(stamp_ns):
    return image_message(stamp_ns, pixels=np.full((HEIGHT_PX, WIDTH_PX, 3), 120, dtype=np.uint8))


def compressed_image(stamp_ns):
    picture = np.full((HEIGHT_PX, WIDTH_PX), 120, dtype=np.uint8)
    data = cv2.imencode(".png", picture)[1].reshape(-1)
    return message_class("sensor_msgs/msg/CompressedImage")(
        header=header(stamp_ns), format="mono8; png compressed ", data=data
    )


def poses(stamp_ns):
    """Return where the vehicle stands, on both sides of a stamp."""
    items = [
        StampedTransform("odom", "base_link", moment, STILL)
        for moment in (stamp_ns - STEP_NS, stamp_ns, stamp_ns + STEP_NS)
    ]
    return encode_transforms(message_class, items)


def mounting(_=0):
    return encode_transforms(message_class, [StampedTransform("base_link", OPTICAL, 0, MOUNTING)])


def depth_image(stamp_ns):
    depth = DepthImage(np.full((HEIGHT_PX, WIDTH_PX), 4.0, dtype=np.float32), stamp_ns)
    return encode_depth(message_class, depth, header(stamp_ns))


def cloud(stamp_ns):
    points = np.full((8, 8, 3), 4.0, dtype=np.float32)
    empty = np.zeros((8, 8), dtype=np.uint8)
    return encode_points(message_class, points, empty, confidence=empty, header=header(stamp_ns))


def distance(stamp_ns):
    return message_class("sensor_msgs/msg/Range")(
        header=header(stamp_ns, "base_link"),
        radiation_type=1,
        field_of_view=0.1,
        min_range=0.1,
        max_range=100.0,
        range=1.5,
        variance=0.0,
    )


def selection(stamp_ns):
    return message_class("geometry_msgs/msg/PointStamped")(
        header=header(stamp_ns, "odom"),
        point=message_class("geometry_msgs/msg/Point")(x=2.0, y=0.0, z=0.0),
    )


GOOD = {
    "image": (image_message, "sensor_msgs/msg/Image"),
    "colour": (colour_image, "sensor_msgs/msg/Image"),
    "compressed": (compressed_image, "sensor_msgs/msg/CompressedImage"),
    "camera_info": (camera_info_message, "sensor_msgs/msg/CameraInfo"),
    "tf": (poses, "tf2_msgs/msg/TFMessage"),
    "tf_static": (mounting, "tf2_msgs/msg/TFMessage"),
    "depth": (depth_image, "sensor_msgs/msg/Image"),
    "cloud": (cloud, "sensor_msgs/msg/PointCloud2"),
    "range": (distance, "sensor_msgs/msg/Range"),
    "select_site": (selection, "geometry_msgs/msg/PointStamped"),
}
"""What makes a good message from a stamp, and its type."""
