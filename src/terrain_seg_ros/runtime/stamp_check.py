"""Check the stamps of images: order, age and rate, per camera."""

from __future__ import annotations

from enum import Enum

from terrain_seg_ros.parameters.node_settings import NodeSettings
from terrain_seg_ros.runtime.health import Refusal, RefusedError
from terrain_seg_ros.runtime.time_line import Place, TimeLine

REORDER_NS = 100_000_000
"""Best-effort transport may swap neighbours."""
RATE_TOLERANCE = 0.1
"""A camera's own jitter must not halve its rate: this share of the period may be missing."""
EXPECTED_FOR = 30
"""After this many images on the old line a jump is no longer expected."""


class StampVerdict(Enum):
    """What to do with an image."""

    TAKE = "take"
    TAKE_WITHOUT_LAST = "take, as the last one was stamped wrongly"
    TAKE_AFTER_JUMP = "take, after clearing what came before"
    TOO_SOON = "drop, as the rate is limited"


class StampCheck:
    """Follow the stamps of each camera."""

    def __init__(self, parameters: NodeSettings) -> None:
        """Start without stamps."""
        self._lines: dict[str, TimeLine] = {}
        self._expected = 0
        self.set_limits(parameters)

    def set_limits(self, parameters: NodeSettings) -> None:
        """Take the limits from the parameters."""
        self._max_future_ns = round(parameters.time.max_future_s * 1e9)
        self._max_age_ns = round(parameters.time.max_age_s * 1e9)
        rates_hz = parameters.input.max_rate_hz_by_camera
        self._periods_ns = {
            camera: round((1.0 - RATE_TOLERANCE) * 1e9 / rate_hz)
            for camera, rate_hz in rates_hz.items()
            if rate_hz
        }

    def expect_jump(self) -> None:
        """Accept the next image that lies back in time: the clock or TF has jumped already."""
        self._expected = EXPECTED_FOR

    def check(
        self, camera: str, stamp_ns: int, *, now_ns: int | None, moment_ns: int | None = None
    ) -> StampVerdict:
        """Return what to do with an image; a zero stamp is taken as it is.

        Args:
            camera: its name.
            stamp_ns: the image's stamp.
            now_ns: the time of the clock that stamps are made with; None where there is none.
            moment_ns: when it came, by a clock that never jumps; None if unknown.

        Raises:
            RefusedError: the stamp is too far from the clock, repeated, out of order or alone.
        """
        if stamp_ns == 0:
            return StampVerdict.TAKE
        if now_ns is not None:
            self._check_clock(stamp_ns, now_ns)
        line = self._lines.setdefault(camera, TimeLine(REORDER_NS))
        newest_ns = line.newest_ns
        period_ns = self._periods_ns.get(camera, 0)
        if newest_ns is not None and 0 < stamp_ns - newest_ns < period_ns:
            return StampVerdict.TOO_SOON
        place = line.classify(stamp_ns, moment_ns=moment_ns, expect_jump=self._expected > 0)
        if place is Place.JUMPED:
            self._lines = {camera: line}
            self._expected = 0
            return StampVerdict.TAKE_AFTER_JUMP
        if place in {Place.NEXT, Place.NEXT_WITHOUT_LAST}:
            self._expected = max(0, self._expected - 1)
            wrong = place is Place.NEXT_WITHOUT_LAST
            return StampVerdict.TAKE_WITHOUT_LAST if wrong else StampVerdict.TAKE
        raise _odd(camera, stamp_ns - (newest_ns or 0), place)

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


def _odd(camera: str, apart_ns: int, place: Place) -> RefusedError:
    if place is Place.ODD_AHEAD:
        return RefusedError(
            Refusal.OUT_OF_ORDER,
            f"image of {camera!r} is stamped {apart_ns * 1e-9:.3f} s after the last one, much more "
            "than they usually lie apart; it is treated as a wrong stamp unless the next one "
            "agrees with it: check the camera's clock, and that one node publishes this topic",
        )
    return RefusedError(
        Refusal.OUT_OF_ORDER,
        f"image of {camera!r} is stamped {-apart_ns * 1e-9:.3f} s before the last one, "
        "expected a later stamp; check that one node publishes this topic",
    )
