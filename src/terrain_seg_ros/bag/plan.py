"""What a replay reads from a bag, and where its own messages go."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rosbags.interfaces import Connection

from terrain_seg_ros.bag.cameras import BagCamera
from terrain_seg_ros.bag.own_topics import own_outputs
from terrain_seg_ros.bag.reader import BagReader
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.messages.topic_spec import Demand, Direction, Group, TopicSpec
from terrain_seg_ros.messages.topics import topics
from terrain_seg_ros.parameters.file import NAMESPACE
from terrain_seg_ros.parameters.node_settings import NodeSettings
from terrain_seg_ros.runtime.outboxes.outputs import outgoing_topics

_NAMESPACE = re.compile(r"/?([A-Za-z_]\w*(/[A-Za-z_]\w*)*/?)?", re.ASCII)


@dataclass(frozen=True)
class ReplayOptions:
    """What to take from the bag and where to put ours.

    `image_topics`: these and no others; empty finds them, except `other_topics`, such as true
    masks. `skip`: topics of `skippable_topics` that are not computed.
    """

    namespace: str = NAMESPACE
    image_topics: Sequence[str] = ()
    other_topics: Collection[str] = ()
    skip: Collection[str] = ()


class Input(NamedTuple):
    """A connection that the replay reads, its row of the table, and the cameras it belongs to."""

    connection: Connection
    spec: TopicSpec
    cameras: tuple[str, ...] = ()


class Output(NamedTuple):
    """Where one of our topics goes, and whether it is computed at all."""

    full_name: str
    spec: TopicSpec
    is_wanted: bool


def skippable_topics() -> tuple[str, ...]:
    """Return the outputs, named as in the table, that a replay may leave out."""
    return tuple(s.name for s in topics(Direction.OUT) if s.demand is Demand.SUBSCRIBED)


def find_inputs(
    reader: BagReader, cameras: Sequence[BagCamera], parameters: NodeSettings
) -> list[Input]:
    """Return the connections that a replay with these cameras reads.

    What an operator selected while the bag was recorded is not replayed, and what this node
    published then measures no ground.

    Raises:
        ConfigError: the only topic that depth.topic names is an output of this node.
    """
    # A depth image has the type of a camera's image, so what measures the ground is asked first.
    rows = sorted(topics(Direction.IN), key=lambda spec: spec.group is not Group.GROUND)
    ours = own_outputs((item.topic, item.msgtype) for item in reader.connections)
    result: list[Input] = []
    refused: list[Input] = []
    for item in reader.connections:
        found = (_input(item, spec, cameras, parameters) for spec in rows)
        for source in [source for source in found if source is not None][:1]:
            is_own = source.spec.group is Group.GROUND and item.topic in ours
            (refused if is_own else result).append(source)
    if refused and not any(source.spec.group is Group.GROUND for source in result):
        raise ConfigError(
            f"depth.topic {parameters.depth.topic!r} names {refused[0].connection.topic!r}, an "
            "output of this node and not a measurement; name the topic of a sensor, or set "
            "depth: {source: none}"
        )
    return result


def _input(
    item: Connection, spec: TopicSpec, cameras: Sequence[BagCamera], parameters: NodeSettings
) -> Input | None:
    """Return a connection as an input of one row of the table; None where it is none."""
    if item.msgtype != spec.type:
        return None
    if spec.group is Group.TRANSFORMS:
        return Input(item, spec) if item.topic.endswith(spec.name) else None
    if spec.group is Group.GROUND:
        is_on = spec.is_on(parameters.values)
        return _ground_input(item, spec, cameras, parameters) if is_on else None
    names: tuple[str, ...] = ()
    if spec.group is Group.IMAGE:
        names = tuple(c.name for c in cameras if c.image_topic == item.topic)
    elif spec.group is Group.INTRINSICS:
        names = tuple(c.name for c in cameras if c.info_topic == item.topic)
    return Input(item, spec, names) if names else None


def _ground_input(
    item: Connection, spec: TopicSpec, cameras: Sequence[BagCamera], parameters: NodeSettings
) -> Input | None:
    """Return a connection that measures the ground: beside a camera's image, or shared by all.

    A cloud that lies beside no image, such as a lidar's, serves all cameras.
    """
    name = parameters.depth.topic
    if not spec.per_camera:
        return Input(item, spec, ("",)) if item.topic.endswith(f"/{name}") else None
    names = tuple(c.name for c in cameras if item.topic == f"{image_folder(c.image_topic)}/{name}")
    if spec.name == "cloud" and not names and item.topic.endswith(f"/{name}"):
        names = tuple(c.name for c in cameras)
    return Input(item, spec, names) if names else None


def image_folder(image_topic: str) -> str:
    """Return the namespace of an image topic, beside which depth and clouds are looked up."""
    return image_topic.removesuffix("/compressed").rpartition("/")[0]


def find_outputs(parameters: NodeSettings, options: ReplayOptions) -> dict[str, Output]:
    """Return our topics by their relative name.

    Raises:
        ConfigError: a topic cannot be left out, or the namespace is not a ROS name.
    """
    skippable = skippable_topics()
    for name in options.skip:
        if name not in skippable:
            raise ConfigError(
                f"topic {name!r} cannot be left out; expected one of {', '.join(skippable)}"
            )
    if _NAMESPACE.fullmatch(options.namespace) is None:
        raise ConfigError(
            f"namespace {options.namespace!r} is not a ROS name; use letters, digits and "
            "underscores, separated by slashes, such as '/terrain'"
        )
    namespace = f"/{options.namespace.strip('/')}".rstrip("/")
    result = {}
    for name, spec in outgoing_topics(parameters).items():
        full = name if name.startswith("/") else f"{namespace}/{name}"
        result[name] = Output(full, spec, spec.name not in options.skip)
    return result


def find_replaced(
    reader: BagReader, outputs: Mapping[str, Output], *, needed: Collection[str] = ()
) -> list[str]:
    """Return the bag's topics that come from an earlier run of ours; the new ones replace them.

    Those that are left out now go too, as they would not belong to the new masks.

    Args:
        reader: of the bag.
        outputs: our topics by their relative name.
        needed: topics that the replay reads, or compares with, and may therefore not replace.

    Raises:
        ConfigError: one of them is of another type, so it is not ours, or it is needed.
    """
    ours = {o.full_name: o for name, o in outputs.items() if not name.startswith("/")}
    found = set()
    for item in reader.connections:
        output = ours.get(item.topic)
        if output is None:
            continue
        if item.topic in needed:
            raise ConfigError(
                f"the replay reads {item.topic!r} of bag '{reader.path}', and would replace it by "
                "its own topic of this name; choose another --namespace for the replay's topics"
            )
        if item.msgtype == output.spec.type:
            found.add(item.topic)
        elif output.is_wanted:
            raise ConfigError(
                f"bag '{reader.path}' has {item.topic!r} of type {item.msgtype}, but our topic of "
                f"this name has the type {output.spec.type}; choose another namespace"
            )
    return sorted(found)
