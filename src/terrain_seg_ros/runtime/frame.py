"""One image on its way through the node."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, NamedTuple

from terrain_seg_ros.core.errors import TerrainSegError
from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.image.images_to_masks import SegmentStep
from terrain_seg_ros.core.types import CameraImage
from terrain_seg_ros.runtime.health import Refusal, RefusedError
from terrain_seg_ros.runtime.outboxes.outgoing import Outgoing


class View(NamedTuple):
    """An image, what the network gives for it, and the camera that took it."""

    image: CameraImage
    step: SegmentStep
    camera: CameraModel


@dataclass
class Frame:
    """What is known of an image so far.

    `jumped`: its stamp is the first after a jump backwards. `rewound`: the stamp before it was
    wrong, too late. `image` is there once the message is accepted and decoded, `step` once the
    network has run.
    """

    camera: str
    message: Any
    started_s: float
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

    @contextmanager
    def stage(self, name: str, *, refuse: Refusal) -> Iterator[None]:
        """Time a stage, and name the reason under which its errors are counted.

        Raises:
            RefusedError: an expected error ended the stage.
        """
        start = perf_counter()
        with refusing(refuse):
            yield
        self.stage_ms[name] = (perf_counter() - start) * 1e3


@contextmanager
def refusing(reason: Refusal) -> Iterator[None]:
    """Name the reason under which expected errors are counted; those that have one keep it.

    Raises:
        RefusedError: there was an expected error.
    """
    try:
        yield
    except RefusedError:
        raise
    except TerrainSegError as error:
        raise RefusedError(reason, str(error)) from error
