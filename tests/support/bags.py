"""Make real bags for the tests: a rover that drives ahead and looks at the ground."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from rosbags.rosbag2 import Reader, StoragePlugin, Writer

from terrain_seg_ros.bag.writer import qos_of
from terrain_seg_ros.core.geometry.camera import camera_from_field_of_view
from terrain_seg_ros.core.geometry.frames import BODY_R_OPTICAL, rotation_from_rpy
from terrain_seg_ros.core.ground.measurement import DepthImage
from terrain_seg_ros.core.types import Transform
from terrain_seg_ros.messages import topics
from terrain_seg_ros.messages.camera_info_message import encode_camera_info
from terrain_seg_ros.messages.cdr import deserialize, message_class, serialize, type_store
from terrain_seg_ros.messages.cloud_message import encode_points
from terrain_seg_ros.messages.depth_message import encode_depth
from terrain_seg_ros.messages.header_message import make_header
from terrain_seg_ros.messages.image_message import encode_image
from terrain_seg_ros.messages.transform_message import StampedTransform, encode_transforms

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
INFO = "sensor_msgs/msg/CameraInfo"
TF = "tf2_msgs/msg/TFMessage"
CLOUD = "sensor_msgs/msg/PointCloud2"
RANGE = "sensor_msgs/msg/Range"
TEXT = "std_msgs/msg/String"
WIDTH_PX, HEIGHT_PX = 96, 64
START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 100_000_000


class Entry(NamedTuple):
    """Hold one message to record, or one that was read."""

    topic: str
    type: str
    log_ns: int
    message: object


def stamp(index):
    return START_NS + index * PERIOD_NS


def header(stamp_ns, frame_id="optical"):
    return make_header(message_class, stamp_ns, frame_id)


def picture(seed=0):
    """Return a smooth picture, grey levels 40 to 200."""
    ramp = np.linspace(40, 200, WIDTH_PX, dtype=np.float64)[None, :].repeat(HEIGHT_PX, axis=0)
    return np.roll(ramp, seed, axis=1).astype(np.uint8)


def image(index, *, topic="/navcam/image_raw", late_ns=0, frame_id="optical"):
    message = encode_image(message_class, picture(index), "mono8", header(stamp(index), frame_id))
    return Entry(topic, IMAGE, stamp(index) + late_ns, message)


def compressed(index, *, topic="/navcam/image_raw/compressed", suffix=".png"):
    data = cv2.imencode(suffix, picture(index))[1].reshape(-1)
    message = message_class(COMPRESSED)(
        header=header(stamp(index)), format=suffix.removeprefix("."), data=data
    )
    return Entry(topic, COMPRESSED, stamp(index), message)


def info(index, *, topic="/navcam/camera_info", late_ns=0, width_px=WIDTH_PX):
    camera = camera_from_field_of_view(
        width_px=width_px, height_px=HEIGHT_PX, horizontal_fov_rad=1.0
    )
    message = encode_camera_info(message_class, camera, header(stamp(index)))
    return Entry(topic, INFO, stamp(index) + late_ns, message)


def pose(index, *, late_ns=0):
    """Return the vehicle's pose in odom, 0.1 m further with every index."""
    transform = Transform(np.eye(3), np.array([0.1 * index, 0.0, 0.0]))
    item = StampedTransform("odom", "base_link", stamp(index), transform)
    message = encode_transforms(message_class, [item])
    return Entry("/tf", TF, stamp(index) + late_ns, message)


def mounting(*, frame_id="optical", log_ns=START_NS):
    rotation = rotation_from_rpy(0.0, 0.5, 0.0) @ BODY_R_OPTICAL
    item = StampedTransform(
        "base_link", frame_id, 0, Transform(rotation, np.array([0.0, 0.0, 1.5]))
    )
    return Entry("/tf_static", TF, log_ns, encode_transforms(message_class, [item]))


def depth_image(index, *, topic="/navcam/depth", depth_m=4.0):
    depth = DepthImage(np.full((HEIGHT_PX, WIDTH_PX), depth_m, dtype=np.float32), stamp(index))
    message = encode_depth(message_class, depth, header(stamp(index)))
    return Entry(topic, IMAGE, stamp(index), message)


def cloud(index, *, topic="/navcam/depth", frame="navcam_optical", depth_m=4.0):
    """Return a cloud at one depth, a point for each pixel."""
    points = np.full((HEIGHT_PX, WIDTH_PX, 3), depth_m, dtype=np.float32)
    points[..., 0], points[..., 1] = np.meshgrid(
        np.linspace(-2.0, 2.0, WIDTH_PX), np.linspace(-1.5, 1.5, HEIGHT_PX)
    )
    empty = np.zeros((HEIGHT_PX, WIDTH_PX), dtype=np.uint8)
    message = encode_points(
        message_class, points, empty, confidence=empty, header=header(stamp(index), frame)
    )
    return Entry(topic, CLOUD, stamp(index), message)


def distance(index, *, topic="/altimeter/depth", range_m=1.5):
    message = message_class(RANGE)(
        header=header(stamp(index), "altimeter"),
        radiation_type=1,
        field_of_view=0.1,
        min_range=0.1,
        max_range=100.0,
        range=range_m,
        variance=0.0,
    )
    return Entry(topic, RANGE, stamp(index), message)


def text(index, words="hello"):
    return Entry("/notes", TEXT, stamp(index), message_class(TEXT)(data=words))


def drive(count=4, *, make_image=image, with_info=True, transforms_late_ns=0):
    """Return the entries of a plain drive, in the order of recording."""
    entries = [mounting(), text(0)]
    for index in range(count):
        entries.append(pose(index, late_ns=transforms_late_ns))
        if with_info:
            entries.append(info(index))
        entries.append(make_image(index))
    return entries


def write_bag(path: Path, entries, *, storage=StoragePlugin.MCAP, raw=(), definitions=None):
    """Write a bag and return its path.

    Args:
        path: folder of the bag.
        entries: what to record.
        storage: plugin.
        raw: tuples of topic, type, log time and bytes.
        definitions: text by type, of those that are none of ROS's own.
    """
    connections = {}
    rows = [(e.topic, e.type, e.log_ns, bytes(serialize(e.message, e.type))) for e in entries]
    with Writer(path, version=9, storage_plugin=storage) as writer:
        for topic, kind, log_ns, data in sorted([*rows, *raw], key=lambda row: row[2]):
            if topic not in connections:
                latched = [qos_of(topics.topic(topic))] if topic == "/tf_static" else []
                own = (definitions or {}).get(kind)
                how = {"typestore": type_store()} if own is None else {"msgdef": own, "rihs01": "?"}
                connections[topic] = writer.add_connection(
                    topic, kind, offered_qos_profiles=latched, **how
                )
            writer.write(connections[topic], log_ns, data)
    return path


def read_bag(path: Path, *, only=()) -> dict[str, list[Entry]]:
    """Return the decoded messages of a bag by topic, of all topics or only of some."""
    result: dict[str, list[Entry]] = {}
    with Reader(path) as reader:
        chosen = [item for item in reader.connections if not only or item.topic in only]
        for connection, log_ns, data in reader.messages(chosen):
            message = deserialize(data, connection.msgtype)
            entry = Entry(connection.topic, connection.msgtype, log_ns, message)
            result.setdefault(connection.topic, []).append(entry)
    return result


def stamp_of(entry):
    return entry.message.header.stamp.sec * 10**9 + entry.message.header.stamp.nanosec
