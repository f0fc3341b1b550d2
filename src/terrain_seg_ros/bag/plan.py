"""Decide what a replay reads from a bag, and where its own messages go."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from rosbags.interfaces import Connection

from terrain_seg_ros.bag.cameras import COMPRESSED_TYPE, INFO_TYPE, RAW_TYPE, BagCamera
from terrain_seg_ros.bag.reader import BagReader
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.messages.interfaces import Direction, TopicSpec, topic, topics
from terrain_seg_ros.parameters.node_settings import NodeSettings
from terrain_seg_ros.runtime.input_topics import DEPTH_ROWS
from terrain_seg_ros.runtime.outboxes.image_outbox import outgoing_topics

NAMESPACE = "/terrain"
LAZY_TOPICS = tuple(spec.name for spec in topics(Direction.OUT) if spec.lazy)
_TF_TYPE = topic("/tf").type
_NAMESPACE = re.compile(r"/?([A-Za-z_]\w*(/[A-Za-z_]\w*)*/?)?", re.ASCII)


@dataclass(frozen=True)
class ReplayOptions:
    """Hold what to take from the bag and where to put ours.

    `image_topics`: these and no others; empty finds them, except `other_topics`, such as true
    masks. `skip`: lazy topics, named as in the table, that are not computed.
    """

    namespace: str = NAMESPACE
    image_topics: Sequence[str] = ()
    other_topics: Collection[str] = ()
    skip: Collection[str] = ()


class Role(Enum):
    """Say what a connection of the bag is to the replay."""

    IMAGE = "image"
    CAMERA_INFO = "camera_info"
    DEPTH = "depth"
    TRANSFORMS = "transforms"
    STATIC_TRANSFORMS = "static transforms"


class Input(NamedTuple):
    """Hold a connection that the replay reads; the cameras are those that it belongs to."""

    connection: Connection
    role: Role
    cameras: tuple[str, ...] = ()


class Output(NamedTuple):
    """Hold where one of our topics goes, and whether it is computed at all."""

    full_name: str
    spec: TopicSpec
    is_wanted: bool


def find_inputs(
    reader: BagReader, cameras: Sequence[BagCamera], parameters: NodeSettings
) -> list[Input]:
    """Return the connections that a replay with these cameras reads."""
    result = []
    for item in reader.connections:
        last = item.topic.rpartition("/")[2]
        depth = _depth_input(item, cameras, parameters)
        if depth is not None:
            result.append(depth)
        elif item.msgtype in (RAW_TYPE, COMPRESSED_TYPE):
            names = tuple(c.name for c in cameras if c.image_topic == item.topic)
            result += [Input(item, Role.IMAGE, names)] if names else []
        elif item.msgtype == INFO_TYPE:
            names = tuple(c.name for c in cameras if c.info_topic == item.topic)
            result += [Input(item, Role.CAMERA_INFO, names)] if names else []
        elif item.msgtype == _TF_TYPE and last in ("tf", "tf_static"):
            is_static = last == "tf_static"
            result.append(Input(item, Role.STATIC_TRANSFORMS if is_static else Role.TRANSFORMS))
    return result


def _depth_input(
    item: Connection, cameras: Sequence[BagCamera], parameters: NodeSettings
) -> Input | None:
    """Return a connection that measures the ground: beside a camera's image, or a range.

    A cloud that lies beside no image, as a lidar's, serves all cameras.
    """
    row = DEPTH_ROWS.get(parameters.depth.source)
    if row is None or item.msgtype != topic(row).type:
        return None
    name = parameters.depth.topic
    if row == "range":
        return Input(item, Role.DEPTH, ("",)) if item.topic.endswith(f"/{name}") else None
    names = tuple(c.name for c in cameras if item.topic == f"{_folder(c.image_topic)}/{name}")
    if row == "cloud" and not names and item.topic.endswith(f"/{name}"):
        names = tuple(c.name for c in cameras)
    return Input(item, Role.DEPTH, names) if names else None


def _folder(image_topic: str) -> str:
    return image_topic.removesuffix("/compressed").rpartition("/")[0]


def find_outputs(parameters: NodeSettings, options: ReplayOptions) -> dict[str, Output]:
    """Return our topics by their relative name.

    Raises:
        ConfigError: a topic that is to be left out is none of the lazy ones, or the namespace is
            none.
    """
    for name in options.skip:
        if name not in LAZY_TOPICS:
            raise ConfigError(
                f"topic {name!r} cannot be left out; what can is {', '.join(LAZY_TOPICS)}"
            )
    if _NAMESPACE.fullmatch(options.namespace) is None:
        raise ConfigError(
            f"namespace {options.namespace!r} is not a ROS name; use letters, digits and "
            "underscores, parted by slashes, such as '/terrain'"
        )
    namespace = f"/{options.namespace.strip('/')}".rstrip("/")
    result = {}
    for name, spec in outgoing_topics(parameters).items():
        full = name if name.startswith("/") else f"{namespace}/{name}"
        result[name] = Output(full, spec, spec.name not in options.skip)
    return result


def find_replaced(reader: BagReader, outputs: Mapping[str, Output]) -> list[str]:
    """Return the bag's topics that come from an earlier run of ours; the new ones replace them.

    Those that are left out now go too, as they would not belong to the new masks.

    Raises:
        ConfigError: one of them is of another type, so it is not ours.
    """
    ours = {o.full_name: o for name, o in outputs.items() if not name.startswith("/")}
    found = set()
    for item in reader.connections:
        output = ours.get(item.topic)
        if output is None:
            continue
        if item.msgtype == output.spec.type:
            found.add(item.topic)
        elif output.is_wanted:
            raise ConfigError(
                f"bag '{reader.path}' has {item.topic!r} of type {item.msgtype}, but our topic of "
                f"this name is {output.spec.type}; choose another namespace"
            )
    return sorted(found)
