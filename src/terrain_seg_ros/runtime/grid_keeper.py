"""Withdraw the grid and the landing sites: nothing is seen any more, or the node stops."""

from __future__ import annotations

from threading import Lock

from terrain_seg_ros.core.pipeline import Pipeline
from terrain_seg_ros.core.types import Reason
from terrain_seg_ros.messages.header_message import LATEST_NS
from terrain_seg_ros.runtime.frame_intake import FrameIntake
from terrain_seg_ros.runtime.last_resort import LastResort
from terrain_seg_ros.runtime.outboxes.outboxes import Outboxes
from terrain_seg_ros.runtime.outboxes.outgoing import Outgoing


class Watchdog:
    """Report staleness once, and again only after a good image in between.

    Times are seconds of any clock that never jumps. Every method may be called from any thread.
    """

    def __init__(self, stale_after_s: float, *, now_s: float) -> None:
        """Start waiting now; `stale_after_s` of 0 never reports."""
        self._stale_after_s = stale_after_s
        self._last_good_s = now_s
        self._stale = False
        self._lock = Lock()

    def good(self, now_s: float) -> None:
        """Note a good image."""
        with self._lock:
            self._last_good_s = now_s
            self._stale = False

    def turned_stale(self, now_s: float) -> bool:
        """Return True the first time that the last good image is too old."""
        with self._lock:
            late = now_s - self._last_good_s > self._stale_after_s > 0.0
            turned = late and not self._stale
            self._stale = self._stale or turned
            return turned

    def set_limit(self, stale_after_s: float) -> None:
        """Change the limit; 0 never reports."""
        with self._lock:
            self._stale_after_s = stale_after_s

    @property
    def stale(self) -> bool:
        """Return whether staleness was reported and no good image came since."""
        return self._stale

    def age_s(self, now_s: float) -> float:
        """Return the time since the last good image, or since the start."""
        with self._lock:
            return now_s - self._last_good_s


class GridKeeper:
    """Withdraw the grid, or forget it; messages are made even where the pipeline is broken.

    The caller holds the lock of the pipeline, except where a method says otherwise.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        outboxes: Outboxes,
        *,
        intake: FrameIntake,
        watchdog: Watchdog,
        resort: LastResort,
    ) -> None:
        """Keep the grid of a pipeline.

        Args:
            pipeline: holds the grid.
            outboxes: encode it.
            intake: tells the time.
            watchdog: tells when no image has reached the grid for too long.
            resort: takes unexpected errors.
        """
        self._pipeline = pipeline
        self._outboxes = outboxes
        self._intake = intake
        self._watchdog = watchdog
        self._resort = resort
        self.lacks_pose = False
        """Whether the last image was refused for want of a transform."""

    def stamp_ns(self) -> int:
        """Return the clock's time; as long as it does not run, the last image's stamp."""
        return self._intake.now_ns() or self._intake.last_stamp_ns

    def withdraw_stale(self, now_s: float) -> list[Outgoing]:
        """Return the grid as unknown after too long without an image; `now_s` never jumps."""
        reason = Reason.NO_TRANSFORM if self.lacks_pose else Reason.STALE
        stamp = self._intake.now_ns()
        if not self._intake.has_clock:
            stamp = self._intake.last_stamp_ns + round(self._watchdog.age_s(now_s) * 1e9)
        return self.withdraw(reason, stamp)

    def withdraw(self, reason: Reason, stamp_ns: int) -> list[Outgoing]:
        """Forget all but the hazards that are kept; return the grid, without landing sites.

        A stamp later than ROS can express becomes the latest one, so that the grid goes out.
        """
        stamp_ns = min(stamp_ns, LATEST_NS)
        outgoing: list[Outgoing] = []
        with self._resort.around("forgetting the grid") as attempt:
            snapshot = self._pipeline.mark_unobserved(reason, stamp_ns)
            outgoing += self._outboxes.grids.withdrawn(snapshot, self._pipeline)
        if attempt.failed:
            return self.withdraw_without_pipeline(reason, stamp_ns)
        return outgoing + self._without_sites(stamp_ns)

    def withdraw_without_pipeline(self, reason: Reason, stamp_ns: int) -> list[Outgoing]:
        """Return the same from the last grid, as the pipeline may be stuck; needs no lock."""
        stamp_ns = min(stamp_ns, LATEST_NS)
        outgoing: list[Outgoing] = []
        with self._resort.around("taking the last grid back"):
            outgoing += self._outboxes.grids.withdrawn_without_pipeline(reason, stamp_ns)
        return outgoing + self._without_sites(stamp_ns)

    def forget(self) -> list[Outgoing]:
        """Forget all evidence, hazards too; return the empty grid."""
        stamp = self.stamp_ns()
        self._outboxes.grids.expect_whole()
        snapshot = self._pipeline.mark_unobserved(Reason.OUTSIDE_VIEW, stamp)
        grids = self._outboxes.grids.grids(snapshot, self._pipeline)
        return grids + self._outboxes.landing.withdrawn(stamp)

    def _without_sites(self, stamp_ns: int) -> list[Outgoing]:
        with self._resort.around("forgetting landing sites"):
            return self._outboxes.landing.withdrawn(stamp_ns)
        return []
