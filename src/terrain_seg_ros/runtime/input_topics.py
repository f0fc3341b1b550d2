"""Which topics of the cameras and of their companions a live node reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from terrain_seg_ros.messages.interfaces import Reliability, TopicSpec, resolve, topic
from terrain_seg_ros.parameters.node_settings import NodeSettings

DEPTH_ROWS = {"image": "depth", "cloud": "cloud", "range": "range"}
"""The row of the table of topics, by the parameter `depth.source`."""

SHARED_ROWS = ("/tf", "/tf_static", "select_site")
"""Rows that several publishers may share."""


_RECTIFIED = re.compile(r"(image_)?rect(ified)?(_|$)|.*_rect(ified)?(_|$)")


class SensorTopic(NamedTuple):
    """Hold one topic to read.

    `row` is its name in the table; `spec` has the name and the quality of service that the
    parameters give. `camera` is empty where the topic belongs to all of them.
    """

    row: str
    camera: str
    spec: TopicSpec


def sensor_topics(
    parameters: NodeSettings,
    *,
    image_topic: str | None = None,
    camera_info_topic: str | None = None,
) -> list[SensorTopic]:
    """Return image and intrinsics of each camera, what measures the ground, what selects a site.

    Args:
        parameters: cameras, topics, quality of service.
        image_topic: replaces the parameter's, as a remapping does.
        camera_info_topic: likewise.
    """
    suffix = "/compressed" if parameters.input.image_transport == "compressed" else ""
    rows = {
        f"image{suffix}": (image_topic or parameters.input.image_topic) + suffix,
        "camera_info": camera_info_topic or parameters.input.camera_info_topic,
    }
    depth_row = DEPTH_ROWS.get(parameters.depth.source)
    if depth_row is not None:
        rows[depth_row] = parameters.depth.topic
    specs = {row: _as_set(topic(row), name, parameters) for row, name in rows.items()}
    if parameters.output.landing_enable:
        specs["select_site"] = topic("select_site")
    return [
        SensorTopic(row, camera, spec)
        for camera in (*parameters.input.cameras, "")
        for row, spec in specs.items()
        if spec.per_camera == bool(camera)
    ]


def image_topics(parameters: NodeSettings, *, image_topic: str | None = None) -> dict[str, str]:
    """Return the name of each camera's image topic, relative to the namespace or in full."""
    count = len(parameters.input.cameras)
    return {
        item.camera: resolve(item.spec, item.camera, count)
        for item in sensor_topics(parameters, image_topic=image_topic)
        if item.row.startswith("image")
    }


def is_rectified(image_topic: str) -> bool:
    """Say whether a topic's name tells that its images are rectified, such as image_rect_color."""
    parts = image_topic.lower().removesuffix("/compressed").strip("/").split("/")
    return any(_RECTIFIED.match(part) for part in parts[-2:])


def rectified_cameras(
    parameters: NodeSettings, topics: Mapping[str, str] | None = None
) -> frozenset[str]:
    """Return the cameras whose images are rectified, by `image_rectification` or by their topics.

    Args:
        parameters: cameras and what is known of their images.
        topics: full name by camera; None takes those of the parameters.
    """
    told = parameters.input.image_rectification
    names = image_topics(parameters) if topics is None else topics
    return frozenset(
        camera
        for camera in parameters.input.cameras
        if told == "rectified" or (told == "auto" and is_rectified(names.get(camera, "")))
    )


def _as_set(spec: TopicSpec, name: str, parameters: NodeSettings) -> TopicSpec:
    reliable = parameters.input.input_reliability == "reliable"
    return replace(
        spec,
        name=name,
        reliability=Reliability.RELIABLE if reliable else Reliability.BEST_EFFORT,
        depth=parameters.input.input_depth,
    )
