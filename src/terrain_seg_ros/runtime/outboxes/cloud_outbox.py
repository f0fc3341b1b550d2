"""Encode the clouds of an image that reached the grid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from terrain_seg_ros.core.ground.measurement import GroundMeasurement
from terrain_seg_ros.core.hazard_rule import HazardRule
from terrain_seg_ros.core.image.images_to_masks import SegmentStep
from terrain_seg_ros.core.pipeline import FuseStep, Pipeline
from terrain_seg_ros.core.types import F32, Reason
from terrain_seg_ros.messages.cloud_message import Cloud, encode_hazard_points, encode_points
from terrain_seg_ros.messages.header_message import make_header
from terrain_seg_ros.messages.message_types import Types
from terrain_seg_ros.messages.topic_spec import Group
from terrain_seg_ros.parameters.node_settings import NodeSettings
from terrain_seg_ros.runtime.frame import Frame, View
from terrain_seg_ros.runtime.outboxes.encoders import encodes
from terrain_seg_ros.runtime.outboxes.image_outbox import encode_pixels
from terrain_seg_ros.runtime.outboxes.outgoing import Outgoing
from terrain_seg_ros.runtime.outboxes.outputs import Outputs
from terrain_seg_ros.runtime.vehicle_pose import VehiclePose


@dataclass(frozen=True)
class CloudLimits:
    """Every n-th row and column becomes a point; hazards are lifted into these heights."""

    decimation: int
    min_height_m: float
    max_height_m: float


@dataclass
class CloudProduct:
    """An image whose pixels were located."""

    pipeline: Pipeline
    frame: Frame
    view: View
    pose: VehiclePose
    fused: FuseStep
    measured: GroundMeasurement | None
    limits: CloudLimits

    @property
    def every(self) -> tuple[slice, slice]:
        """Return the rows and columns that become points."""
        return (slice(None, None, self.limits.decimation),) * 2

    @cached_property
    def points_optical(self) -> F32:
        """Return the ground point of every pixel (H, W, 3) in the optical frame.

        Raises:
            GeometryError: camera, image and transforms contradict each other.
        """
        return self.pipeline.points_optical(
            self.view.step,
            self.view.camera,
            height_px=self.view.image.height_px,
            width_px=self.view.image.width_px,
            grid_T_camera=self.pose.grid_T_camera,
            grid_T_base=self.pose.grid_T_base,
            measured=self.measured,
        )


class CloudOutbox:
    """Encode clouds; only those that have a subscriber are computed."""

    def __init__(self, outputs: Outputs, parameters: NodeSettings) -> None:
        """Take heights and decimation from the parameters."""
        self._outputs = outputs
        self.set_parameters(parameters)

    def set_parameters(self, parameters: NodeSettings) -> None:
        """Take what may change while running."""
        self._limits = CloudLimits(
            parameters.output.points_decimation,
            parameters.output.hazard_points_min_height_m,
            parameters.output.hazard_points_max_height_m,
        )

    def clouds(
        self,
        pipeline: Pipeline,
        frame: Frame,
        view: View,
        *,
        pose: VehiclePose,
        fused: FuseStep,
        measured: GroundMeasurement | None,
    ) -> list[Outgoing]:
        """Return the clouds of an image that reached the grid.

        Raises:
            GeometryError: camera, image and transforms contradict each other.
            MessageError: a cloud cannot be encoded.
        """
        product = CloudProduct(pipeline, frame, view, pose, fused, measured, self._limits)
        return self._outputs.encode(Group.CLOUD, product, camera=frame.camera)


@encodes("points")
def _points(types: Types, product: CloudProduct) -> Any:
    segmentation = product.view.step.segmentation
    return encode_points(
        types,
        product.points_optical[product.every],
        segmentation.mask[product.every],
        confidence=segmentation.confidence[product.every],
        header=product.frame.message.header,
    )


@encodes("points_mask")
def _points_mask(types: Types, product: CloudProduct) -> Any:
    mask = product.view.step.segmentation.mask[product.every]
    return encode_pixels(types, mask, product.frame.message.header)


@encodes("points_confidence")
def _points_confidence(types: Types, product: CloudProduct) -> Any:
    confidence = product.view.step.segmentation.confidence[product.every]
    return encode_pixels(types, confidence, product.frame.message.header)


@encodes("hazard_points")
def _hazard_points(types: Types, product: CloudProduct) -> Any:
    cloud = hazard_cloud(product.view.step, product.fused, product.pipeline.hazard_rule)
    return encode_hazard_points(
        types,
        cloud,
        make_header(types, product.frame.stamp_ns, product.fused.grid.frame_id),
        min_height_m=product.limits.min_height_m,
        max_height_m=product.limits.max_height_m,
    )


def hazard_cloud(step: SegmentStep, fused: FuseStep, rule: HazardRule) -> Cloud:
    """Return the observed ground points, in the grid's frame, that are hazards.

    Args:
        step: the segmented image.
        fused: where its pixels lie.
        rule: what is a hazard.
    """
    seen = np.flatnonzero(fused.patch.reason == Reason.OBSERVED)
    segmentation, patch = step.segmentation, fused.patch
    classes = segmentation.probabilities_khw.shape[0]
    probabilities = segmentation.probabilities_khw.reshape(classes, -1)[:, seen]
    chosen = seen[rule.is_hazard(probabilities)]
    points_m = np.stack(
        [axis.reshape(-1)[chosen] for axis in (patch.x_m, patch.y_m, patch.z_m)], axis=-1
    )
    return Cloud(
        points_m,
        segmentation.tensor_mask.reshape(-1)[chosen],
        segmentation.tensor_confidence.reshape(-1)[chosen],
    )
