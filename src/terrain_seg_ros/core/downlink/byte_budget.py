"""How many bytes may be sent now: a token bucket."""

from __future__ import annotations

BURST_SHARE = 1.0 / 6.0
"""The share of a minute's bytes that may be sent at once; the rest is spread over the minute."""


class ByteBudget:
    """A token bucket that starts empty; in any 60 s at most `bytes_per_min` are spent.

    The bucket holds a sixth of the budget and gains five sixths a minute, so that a full bucket and
    all that flows in during a minute are the budget.
    """

    def __init__(self, bytes_per_min: int) -> None:
        """Start with nothing to spend."""
        self.burst_bytes = bytes_per_min * BURST_SHARE
        self._gain_per_s = bytes_per_min * (1.0 - BURST_SHARE) / 60.0
        self._tokens = 0.0
        self._last_s: float | None = None

    def available(self, now_s: float) -> int:
        """Return how many bytes may be spent now, by a clock that never jumps."""
        if self._last_s is not None:
            gained = max(0.0, now_s - self._last_s) * self._gain_per_s
            self._tokens = min(self.burst_bytes, self._tokens + gained)
        self._last_s = now_s
        return int(self._tokens)

    def spend(self, count: int) -> None:
        """Take bytes that were available."""
        self._tokens -= count
