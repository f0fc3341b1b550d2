"""One image on its way through the node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, NamedTuple, TypeVar

import numpy as np

from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.hazard_rule import HazardRule
from terrain_seg_ros.core.image.images_to_masks import SegmentStep
from terrain_seg_ros.core.pipeline import FuseStep
from terrain_seg_ros.core.types import CameraImage, Reason
from terrain_seg_ros.messages.cloud_message import Cloud
from terrain_seg_ros.runtime.health import Refusal
from terrain_seg_ros.runtime.outboxes.image_outbox import Outgoing

Result = TypeVar("Result")


class View(NamedTuple):
    """Hold an image, what the network says of it, and the camera that took it."""

    image: CameraImage
    step: SegmentStep
    camera: CameraModel


@dataclass
class Frame:
    """Hold what is known so far; `refusal` is the reason to give if the present stage fails.

    `jumped` says that its stamp is the first after a jump backwards, `rewound` that the stamp
    before it was wrong, too late; `image` is there once the message is taken and decoded, `step`
    once the network has run.
    """

    camera: str
    message: Any
    started_s: float
    refusal: Refusal = Refusal.BAD_IMAGE
    stamp_ns: int = 0
    jumped: bool = False
    rewound: bool = False
    image: CameraImage | None = None
    step: SegmentStep | None = None
    stage_ms: dict[str, float] = field(default_factory=dict)
    outgoing: list[Outgoing] = field(default_factory=list)
    segmented: bool = False
    fused: bool = False
    sees_ground: bool = False

    def timed(self, stage: str, work: Callable[[Frame], Result]) -> Result:
        """Return what the work gives for this frame, and note how long it took."""
        start = perf_counter()
        result = work(self)
        self.stage_ms[stage] = (perf_counter() - start) * 1e3
        return result


def hazard_cloud(step: SegmentStep, fused: FuseStep, rule: HazardRule) -> Cloud:
    """Return the observed ground points, in the grid's frame, that are hazards.

    Args:
        step: of the image.
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
