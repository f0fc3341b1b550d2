"""Which topics of the cameras and of their companions a live node reads."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from terrain_seg_ros.messages.interfaces import Reliability, TopicSpec, topic
from terrain_seg_ros.parameters import Parameters

DEPTH_ROWS = {"image": "depth", "cloud": "cloud", "range": "range"}
"""The row of the table of topics, by the parameter `depth.source`."""

SHARED_ROWS = ("/tf", "/tf_static", "select_site")
"""Rows that several publishers may share."""


class SensorTopic(NamedTuple):
    """Hold one topic to read.

    `row` is its name in the table; `spec` has the name and the quality of service that the
    parameters give. `camera` is empty where the topic belongs to all of them.
    """

    row: str
    camera: str
    spec: TopicSpec


def sensor_topics(
    parameters: Parameters, *, image_topic: str | None = None, camera_info_topic: str | None = None
) -> list[SensorTopic]:
    """Return image and intrinsics of each camera, what measures the ground, what selects a site.

    Args:
        parameters: cameras, topics, quality of service.
        image_topic: replaces the parameter's, as a remapping does.
        camera_info_topic: likewise.
    """
    suffix = "/compressed" if parameters.text("image_transport") == "compressed" else ""
    rows = {
        f"image{suffix}": (image_topic or parameters.text("image_topic")) + suffix,
        "camera_info": camera_info_topic or parameters.text("camera_info_topic"),
    }
    depth_row = DEPTH_ROWS.get(parameters.text("depth.source"))
    if depth_row is not None:
        rows[depth_row] = parameters.text("depth.topic")
    specs = {row: _as_set(topic(row), name, parameters) for row, name in rows.items()}
    if parameters.flag("landing.enable"):
        specs["select_site"] = topic("select_site")
    return [
        SensorTopic(row, camera, spec)
        for camera in (*parameters.texts("cameras"), "")
        for row, spec in specs.items()
        if spec.per_camera == bool(camera)
    ]


def _as_set(spec: TopicSpec, name: str, parameters: Parameters) -> TopicSpec:
    reliable = parameters.text("input_reliability") == "reliable"
    return replace(
        spec,
        name=name,
        reliability=Reliability.RELIABLE if reliable else Reliability.BEST_EFFORT,
        depth=parameters.integer("input_depth"),
    )
