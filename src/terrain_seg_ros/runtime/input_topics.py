"""Which topics a live node reads, under which names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.messages.topic_spec import Direction, Group, Reliability, TopicSpec
from terrain_seg_ros.messages.topics import resolve, topics
from terrain_seg_ros.parameters.node_settings import NodeSettings

_COMPRESSED = "/compressed"
_RECTIFIED = re.compile(r"(image_)?rect(ified)?(_|$)|.*_rect(ified)?(_|$)")


class InputTopic(NamedTuple):
    """One topic to read.

    `row` is its name in the table; `spec` has the name on the bus, relative to the namespace or in
    full, and the quality of service that the parameters give. `camera` is empty where the cameras
    share the topic.
    """

    row: str
    camera: str
    spec: TopicSpec


def check_names(
    inputs: Iterable[InputTopic], outputs: Iterable[str], full_name: Callable[[str], str]
) -> None:
    """Check that no input has the name of an output or of another input.

    Args:
        inputs: what a node reads.
        outputs: names of what it publishes.
        full_name: gives a topic's name on the bus.

    Raises:
        ConfigError: two have one name.
    """
    used = {full_name(name): f"the output {name!r} of this node" for name in outputs}
    for item in inputs:
        name = full_name(item.spec.name)
        what = f"the input {item.row!r}" + (f" of camera {item.camera!r}" if item.camera else "")
        if name in used:
            raise ConfigError(
                f"{what} is {name!r}, which is also {used[name]}; give the two different names"
            )
        used[name] = what


def input_topics(
    parameters: NodeSettings, names: Mapping[str, str | None] | None = None
) -> list[InputTopic]:
    """Return the inputs that are on: transforms, those of each camera, those that cameras share.

    Args:
        parameters: cameras, topics, quality of service.
        names: replace the values of the parameters of the same name, such as `image_topic`, like
            a remapping; they may be names in full.

    Raises:
        ConfigError: one full name stands for several cameras.
    """
    cameras = parameters.input.cameras
    result = []
    for camera in (*cameras, ""):
        for row in topics(Direction.IN):
            if row.per_camera != bool(camera) or not row.is_on(parameters.values):
                continue
            spec = _as_set(row, (names or {}).get(row.name_setting), parameters)
            name = _camera_topic(spec, camera, len(cameras))
            result.append(InputTopic(row.name, camera, replace(spec, name=name)))
    return sorted(result, key=lambda item: item.spec.group is not Group.TRANSFORMS)


def rectified_cameras(
    parameters: NodeSettings, topics: Mapping[str, str] | None = None
) -> frozenset[str]:
    """Return the cameras whose images are rectified, by `image_rectification` or by their topics.

    Args:
        parameters: cameras and what is known of their images.
        topics: full name by camera; None takes those of the parameters.
    """
    given = parameters.input.image_rectification
    if topics is None:
        inputs = input_topics(parameters)
        topics = {i.camera: i.spec.name for i in inputs if i.spec.group is Group.IMAGE}
    return frozenset(
        camera
        for camera in parameters.input.cameras
        if given == "rectified" or (given == "auto" and is_rectified(topics.get(camera, "")))
    )


def is_rectified(image_topic: str) -> bool:
    """Return whether a topic's name says that its images are rectified: image_rect_color does."""
    parts = image_topic.lower().removesuffix(_COMPRESSED).strip("/").split("/")
    return any(_RECTIFIED.match(part) for part in parts[-2:])


def _camera_topic(spec: TopicSpec, camera: str, camera_count: int) -> str:
    if spec.per_camera and spec.name.startswith("/") and camera_count > 1:
        raise ConfigError(
            f"topic {spec.name!r} cannot stand for {camera_count} cameras; give it relative to "
            "each camera's name"
        )
    return resolve(spec, camera, camera_count)


def _as_set(spec: TopicSpec, name: str | None, parameters: NodeSettings) -> TopicSpec:
    """Return a row with the name and the quality of service that the parameters give."""
    if not spec.name_setting:
        return spec
    suffix = _COMPRESSED if spec.name.endswith(_COMPRESSED) else ""
    reliable = parameters.input.input_reliability == "reliable"
    return replace(
        spec,
        name=(name or str(parameters.values[spec.name_setting])) + suffix,
        reliability=Reliability.RELIABLE if reliable else Reliability.BEST_EFFORT,
        depth=parameters.input.input_depth,
    )
