"""Which topics the node reads, and under which names."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.dds.discovery import Discovery
from terrain_seg_ros.dds.idl_types import dds_topic_name
from terrain_seg_ros.messages.interfaces import TopicSpec, resolve, topic
from terrain_seg_ros.parameters.file import NAMESPACE, NODE_NAME
from terrain_seg_ros.parameters.node_settings import NodeSettings
from terrain_seg_ros.runtime.input_topics import sensor_topics

__all__ = ["NAMESPACE", "NODE_NAME", "Input", "NodeOptions", "input_topics", "output_name"]


@dataclass(frozen=True)
class NodeOptions:
    """Hold how the node joins the bus; what it does there stands in the parameters.

    `image_topic` and `camera_info_topic` are full names that replace those of the parameters, as
    a remapping does in ROS; None keeps them.
    """

    domain_id: int
    discovery: Discovery
    namespace: str = NAMESPACE
    image_topic: str | None = None
    camera_info_topic: str | None = None


class Input(NamedTuple):
    """Hold one topic to read; `row` is its name in the table of topics."""

    row: str
    camera: str
    dds_name: str
    spec: TopicSpec


def input_topics(parameters: NodeSettings, options: NodeOptions) -> list[Input]:
    """Return the images and intrinsics of every camera, and the transforms.

    Raises:
        ConfigError: a name cannot be used, or one full name stands for several cameras.
    """
    cameras = parameters.input.cameras
    inputs = [
        Input(name, "", dds_topic_name(name, options.namespace), topic(name))
        for name in ("/tf", "/tf_static")
    ]
    for row, camera, spec in sensor_topics(
        parameters, image_topic=options.image_topic, camera_info_topic=options.camera_info_topic
    ):
        full = dds_topic_name(_camera_topic(spec, camera, cameras), options.namespace)
        inputs.append(Input(row, camera, full, spec))
    return inputs


def output_name(name: str, options: NodeOptions) -> str:
    """Return the DDS name of an output, given relative to the namespace or in full."""
    return dds_topic_name(name, options.namespace)


def _camera_topic(spec: TopicSpec, camera: str, cameras: Iterable[str]) -> str:
    count = len(list(cameras))
    if spec.name.startswith("/") and count > 1:
        raise ConfigError(
            f"topic {spec.name!r} cannot stand for {count} cameras; give it relative to each "
            "camera's name"
        )
    return resolve(spec, camera, count)
