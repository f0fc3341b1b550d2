"""Judge the stamps of images: order, age and rate, per camera."""

from __future__ import annotations

from enum import Enum

from terrain_seg_ros.parameters import Parameters
from terrain_seg_ros.runtime.health import Refusal
from terrain_seg_ros.runtime.refused import RefusedError

REORDER_NS = 100_000_000
"""Best-effort transport may swap neighbours; an image older than this is a jump in time."""
RATE_TOLERANCE = 0.1
"""A camera's own jitter must not halve its rate: this share of the period may be missing."""


class StampVerdict(Enum):
    """Say what to do with an image."""

    TAKE = "take"
    TAKE_AFTER_JUMP = "take, after clearing what came before"
    TOO_SOON = "drop, as the rate is limited"


class StampCheck:
    """Remember the newest stamp of each camera."""

    def __init__(self, parameters: Parameters) -> None:
        """Make a check that has seen no image."""
        self._newest_ns: dict[str, int] = {}
        self.set_limits(parameters)

    def set_limits(self, parameters: Parameters) -> None:
        """Take the limits from the parameters."""
        self._max_future_ns = round(parameters.number("time.max_future_s") * 1e9)
        self._max_age_ns = round(parameters.number("time.max_age_s") * 1e9)
        rates_hz = parameters.per_camera("camera_max_rates_hz")
        self._periods_ns = {
            camera: round((1.0 - RATE_TOLERANCE) * 1e9 / rate_hz)
            for camera, rate_hz in rates_hz.items()
            if rate_hz
        }

    def judge(self, camera: str, stamp_ns: int, *, now_ns: int | None) -> StampVerdict:
        """Return what to do with an image; a zero stamp is taken as it is.

        Args:
            camera: its name.
            stamp_ns: the image's stamp.
            now_ns: the time of the clock that stamps are made with; None where there is none.

        Raises:
            RefusedError: the stamp is too far from the clock, repeated or slightly out of order.
        """
        if stamp_ns == 0:
            return StampVerdict.TAKE
        if now_ns is not None:
            self._check_clock(stamp_ns, now_ns)
        newest_ns = self._newest_ns.get(camera)
        behind_ns = 0 if newest_ns is None else newest_ns - stamp_ns
        if behind_ns > REORDER_NS:
            self._newest_ns = {camera: stamp_ns}
            return StampVerdict.TAKE_AFTER_JUMP
        if newest_ns is not None and behind_ns >= 0:
            raise RefusedError(
                Refusal.OUT_OF_ORDER,
                f"image of {camera!r} is stamped {behind_ns * 1e-9:.3f} s before the last one, "
                "expected a later stamp; check that one node publishes this topic",
            )
        if newest_ns is not None and stamp_ns - newest_ns < self._periods_ns.get(camera, 0):
            return StampVerdict.TOO_SOON
        self._newest_ns[camera] = stamp_ns
        return StampVerdict.TAKE

    def _check_clock(self, stamp_ns: int, now_ns: int) -> None:
        ahead_ns = stamp_ns - now_ns
        if 0 < self._max_future_ns < ahead_ns:
            raise RefusedError(
                Refusal.FUTURE,
                f"image is stamped {ahead_ns * 1e-9:.3f} s ahead of the clock, expected at most "
                f"{self._max_future_ns * 1e-9:g} s; synchronise the clocks or raise "
                "time.max_future_s (0 switches the check off)",
            )
        if 0 < self._max_age_ns < -ahead_ns:
            raise RefusedError(
                Refusal.TOO_OLD,
                f"image is stamped {-ahead_ns * 1e-9:.3f} s behind the clock, expected at most "
                f"{self._max_age_ns * 1e-9:g} s; synchronise the clocks or raise "
                "time.max_age_s (0 switches the check off)",
            )
