"""Encode class names, masks, pictures and diagnostics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from terrain_seg_ros.core.image.images_to_masks import SegmentStep
from terrain_seg_ros.core.image.mask_to_picture import color_mask, overlay
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import U8, CameraImage
from terrain_seg_ros.messages.diagnostics_message import Status, encode_diagnostics
from terrain_seg_ros.messages.header_message import make_header
from terrain_seg_ros.messages.image_message import encode_image
from terrain_seg_ros.messages.label_info_message import encode_label_info
from terrain_seg_ros.messages.message_types import Types
from terrain_seg_ros.messages.topic_spec import Group
from terrain_seg_ros.parameters.node_settings import NodeSettings
from terrain_seg_ros.runtime.outboxes.downlink_outbox import DownlinkOutbox
from terrain_seg_ros.runtime.outboxes.encoders import encodes
from terrain_seg_ros.runtime.outboxes.outgoing import Outgoing
from terrain_seg_ros.runtime.outboxes.outputs import Outputs


@dataclass(frozen=True)
class ClassesProduct:
    """The classes in force, and the confidence below which a pixel is unlabelled."""

    taxonomy: Taxonomy
    threshold: float
    stamp_ns: int


@dataclass(frozen=True)
class MaskProduct:
    """What the network gives for an image; `header` is the image's, `alpha` the overlay's."""

    image: CameraImage
    step: SegmentStep
    taxonomy: Taxonomy
    header: Any
    alpha: float


@dataclass(frozen=True)
class StateProduct:
    """The state of the node at one moment."""

    statuses: list[Status]
    stamp_ns: int


class ImageOutbox:
    """Encode what needs no grid."""

    def __init__(
        self, outputs: Outputs, parameters: NodeSettings, downlink: DownlinkOutbox
    ) -> None:
        """Take cameras and looks from the parameters."""
        self._outputs = outputs
        self._downlink = downlink
        self._cameras = parameters.input.cameras
        self.set_parameters(parameters)

    def set_parameters(self, parameters: NodeSettings) -> None:
        """Take what may change while running."""
        self._alpha = parameters.output.overlay_alpha
        self._threshold = parameters.pipeline.observability.min_confidence

    def label_info(self, taxonomy: Taxonomy, stamp_ns: int) -> list[Outgoing]:
        """Return the class names, once per camera."""
        product = ClassesProduct(taxonomy, self._threshold, stamp_ns)
        return [
            outgoing
            for camera in self._cameras
            for outgoing in self._outputs.encode(Group.CLASSES, product, camera=camera)
        ]

    def images(
        self, camera: str, image: CameraImage, step: SegmentStep, *, taxonomy: Taxonomy, header: Any
    ) -> list[Outgoing]:
        """Return mask and confidence, and the pictures that have a subscriber."""
        self._downlink.see_mask(step.segmentation.mask, taxonomy, camera)
        product = MaskProduct(image, step, taxonomy, header, self._alpha)
        return self._outputs.encode(Group.MASK, product, camera=camera)

    def diagnostics(self, statuses: list[Status], stamp_ns: int) -> list[Outgoing]:
        """Return the state of the node (REP-107)."""
        return self._outputs.encode(Group.STATE, StateProduct(statuses, stamp_ns))


@encodes("label_info")
def _label_info(types: Types, product: ClassesProduct) -> Any:
    header = make_header(types, product.stamp_ns, "")
    return encode_label_info(types, product.taxonomy, product.threshold, header)


@encodes("mask")
def _mask(types: Types, product: MaskProduct) -> Any:
    return encode_pixels(types, product.step.segmentation.mask, product.header)


@encodes("confidence")
def _confidence(types: Types, product: MaskProduct) -> Any:
    return encode_pixels(types, product.step.segmentation.confidence, product.header)


@encodes("color_mask")
def _color_mask(types: Types, product: MaskProduct) -> Any:
    picture = color_mask(product.step.segmentation.mask, product.taxonomy)
    return encode_pixels(types, picture, product.header)


@encodes("overlay")
def _overlay(types: Types, product: MaskProduct) -> Any:
    mask = product.step.segmentation.mask
    picture = overlay(product.image.pixels, mask, product.taxonomy, alpha=product.alpha)
    return encode_pixels(types, picture, product.header)


@encodes("/diagnostics")
def _diagnostics(types: Types, product: StateProduct) -> Any:
    return encode_diagnostics(types, product.statuses, product.stamp_ns)


def encode_pixels(types: Types, pixels: U8, header: Any) -> Any:
    """Return an image (H, W) as mono8 or (H, W, 3) as rgb8."""
    encoding = "mono8" if pixels.ndim == 2 else "rgb8"
    return encode_image(types, np.ascontiguousarray(pixels), encoding, header)
