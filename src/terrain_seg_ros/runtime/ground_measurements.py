"""Keep what measures the ground, and find what was measured with an image."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from threading import Lock
from typing import Any

import numpy as np

from terrain_seg_ros.core.errors import GeometryError, TerrainSegError
from terrain_seg_ros.core.ground_measurement import GroundMeasurement, GroundPoint, GroundResidual
from terrain_seg_ros.messages.depth_message import decode_depth, decode_range
from terrain_seg_ros.messages.header_message import stamp_ns
from terrain_seg_ros.parameters import Parameters
from terrain_seg_ros.runtime.health import Health, Note, Refusal
from terrain_seg_ros.runtime.vehicle_pose import Transforms

KEPT = 32
KEPT_BYTES = 64 * 1024 * 1024
"""Measurements of a camera that wait for their image; a replay reads half a second ahead."""
RESIDUAL = "ground_residual_m"
"""The name of the plane's error in the diagnostics."""


class GroundMeasurements:
    """Hold the newest depth images of each camera, or the newest ranges.

    `put` may come from another thread and does not decode what it keeps.
    """

    def __init__(self, parameters: Parameters, transforms: Transforms, health: Health) -> None:
        """Know nothing yet."""
        self._source = parameters.text("depth.source")
        self._grid_frame = parameters.text("grid_frame")
        self._transforms = transforms
        self._health = health
        self._lock = Lock()
        self._waiting: dict[str, deque[Any]] = {
            camera: deque() for camera in (*parameters.texts("cameras"), "")
        }
        self.set_parameters(parameters)

    def set_parameters(self, parameters: Parameters) -> None:
        """Take what may change while running."""
        self._max_offset_ns = round(parameters.number("depth.max_offset_s") * 1e9)
        self._max_residual_m = parameters.number("depth.max_residual_m")

    def put(self, camera: str, message: Any) -> None:
        """Keep a depth image of a camera, or a range, which belongs to none ("")."""
        waiting = self._waiting.get(camera)
        if waiting is None or self._source == "none":
            return
        with self._lock:
            waiting.append(message)
            while len(waiting) > KEPT or (len(waiting) > 1 and _bytes(waiting) > KEPT_BYTES):
                waiting.popleft()

    def at(self, camera: str, stamp: int) -> GroundMeasurement | None:
        """Return what was measured nearest to a stamp; None if that is too far, or unusable."""
        if self._source == "none":
            return None
        with self._lock:
            waiting = list(self._waiting["" if self._source == "range" else camera])
        apart = [abs(stamp_ns(message.header) - stamp) for message in waiting]
        measured = None
        if apart and min(apart) <= self._max_offset_ns:
            measured = self._usable(waiting[apart.index(min(apart))])
        if measured is None:
            self._health.note(Note.NO_DEPTH)
        return measured

    def judge(self, residual: GroundResidual | None) -> None:
        """Tell how far the plane is off, and warn where that is too much."""
        if residual is None:
            return
        self._health.set_gauge(RESIDUAL, residual.median_m)
        if abs(residual.median_m) > self._max_residual_m:
            self._health.note(Note.OFF_PLANE)

    def _usable(self, message: Any) -> GroundMeasurement | None:
        try:
            return decode_depth(message) if self._source == "image" else self._echo(message)
        except TerrainSegError as error:
            self._health.count_refused(Refusal.BAD_DEPTH, str(error))
            return None

    def _echo(self, message: Any) -> GroundPoint | None:
        reading = decode_range(message)
        if reading.range_m is None:
            return None
        try:
            sensor = self._transforms.lookup(self._grid_frame, reading.frame_id, reading.stamp_ns)
        except GeometryError as error:
            raise GeometryError(f"the range cannot be placed: {error}") from error
        along_x_m = np.array([reading.range_m, 0.0, 0.0])
        return GroundPoint(sensor.rotation @ along_x_m + sensor.translation_m)


def _bytes(messages: Iterable[Any]) -> int:
    return sum(len(getattr(message, "data", ())) for message in messages)
