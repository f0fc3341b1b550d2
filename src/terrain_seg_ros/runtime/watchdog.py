"""Notice that no good image came for too long."""

from __future__ import annotations

from threading import Lock


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
        """Say whether staleness was reported and no good image came since."""
        return self._stale

    def age_s(self, now_s: float) -> float:
        """Return the time since the last good image, or since the start."""
        with self._lock:
            return now_s - self._last_good_s
