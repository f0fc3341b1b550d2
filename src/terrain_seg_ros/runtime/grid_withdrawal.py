"""Withdraw the grid and the landing sites: nothing is seen any more, or the node stops."""

from __future__ import annotations

from threading import Lock
from typing import NamedTuple

from terrain_seg_ros.core.pipeline import Pipeline
from terrain_seg_ros.core.types import Reason
from terrain_seg_ros.messages.header_message import LATEST_NS
from terrain_seg_ros.runtime.last_resort import LastResort
from terrain_seg_ros.runtime.outboxes.outboxes import Outboxes
from terrain_seg_ros.runtime.outboxes.outgoing import Outgoing


class GridWithdrawal(NamedTuple):
    """Make the messages; they are made even where the pipeline is broken."""

    pipeline: Pipeline
    outboxes: Outboxes
    resort: LastResort

    def withdraw(self, reason: Reason, stamp_ns: int) -> list[Outgoing]:
        """Forget all but the hazards that are kept; return the grid, without landing sites.

        A stamp later than ROS can express becomes the latest one, so that the grid goes out.
        """
        stamp_ns = min(stamp_ns, LATEST_NS)
        outgoing: list[Outgoing] = []
        with self.resort.around("forgetting the grid") as attempt:
            snapshot = self.pipeline.mark_unobserved(reason, stamp_ns)
            outgoing += self.outboxes.grids.withdrawn(snapshot, self.pipeline)
        if attempt.failed:
            return self.withdraw_without_pipeline(reason, stamp_ns)
        return outgoing + self._without_sites(stamp_ns)

    def withdraw_without_pipeline(self, reason: Reason, stamp_ns: int) -> list[Outgoing]:
        """Return the same from the last grid, as the pipeline may be stuck."""
        stamp_ns = min(stamp_ns, LATEST_NS)
        outgoing: list[Outgoing] = []
        with self.resort.around("taking the last grid back"):
            outgoing += self.outboxes.grids.withdrawn_without_pipeline(reason, stamp_ns)
        return outgoing + self._without_sites(stamp_ns)

    def _without_sites(self, stamp_ns: int) -> list[Outgoing]:
        with self.resort.around("forgetting landing sites"):
            return self.outboxes.landing.withdrawn(stamp_ns)
        return []


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
