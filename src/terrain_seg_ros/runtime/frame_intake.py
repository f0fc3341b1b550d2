"""The first steps of an image: its camera, its stamp and its pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from terrain_seg_ros.core.image.sample_bits import SampleBits
from terrain_seg_ros.core.types import CameraImage
from terrain_seg_ros.messages.header_message import stamp_ns
from terrain_seg_ros.parameters.node_settings import NodeSettings
from terrain_seg_ros.runtime.frame import Frame, refusing
from terrain_seg_ros.runtime.health import Drop, Health, Note, Refusal, RefusedError
from terrain_seg_ros.runtime.stamp_check import StampCheck, StampVerdict

Decode = Callable[[Any, SampleBits], CameraImage]
"""Decodes an image message; `SampleBits` says how many bits a 16-bit sample of its camera holds."""


class FrameIntake:
    """Take images of known cameras in the order of their stamps, and decode them."""

    def __init__(
        self,
        parameters: NodeSettings,
        health: Health,
        *,
        clock_ns: Callable[[], int] | None,
        clock_s: Callable[[], float],
        decode: Decode,
    ) -> None:
        """Start without images.

        Args:
            parameters: cameras and limits.
            health: counts what is dropped.
            clock_ns: the clock that images are stamped with, None where there is none; 0 as long
                as it does not run.
            clock_s: seconds that never jump, to distinguish a pause from a wrong stamp.
            decode: reads an image message.
        """
        self._cameras = parameters.input.cameras
        self._health = health
        self._clock_ns = clock_ns
        self._clock_s = clock_s
        self._decode = decode
        bits = parameters.input.image_bits
        self._bits = {camera: SampleBits(bits) for camera in self._cameras}
        self._stamps = StampCheck(parameters)
        self._last_stamp_ns = 0

    @property
    def last_stamp_ns(self) -> int:
        """Return the stamp of the last accepted image, 0 before the first."""
        return self._last_stamp_ns

    @property
    def has_clock(self) -> bool:
        """Return whether there is a clock, running or not."""
        return self._clock_ns is not None

    def now_ns(self) -> int:
        """Return the clock's time; where there is none, the last image's stamp."""
        return self._last_stamp_ns if self._clock_ns is None else self._clock_ns()

    def set_limits(self, parameters: NodeSettings) -> None:
        """Take the limits from the parameters."""
        self._stamps.set_limits(parameters)

    def expect_jump(self) -> None:
        """Accept the next image whose stamp lies back in time."""
        self._stamps.expect_jump()

    def check_camera(self, camera: str) -> None:
        """Check that a camera is known.

        Raises:
            RefusedError: it is not.
        """
        if camera not in self._cameras:
            raise RefusedError(
                Refusal.UNKNOWN_CAMERA,
                f"camera {camera!r} is not configured, expected one of {list(self._cameras)}; "
                "add it to the parameter `cameras`",
            )

    def accept(self, frame: Frame) -> None:
        """Set the stamp of a frame and, if it is accepted, its image.

        Raises:
            RefusedError: the camera is unknown, the stamp is refused, or the message cannot be
                decoded.
        """
        self.check_camera(frame.camera)
        with refusing(Refusal.BAD_IMAGE):
            frame.stamp_ns = stamp_ns(frame.message.header)
        now_ns = None if self._clock_ns is None else self._clock_ns() or None
        moment_ns = round(self._clock_s() * 1e9)
        verdict = self._stamps.check(
            frame.camera, frame.stamp_ns, now_ns=now_ns, moment_ns=moment_ns
        )
        if verdict is StampVerdict.TOO_SOON:
            self._health.count_dropped(Drop.RATE_LIMIT)
            return
        if frame.stamp_ns == 0:
            self._health.note(Note.NO_STAMP)
        frame.jumped = verdict is StampVerdict.TAKE_AFTER_JUMP
        frame.rewound = verdict is StampVerdict.TAKE_WITHOUT_LAST
        if frame.rewound:
            self._health.note(Note.ODD_STAMP)
        self._last_stamp_ns = frame.stamp_ns
        bits = self._bits[frame.camera]
        with frame.stage("decode", refuse=Refusal.BAD_IMAGE):
            frame.image = self._decode(frame.message, bits)
        self._health.remark(f"images of {frame.camera}", bits.text)
