"""Make the messages of the contract table from what the pipeline gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from terrain_seg_ros.core.image.images_to_masks import SegmentStep
from terrain_seg_ros.core.image.mask_to_picture import color_mask, overlay
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import F32, U8, CameraImage
from terrain_seg_ros.messages.cloud_message import Cloud, encode_hazard_points, encode_points
from terrain_seg_ros.messages.diagnostics_message import Status, encode_diagnostics
from terrain_seg_ros.messages.header_message import make_header
from terrain_seg_ros.messages.image_message import encode_image
from terrain_seg_ros.messages.interfaces import Direction, TopicSpec, resolve, topic, topics
from terrain_seg_ros.messages.label_info_message import encode_label_info
from terrain_seg_ros.messages.message_types import Types, has_type
from terrain_seg_ros.parameters.node_settings import NodeSettings

_MASK_TOPICS = ("mask", "filter_info")
_LANDING_TOPICS = ("landing_sites", "landing_sites_markers", "best_landing_site")


class Outgoing(NamedTuple):
    """Hold a message and the topic it goes to, relative as in the contract table."""

    topic: str
    message: Any


class Bus(NamedTuple):
    """Say how topics are heard: whether somebody listens, and a topic's name in full.

    `image_topics` is where each camera's images come from, None where the parameters say it; the
    name tells rectified images.
    """

    wanted: Callable[[str], bool] = lambda _: True
    full_name: Callable[[str], str] = "/{}".format
    image_topics: Mapping[str, str] | None = None


def outgoing_topics(parameters: NodeSettings) -> dict[str, TopicSpec]:
    """Return every topic that a node with these parameters publishes, with its row of the table."""
    result: dict[str, TopicSpec] = {}
    cameras = parameters.input.cameras
    off = _switched_off(parameters)
    for spec in topics(Direction.OUT):
        if spec.name in off:
            continue
        for camera in cameras if spec.per_camera else ("",):
            result[resolve(spec, camera, len(cameras) if spec.per_camera else 1)] = spec
    return result


class Outbox:
    """Encode outputs; lazy ones only where the bus says that somebody listens."""

    def __init__(self, types: Types, parameters: NodeSettings, bus: Bus) -> None:
        """Take cameras and looks from the parameters."""
        self._types = types
        self._cameras = parameters.input.cameras
        self._wanted = bus.wanted
        self.set_parameters(parameters)

    def set_parameters(self, parameters: NodeSettings) -> None:
        """Take what may change while running."""
        self._alpha = parameters.output.overlay_alpha
        self._points = parameters.output.points_enable
        self._decimation = parameters.output.points_decimation
        self._threshold = parameters.pipeline.observability.min_confidence
        self._min_height_m = parameters.output.hazard_points_min_height_m
        self._max_height_m = parameters.output.hazard_points_max_height_m

    def name(self, row: str, camera: str = "") -> str:
        """Return the topic of a row of the table, for one camera where it is per camera."""
        spec = topic(row)
        return resolve(spec, camera, len(self._cameras) if spec.per_camera else 1)

    def label_info(self, taxonomy: Taxonomy, stamp_ns: int) -> list[Outgoing]:
        """Return the class names, once per camera."""
        if not has_type(self._types, topic("label_info").type):
            return []
        header = make_header(self._types, stamp_ns, "")
        message = encode_label_info(self._types, taxonomy, self._threshold, header)
        return [Outgoing(self.name("label_info", camera), message) for camera in self._cameras]

    def images(
        self, camera: str, image: CameraImage, step: SegmentStep, *, taxonomy: Taxonomy, header: Any
    ) -> list[Outgoing]:
        """Return mask and confidence, and the pictures that somebody wants."""
        mask, confidence = step.segmentation.mask, step.segmentation.confidence
        result = [
            self._image("mask", camera, mask, header=header),
            self._image("confidence", camera, confidence, header=header),
        ]
        if self._wanted(self.name("color_mask", camera)):
            picture = color_mask(mask, taxonomy)
            result.append(self._image("color_mask", camera, picture, header=header))
        if self._wanted(self.name("overlay", camera)):
            picture = overlay(image.pixels, mask, taxonomy, alpha=self._alpha)
            result.append(self._image("overlay", camera, picture, header=header))
        return result

    def wants_points(self, camera: str) -> bool:
        """Say whether `points` shall be computed."""
        return self._points and self._wanted(self.name("points", camera))

    def wants_hazard_points(self, camera: str) -> bool:
        """Say whether `hazard_points` shall be computed."""
        return self._wanted(self.name("hazard_points", camera))

    def points(
        self, camera: str, points_optical: F32, step: SegmentStep, *, header: Any
    ) -> list[Outgoing]:
        """Return the organised cloud; if decimated, with the mask and confidence that fit it."""
        every = (slice(None, None, self._decimation),) * 2
        mask = step.segmentation.mask[every]
        confidence = step.segmentation.confidence[every]
        cloud = encode_points(
            self._types, points_optical[every], mask, confidence=confidence, header=header
        )
        result = [Outgoing(self.name("points", camera), cloud)]
        if self._decimation > 1:
            result.append(self._image("points_mask", camera, mask, header=header))
            result.append(self._image("points_confidence", camera, confidence, header=header))
        return result

    def hazard_points(
        self, camera: str, cloud: Cloud, *, stamp_ns: int, frame_id: str
    ) -> list[Outgoing]:
        """Return the points of hazards, in the grid's frame."""
        message = encode_hazard_points(
            self._types,
            cloud,
            make_header(self._types, stamp_ns, frame_id),
            min_height_m=self._min_height_m,
            max_height_m=self._max_height_m,
        )
        return [Outgoing(self.name("hazard_points", camera), message)]

    def diagnostics(self, statuses: list[Status], stamp_ns: int) -> list[Outgoing]:
        """Return the state for people and machines."""
        if not has_type(self._types, topic("/diagnostics").type):
            return []
        message = encode_diagnostics(self._types, statuses, stamp_ns)
        return [Outgoing(self.name("/diagnostics"), message)]

    def _image(self, row: str, camera: str, pixels: U8, *, header: Any) -> Outgoing:
        encoding = "mono8" if pixels.ndim == 2 else "rgb8"
        message = encode_image(self._types, np.ascontiguousarray(pixels), encoding, header)
        return Outgoing(self.name(row, camera), message)


def _switched_off(parameters: NodeSettings) -> set[str]:
    """Return the rows of the table that are published only where parameters ask for them."""
    off = set()
    if parameters.output.filter_masks_max_rate_hz == 0.0:
        off |= {f"{kind}_{what}" for kind in ("keepout", "speed") for what in _MASK_TOPICS}
    if parameters.output.whole_grid_period_s == 0.0:
        off.add("hazard_grid_updates")
    if not parameters.output.landing_enable:
        off.update(_LANDING_TOPICS)
    return off
