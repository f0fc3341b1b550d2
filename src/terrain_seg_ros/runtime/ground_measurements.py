"""Keep measurements of the ground, and find the one that belongs to an image."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Any

import numpy as np

from terrain_seg_ros.core.errors import GeometryError, TerrainSegError
from terrain_seg_ros.core.ground.measurement import DepthCloud, GroundMeasurement, GroundPoint
from terrain_seg_ros.core.pipeline import FuseStep
from terrain_seg_ros.core.types import Transform
from terrain_seg_ros.messages.cloud_message import decode_sensed_points
from terrain_seg_ros.messages.depth_message import decode_depth, decode_range
from terrain_seg_ros.messages.header_message import stamp_ns
from terrain_seg_ros.parameters.node_settings import NodeSettings
from terrain_seg_ros.runtime.health import Health, Note, Refusal
from terrain_seg_ros.runtime.vehicle_pose import Transforms, VehiclePose

KEPT = 32
KEPT_BYTES = 64 * 1024 * 1024
"""Limits on the measurements of a camera that wait; a replay reads half a second ahead."""
RESIDUAL = "ground_residual_m"
"""The name of the plane's error in the diagnostics."""
SMALLEST_HAZARD = "smallest_hazard_m"
"""The name of the size of the smallest hazard that the last view resolves."""


class GroundMeasurements:
    """The newest depth images or clouds of each camera, or the newest ranges.

    `put` may come from another thread and does not decode what it keeps.
    """

    def __init__(self, parameters: NodeSettings, transforms: Transforms, health: Health) -> None:
        """Start without measurements."""
        self._source = parameters.depth.source
        self._grid_frame = parameters.pipeline.grid.frame_id
        self._transforms = transforms
        self._health = health
        self._lock = Lock()
        self._waiting: dict[str, deque[Any]] = {
            camera: deque() for camera in (*parameters.input.cameras, "")
        }
        self.set_parameters(parameters)

    def set_parameters(self, parameters: NodeSettings) -> None:
        """Take what may change while running."""
        self._max_offset_ns = round(parameters.depth.max_offset_s * 1e9)
        self._max_residual_m = parameters.depth.max_residual_m

    def put(self, camera: str, message: Any) -> None:
        """Keep a depth image or cloud of a camera, or a range, which belongs to none ("")."""
        waiting = self._waiting.get(camera)
        if waiting is None or self._source == "none":
            return
        try:
            stamp_ns(message.header)
        except TerrainSegError as error:
            self._health.count_refused(Refusal.BAD_DEPTH, str(error))
            return
        with self._lock:
            waiting.append(message)
            while len(waiting) > KEPT or (len(waiting) > 1 and _bytes(waiting) > KEPT_BYTES):
                waiting.popleft()

    def at(
        self, camera: str, stamp: int, *, optical_frame: str, pose: VehiclePose
    ) -> GroundMeasurement | None:
        """Return the measurement nearest to a stamp; None if it is too far away or unusable.

        Args:
            camera: whose image it goes with.
            stamp: of the image.
            optical_frame: of the image; a cloud in this frame needs no TF.
            pose: at the image's stamp.
        """
        if self._source == "none":
            return None
        with self._lock:
            waiting = list(self._waiting["" if self._source == "range" else camera])
        apart = [abs(stamp_ns(message.header) - stamp) for message in waiting]
        measured = None
        if apart and min(apart) <= self._max_offset_ns:
            nearest = waiting[apart.index(min(apart))]
            measured = self._usable(nearest, {optical_frame: pose.grid_T_camera})
        if measured is None:
            self._health.note(Note.NO_DEPTH)
        return measured

    def report(self, fused: FuseStep) -> None:
        """Report what the view resolves and the plane's error; warn where that is too large."""
        smallest_m = fused.patch.smallest_hazard_m
        if smallest_m is not None:
            self._health.set_gauge(SMALLEST_HAZARD, smallest_m)
        if fused.residual is None:
            return
        self._health.set_gauge(RESIDUAL, fused.residual.median_m)
        if abs(fused.residual.median_m) > self._max_residual_m:
            self._health.note(Note.OFF_PLANE)

    def _usable(self, message: Any, known: Mapping[str, Transform]) -> GroundMeasurement | None:
        try:
            if self._source == "image":
                return decode_depth(message)
            return self._cloud(message, known) if self._source == "cloud" else self._echo(message)
        except TerrainSegError as error:
            self._health.count_refused(Refusal.BAD_DEPTH, str(error))
            return None

    def _cloud(self, message: Any, known: Mapping[str, Transform]) -> DepthCloud:
        sensed = decode_sensed_points(message)
        place = known.get(sensed.frame_id) or self._place("cloud", sensed.frame_id, sensed.stamp_ns)
        return DepthCloud(sensed.points_m, place, sensed.stamp_ns)

    def _echo(self, message: Any) -> GroundPoint | None:
        reading = decode_range(message)
        if reading.range_m is None:
            return None
        sensor = self._place("range", reading.frame_id, reading.stamp_ns)
        along_x_m = np.array([reading.range_m, 0.0, 0.0])
        return GroundPoint(sensor.rotation @ along_x_m + sensor.translation_m)

    def _place(self, what: str, frame_id: str, stamp: int) -> Transform:
        try:
            return self._transforms.lookup(self._grid_frame, frame_id, stamp)
        except GeometryError as error:
            raise GeometryError(f"the {what} cannot be placed: {error}") from error


def _bytes(messages: Iterable[Any]) -> int:
    return sum(len(getattr(message, "data", ())) for message in messages)
