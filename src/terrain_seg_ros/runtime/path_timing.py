"""Time the bare runtime call against the whole path, on the same request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter_ns

import cv2
import numpy as np

from terrain_seg_ros.core.errors import InferenceError
from terrain_seg_ros.core.geometry.camera import camera_from_field_of_view
from terrain_seg_ros.core.geometry.frames import BODY_R_OPTICAL, rotation_from_rpy
from terrain_seg_ros.core.geometry.transform_buffer import TransformBuffer
from terrain_seg_ros.core.image.image_to_tensor import image_to_tensor
from terrain_seg_ros.core.types import U8, Transform
from terrain_seg_ros.messages.camera_info_message import encode_camera_info
from terrain_seg_ros.messages.cdr import deserialize, message_class, serialize
from terrain_seg_ros.messages.header_message import make_header
from terrain_seg_ros.messages.image_message import encode_image
from terrain_seg_ros.messages.topics import topic
from terrain_seg_ros.runtime.frame_processor import FrameProcessor
from terrain_seg_ros.runtime.outboxes.outgoing import Bus
from terrain_seg_ros.runtime.outboxes.outputs import outgoing_topics
from terrain_seg_ros.runtime.session import Session

MEASURED_TOPICS = ("mask", "confidence", "hazard_grid")
_CAMERA_FRAME = "bench_camera_optical"
_PERIOD_NS = 100_000_000
_STEP_M = 0.1
_HEIGHT_M = 1.9
_PITCH_RAD = 0.4
_FIELD_OF_VIEW_RAD = 0.8
_WARM_UP_ROUNDS = 5


@dataclass(frozen=True)
class PathTiming:
    """Milliseconds per round, of both ways and of each stage."""

    bare_ms: tuple[float, ...]
    end_to_end_ms: tuple[float, ...]
    stage_ms: Mapping[str, float]

    @property
    def overhead_ms(self) -> float:
        """Return the difference of the medians."""
        return float(np.median(self.end_to_end_ms) - np.median(self.bare_ms))

    @property
    def ratio(self) -> float:
        """Return the median of the whole path over that of the bare call."""
        return float(np.median(self.end_to_end_ms) / np.median(self.bare_ms))


def time_path(
    session: Session, pixels: Sequence[U8], *, width_px: int, height_px: int, rounds: int
) -> PathTiming:
    """Time a session on images that a driving rover sees, in turns with the bare call.

    End to end is from the CDR bytes of an rgb8 image to the CDR bytes of mask, confidence and
    grid. Bare is the backend's call on the tensor of the same image. The two take turns and
    change their order every round.

    Args:
        session: what to time; its first camera serves.
        pixels: pictures of any size, grey or RGB, used in turn.
        width_px: of the image on the bus.
        height_px: of the image on the bus.
        rounds: how many times.

    Raises:
        InferenceError: the path refused an image.
    """
    bench = _Bench(session, pixels, width_px=width_px, height_px=height_px)
    for turn in range(_WARM_UP_ROUNDS):
        bench.end_to_end_ms(turn)
        bench.bare_ms(turn)
    bare, whole = [], []
    for turn in range(_WARM_UP_ROUNDS, _WARM_UP_ROUNDS + rounds):
        if turn % 2:
            bare.append(bench.bare_ms(turn))
            whole.append(bench.end_to_end_ms(turn))
        else:
            whole.append(bench.end_to_end_ms(turn))
            bare.append(bench.bare_ms(turn))
    latency = bench.processor.health.snapshot().latency
    stages = {name: value.median_ms for name, value in latency.items()}
    return PathTiming(tuple(bare), tuple(whole), stages)


class _Bench:
    """What both ways need, made before the clock starts."""

    def __init__(
        self, session: Session, pixels: Sequence[U8], *, width_px: int, height_px: int
    ) -> None:
        parameters = session.parameters
        self._backend = session.backend
        self._camera = parameters.input.cameras[0]
        self._base, self._grid = (
            parameters.pipeline.ground.base_frame,
            parameters.pipeline.grid.frame_id,
        )
        self._images = [rgb_image(item, width_px, height_px) for item in pixels]
        self._tensors = [image_to_tensor(item, session.model.card) for item in self._images]
        self._transforms = TransformBuffer(cache_s=10.0)
        self._transforms.set(self._base, _CAMERA_FRAME, 0, _mounting(), static=True)
        self.processor = FrameProcessor(
            session,
            message_class,
            self._transforms,
            bus=Bus(wanted=lambda name: name in MEASURED_TOPICS),
        )
        self._types = {name: spec.type for name, spec in outgoing_topics(parameters).items()}
        camera = camera_from_field_of_view(
            width_px=width_px, height_px=height_px, horizontal_fov_rad=_FIELD_OF_VIEW_RAD
        )
        header = make_header(message_class, 0, _CAMERA_FRAME)
        self.processor.take(
            "camera_info", self._camera, encode_camera_info(message_class, camera, header)
        )

    def bare_ms(self, turn: int) -> float:
        """Return the milliseconds of the backend's call alone."""
        tensor = self._tensors[turn % len(self._tensors)]
        start_ns = perf_counter_ns()
        self._backend(tensor)
        return (perf_counter_ns() - start_ns) / 1e6

    def end_to_end_ms(self, turn: int) -> float:
        """Return the milliseconds from image bytes to output bytes."""
        stamp_ns = (turn + 1) * _PERIOD_NS
        place = Transform(np.eye(3), np.array([turn * _STEP_M, 0.0, 0.0]))
        self._transforms.set(self._grid, self._base, stamp_ns, place, static=False)
        header = make_header(message_class, stamp_ns, _CAMERA_FRAME)
        pixels = self._images[turn % len(self._images)]
        image_type = topic("image").type
        request = bytes(serialize(encode_image(message_class, pixels, "rgb8", header), image_type))
        start_ns = perf_counter_ns()
        outgoing = self.processor.image(self._camera, deserialize(request, image_type))
        sent = [
            name
            for name, message in outgoing
            if name in MEASURED_TOPICS and len(serialize(message, self._types[name]))
        ]
        took_ms = (perf_counter_ns() - start_ns) / 1e6
        if set(MEASURED_TOPICS) - set(sent):
            refused = self.processor.health.snapshot().refused
            raise InferenceError(f"the path gave {sent} instead of {MEASURED_TOPICS}: {refused}")
        return took_ms


def rgb_image(pixels: U8, width_px: int, height_px: int) -> U8:
    """Return a picture, (H, W) or (H, W, 3), as RGB of another size."""
    resized = cv2.resize(pixels, (width_px, height_px), interpolation=cv2.INTER_LINEAR)
    if resized.ndim == 2:
        resized = cv2.cvtColor(resized, cv2.COLOR_GRAY2RGB)
    return np.ascontiguousarray(resized, dtype=np.uint8)


def _mounting() -> Transform:
    """Return base_T_camera of an optical frame that looks ahead and down."""
    rotation = rotation_from_rpy(0.0, _PITCH_RAD, 0.0) @ BODY_R_OPTICAL
    return Transform(rotation, np.array([0.0, 0.0, _HEIGHT_M]))
