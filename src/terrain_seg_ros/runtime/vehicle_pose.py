"""Where camera and vehicle were when the image was taken: from TF or a static mounting."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np

from terrain_seg_ros.core.errors import GeometryError, TransformTimeError
from terrain_seg_ros.core.geometry.frames import BODY_R_OPTICAL, rotation_from_rpy
from terrain_seg_ros.core.types import F64, Transform
from terrain_seg_ros.parameters.node_settings import NodeSettings

"""REP-103: a body looks along x with z up, an optical frame along z with y down."""
POLL_S = 0.002
PAUSE_FACTOR = 10.0
PAIR_LIMIT = 1000
JUMP_SLACK_M = 0.5
"""Poses may differ by this much besides speed, by noise of the localisation."""


class Transforms(Protocol):
    """A source of transforms, such as core's TransformBuffer or tf2's buffer."""

    def lookup(self, target: str, source: str, stamp_ns: int) -> Transform:
        """Return target_T_source at the stamp.

        Raises:
            GeometryError: there is none.
        """
        ...


class VehiclePose(NamedTuple):
    """Both poses at one stamp.

    `assumed`: the vehicle is assumed to stand at the grid's origin, as no TF was ever seen.
    `restart`: what is in the grid no longer lies where it says, as TF came after such assumed
    poses, the vehicle is elsewhere after a jump in time, or it `jumped`: it moved faster than it
    can.
    """

    grid_T_camera: Transform  # noqa: N815
    grid_T_base: Transform  # noqa: N815
    assumed: bool = False
    restart: bool = False
    jumped: bool = False


class PoseSource:
    """The poses that an image needs."""

    def __init__(self, transforms: Transforms, parameters: NodeSettings) -> None:
        """Take frames and mounting from the parameters."""
        self._transforms = transforms
        self._grid_frame = parameters.pipeline.grid.frame_id
        self._base_frame = parameters.pipeline.ground.base_frame
        self._base_T_camera = None
        if not parameters.mounting.use_tf:
            self._base_T_camera = static_mounting(parameters)
        self._seen = False
        self._assumed = False
        self._last: tuple[int, F64] | None = None
        self._before_jump_m: F64 | None = None
        self.set_parameters(parameters)

    def set_parameters(self, parameters: NodeSettings) -> None:
        """Take what may change while running."""
        self._max_speed_mps = parameters.transforms.max_speed_mps

    def pose(self, optical_frame: str, stamp_ns: int) -> VehiclePose:
        """Return the poses at a stamp.

        Raises:
            GeometryError: TF does not know them.
        """
        pose = self._pose(optical_frame, stamp_ns)
        place_m = pose.grid_T_base.translation_m
        last, self._last = self._last, (stamp_ns, place_m)
        before_m, self._before_jump_m = self._before_jump_m, None
        if before_m is not None and float(np.linalg.norm(place_m - before_m)) > JUMP_SLACK_M:
            return pose._replace(restart=True)
        if last is None or pose.restart or self._max_speed_mps <= 0.0:
            return pose
        elapsed_s = abs(stamp_ns - last[0]) * 1e-9
        moved_m = float(np.linalg.norm(place_m - last[1]))
        if moved_m <= self._max_speed_mps * elapsed_s + JUMP_SLACK_M:
            return pose
        return pose._replace(restart=True, jumped=True)

    def _pose(self, optical_frame: str, stamp_ns: int) -> VehiclePose:
        if self._base_T_camera is not None:
            return self._mounted(self._base_T_camera, stamp_ns)
        if not optical_frame:
            raise GeometryError(
                "the image's frame_id is empty; name the optical frame, or set mounting.use_tf "
                "to false and give the mounting"
            )
        grid_T_base = self._transforms.lookup(self._grid_frame, self._base_frame, stamp_ns)
        grid_T_camera = self._transforms.lookup(self._grid_frame, optical_frame, stamp_ns)
        return VehiclePose(grid_T_camera, grid_T_base)

    def time_jumped(self) -> None:
        """Start again after a jump in time; the next pose shows whether the vehicle jumped too."""
        self._seen = self._assumed = False
        if self._last is not None:
            self._before_jump_m = self._last[1]
        self._last = None

    def _mounted(self, base_T_camera: Transform, stamp_ns: int) -> VehiclePose:
        grid_T_base = self._vehicle(stamp_ns)
        if grid_T_base is None:
            self._assumed = True
            identity = Transform(np.eye(3), np.zeros(3))
            return VehiclePose(base_T_camera, identity, assumed=True)
        restart, self._assumed = self._assumed, False
        return VehiclePose(grid_T_base @ base_T_camera, grid_T_base, restart=restart)

    def _vehicle(self, stamp_ns: int) -> Transform | None:
        """Return the vehicle's pose, or None where TF never gave one.

        After the first one a missing pose is an error: a moving vehicle must not jump back to the
        origin.
        """
        try:
            grid_T_base = self._transforms.lookup(self._grid_frame, self._base_frame, stamp_ns)
        except GeometryError:
            if self._seen:
                raise
            return None
        self._seen = True
        return grid_T_base


class WaitingTransforms:
    """Wait briefly for transforms that are about to arrive; for live callers.

    TF for an image's stamp often comes some milliseconds after the image. Frames that are not
    connected at all are not waited for, as nobody may publish them. After a wait in vain
    that pair of frames is not waited for again for ten times as long, so that missing TF costs
    a tenth of the time at most.
    """

    def __init__(
        self,
        transforms: Transforms,
        wait_s: float,
        *,
        clock_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Wrap a source of transforms."""
        self._transforms = transforms
        self._wait_s = wait_s
        self._clock_s = clock_s
        self._sleep = sleep
        self._pause_until_s: dict[tuple[str, str], float] = {}

    def lookup(self, target: str, source: str, stamp_ns: int) -> Transform:
        """Return target_T_source at the stamp, at most `wait_s` later.

        Raises:
            GeometryError: there is none by then.
        """
        pair, now_s = (target, source), self._clock_s()
        paused = now_s < self._pause_until_s.get(pair, now_s)
        deadline_s = now_s if paused else now_s + self._wait_s
        while True:
            result = self._attempt(target, source, stamp_ns)
            if isinstance(result, Transform):
                self._pause_until_s.pop(pair, None)
                return result
            if not isinstance(result, TransformTimeError):
                raise result
            if self._clock_s() >= deadline_s:
                break
            self._sleep(POLL_S)
        if not paused and len(self._pause_until_s) < PAIR_LIMIT:
            self._pause_until_s[pair] = self._clock_s() + PAUSE_FACTOR * self._wait_s
        raise result

    def _attempt(self, target: str, source: str, stamp_ns: int) -> Transform | GeometryError:
        try:
            return self._transforms.lookup(target, source, stamp_ns)
        except GeometryError as error:
            return error


def static_mounting(parameters: NodeSettings) -> Transform:
    """Return base_T_optical from the parameters `mounting.*`, which describe the camera's body."""
    camera = parameters.mounting
    rotation = rotation_from_rpy(camera.roll_rad, camera.pitch_rad, camera.yaw_rad)
    translation_m = np.array([camera.x_m, camera.y_m, camera.z_m])
    return Transform(rotation @ BODY_R_OPTICAL, translation_m)
