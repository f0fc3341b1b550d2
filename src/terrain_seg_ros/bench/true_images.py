"""True labels of a recorded simulation, as class ids and as images for the model `truth_mask`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.bag.reader import BagReader
from terrain_seg_ros.bag.writer import BagWriter
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.ground.measurement import DepthImage
from terrain_seg_ros.core.types import U8, UNLABELLED
from terrain_seg_ros.messages.camera_info_message import camera_model, encode_camera_info
from terrain_seg_ros.messages.cdr import deserialize, message_class
from terrain_seg_ros.messages.depth_message import decode_depth, encode_depth
from terrain_seg_ros.messages.header_message import stamp_ns
from terrain_seg_ros.messages.image_message import decode_image, encode_image
from terrain_seg_ros.messages.topics import topic
from terrain_seg_ros.parameters.file import NAMESPACE
from terrain_seg_ros.worlds.coded_image import CODED_SIDE_PX, coded_image
from terrain_seg_ros.worlds.gazebo.sdf_vehicle import OWN_BODY_LABEL
from terrain_seg_ros.worlds.gazebo.world_to_sdf import label_of
from terrain_seg_ros.worlds.world import SKY, WORLD_TAXONOMY

IMAGE, INFO, DEPTH = (f"{NAMESPACE}/{name}" for name in ("image", "camera_info", "depth"))
LABELS = f"{NAMESPACE}/truth/labels"
TRANSFORMS = ("/tf", "/tf_static")
Pixels = NDArray[np.intp]
WAITING = 50
"""Images whose counterpart of the same stamp may still come."""


class Item(NamedTuple):
    """A message of a bag."""

    topic: str
    log_ns: int
    message: Any


def items(bag: Path, topics: Sequence[str]) -> Iterator[Item]:
    """Yield the messages of some topics in the order of recording.

    Raises:
        ConfigError: there is no such bag.
        MessageError: the bag is damaged.
    """
    with BagReader(bag) as reader:
        chosen = [item for item in reader.connections if item.topic in topics]
        for item in reader.messages(chosen) if chosen else ():
            message = deserialize(item.data, item.connection.msgtype)
            yield Item(item.connection.topic, item.log_ns, message)


class ByStamp:
    """The newest images of several topics; hands out those of one stamp together."""

    def __init__(self, *topics: str) -> None:
        """Wait for one message of each topic."""
        self._waiting: dict[str, dict[int, Any]] = {name: {} for name in topics}

    def add(self, item: Item) -> list[Any]:
        """Keep a message; return the messages of its stamp once there is one of each topic."""
        stamp = stamp_ns(item.message.header)
        kept = self._waiting[item.topic]
        kept[stamp] = item.message
        if len(kept) > WAITING:
            del kept[min(kept)]
        if any(stamp not in known for known in self._waiting.values()):
            return []
        return [known.pop(stamp) for known in self._waiting.values()]


def classes_of(labels: Any) -> U8:
    """Return the class ids (h, w) of labels as the bridge sends them, rgb8 or mono8.

    Raises:
        MessageError: the image cannot be read.
    """
    pixels = decode_image(labels).pixels
    plane = pixels if pixels.ndim == 2 else pixels[:, :, 0]
    table = np.full(256, UNLABELLED, dtype=np.uint8)
    for class_id in range(len(WORLD_TAXONOMY)):
        table[label_of(class_id)] = class_id
    table[0], table[OWN_BODY_LABEL] = SKY, UNLABELLED
    return np.asarray(table[plane], dtype=np.uint8)


def write_coded(bag: Path, target: Path) -> int:
    """Write transforms, and labels as images with their depth and camera; return their number.

    The image has the size of the model's input, so that nothing is interpolated: each pixel is that
    of the label and the depth nearest to its centre.

    Raises:
        ConfigError: the target exists, or no label has depth and camera of its stamp.
    """
    pairs, count = ByStamp(INFO, DEPTH, LABELS), 0
    with BagReader(bag) as reader, BagWriter(target) as writer:
        copies = {
            item.topic: writer.copy_connection(item)
            for item in reader.connections
            if item.topic in TRANSFORMS
        }
        added = {name: writer.add_connection(name, spec) for name, spec in _coded_specs()}
        for item in items(bag, (*TRANSFORMS, INFO, DEPTH, LABELS)):
            if item.topic in copies:
                writer.write_message(copies[item.topic], item.log_ns, item.message)
                continue
            found = pairs.add(item)
            for name, message in _coded(*found) if found else ():
                writer.write_message(added[name], item.log_ns, message)
            count += bool(found)
        if not count:
            raise ConfigError(f"bag '{bag}' has no {LABELS} with {DEPTH} and {INFO} of its stamp")
    return count


def _coded_specs() -> Iterator[tuple[str, Any]]:
    for name in (INFO, DEPTH, IMAGE):
        yield name, topic(name.removeprefix(f"{NAMESPACE}/"))


def _coded(info: Any, depth: Any, labels: Any) -> Iterator[tuple[str, Any]]:
    camera, classes, header = camera_model(info), classes_of(labels), labels.header
    small, rows, cols = thinned(camera)
    cut = np.ix_(rows, cols)
    measured = DepthImage(decode_depth(depth).depth_m[cut], stamp_ns(header))
    yield INFO, encode_camera_info(message_class, small, header)
    yield DEPTH, encode_depth(message_class, measured, header)
    yield IMAGE, encode_image(message_class, coded_image(classes[cut]), "mono8", header)


def thinned(camera: CameraModel) -> tuple[CameraModel, Pixels, Pixels]:
    """Return a camera at the size of a network's input, and the rows and columns that are kept."""
    rows, row_scale, cy_px = _kept(camera.height_px, camera.cy_px)
    cols, col_scale, cx_px = _kept(camera.width_px, camera.cx_px)
    small = replace(
        camera,
        width_px=CODED_SIDE_PX,
        height_px=CODED_SIDE_PX,
        fx_px=camera.fx_px * col_scale,
        fy_px=camera.fy_px * row_scale,
        cx_px=cx_px,
        cy_px=cy_px,
    )
    return small, rows, cols


def _kept(count_px: int, centre_px: float) -> tuple[Pixels, float, float]:
    """Return the pixels that stay along one side, the scale, and the principal point's place."""
    scale = CODED_SIDE_PX / count_px
    kept = np.rint((np.arange(CODED_SIDE_PX) + 0.5) / scale - 0.5).astype(np.intp)
    return kept, scale, (centre_px + 0.5) * scale - 0.5
