"""Distinguish one odd stamp from a jump in time, on which several in a row agree."""

from __future__ import annotations

from collections import deque
from enum import Enum

AGREEING = 3
"""This many consecutive stamps off the line, in order, are a jump backwards."""
GAPS = 8
"""Number of gaps between stamps that are kept; they bound how far the next may lie ahead."""
DELAYS = 64
"""Number of delays that are kept; the shortest is that of the transport alone."""
GAPS_NEEDED = 3
"""With fewer gaps no stamp counts as far ahead."""
GAP_FACTOR = 2
GAP_SLACK_NS = 100_000_000
SHORTEST_AHEAD_NS = 250_000_000
"""A stamp less far ahead of the last one is never odd."""
FIRST_AHEAD_NS = 1_000_000_000
"""A first stamp less far ahead of two that agree was wrong; further, time has jumped."""
AGREEMENT_NS = 2_000_000_000
"""Stamps of one line lie no further apart than this, or than a few of its usual distances."""


class Place(Enum):
    """Where a stamp lies on the line of those before it."""

    NEXT = "after the last one"
    NEXT_WITHOUT_LAST = "after the one before the last, which was the odd one"
    LATE = "a little before the last one"
    ODD_BEHIND = "far before the last one, and alone with it"
    ODD_AHEAD = "far after the last one, and alone with it"
    JUMPED = "on another line, which several in a row agree on"


class TimeLine:
    """Follow the stamps of one source.

    A stamp far behind or far ahead of the others is odd, and the line stays. A second one ahead in
    a row means that there was only a pause; a third one behind, that time jumped back. A first
    stamp ahead is accepted, as there is nothing to compare it with; it is dropped again when the
    next stamp continues the line before it.
    """

    def __init__(self, slack_ns: int) -> None:
        """Start without stamps; `slack_ns` is how far the transport may swap neighbours."""
        self._slack_ns = slack_ns
        self._newest_ns: int | None = None
        self._before_ns: int | None = None
        self._gaps_ns: deque[int] = deque(maxlen=GAPS)
        self._behind_ns: list[int] = []
        self._ahead_ns: int | None = None
        self._delays_ns: deque[int] = deque(maxlen=DELAYS)

    @property
    def newest_ns(self) -> int | None:
        """Return the newest stamp on the line, None before the first."""
        return self._newest_ns

    def classify(
        self, stamp_ns: int, *, moment_ns: int | None = None, expect_jump: bool = False
    ) -> Place:
        """Return where a stamp lies; what is NEXT or has JUMPED is on the line from then on.

        Args:
            stamp_ns: the stamp.
            moment_ns: when it came, by a clock that never jumps. A stamp far ahead that came no
                sooner after its time than the others did is an ordinary one. None if
                unknown.
            expect_jump: something else shows already that time jumped: one stamp is enough.
        """
        newest_ns = self._newest_ns
        if newest_ns is None:
            self._newest_ns = stamp_ns
            self._note_delay(stamp_ns, moment_ns)
            return Place.NEXT
        if stamp_ns > newest_ns:
            return self._forward(stamp_ns, newest_ns, moment_ns)
        if newest_ns - stamp_ns <= self._slack_ns and not self._agrees(stamp_ns):
            return Place.LATE
        return self._backward(stamp_ns, newest_ns, moment_ns, expect_jump=expect_jump)

    def _backward(
        self, stamp_ns: int, newest_ns: int, moment_ns: int | None, *, expect_jump: bool
    ) -> Place:
        if expect_jump:
            return self._jump(stamp_ns, moment_ns)
        if self._continues_without_newest(stamp_ns, newest_ns):
            for wrong in (self._gaps_ns, self._delays_ns):
                if wrong:
                    wrong.pop()
            self._newest_ns = stamp_ns
            self._note_delay(stamp_ns, moment_ns)
            self._behind_ns, self._ahead_ns = [], None
            return Place.NEXT_WITHOUT_LAST
        agrees = self._agrees(stamp_ns)
        self._behind_ns = [*self._behind_ns, stamp_ns] if agrees else [stamp_ns]
        if len(self._behind_ns) >= AGREEING:
            return self._jump(stamp_ns, moment_ns)
        return Place.ODD_BEHIND

    def _forward(self, stamp_ns: int, newest_ns: int, moment_ns: int | None) -> Place:
        gap_ns = stamp_ns - newest_ns
        ahead_ns, self._ahead_ns = self._ahead_ns, None
        goes_on = ahead_ns is not None and stamp_ns > ahead_ns
        if self._is_far(gap_ns) and not goes_on and self._is_early(stamp_ns, moment_ns):
            self._ahead_ns = stamp_ns
            return Place.ODD_AHEAD
        self._gaps_ns.append(stamp_ns - ahead_ns if goes_on and ahead_ns is not None else gap_ns)
        self._before_ns, self._newest_ns = newest_ns, stamp_ns
        self._behind_ns = []
        self._note_delay(stamp_ns, moment_ns)
        return Place.NEXT

    def _jump(self, stamp_ns: int, moment_ns: int | None) -> Place:
        self._newest_ns, self._before_ns = stamp_ns, None
        self._behind_ns, self._ahead_ns = [], None
        self._gaps_ns.clear()
        self._delays_ns.clear()
        self._note_delay(stamp_ns, moment_ns)
        return Place.JUMPED

    def _continues_without_newest(self, stamp_ns: int, newest_ns: int) -> bool:
        """Return whether the newest was the odd one.

        It lies far off both this and the one before; or it was the first, and two agree against it.
        """
        before_ns = self._before_ns
        if before_ns is None:
            return self._agrees(stamp_ns) and newest_ns - stamp_ns < FIRST_AHEAD_NS
        return (
            before_ns < stamp_ns and newest_ns - before_ns > self._slack_ns + stamp_ns - before_ns
        )

    def _note_delay(self, stamp_ns: int, moment_ns: int | None) -> None:
        if moment_ns is not None:
            self._delays_ns.append(moment_ns - stamp_ns)

    def _is_early(self, stamp_ns: int, moment_ns: int | None) -> bool:
        """Return whether a stamp came sooner after its time than the others did, or is unknown."""
        if moment_ns is None or not self._delays_ns:
            return True
        return moment_ns - stamp_ns < min(self._delays_ns) - GAP_SLACK_NS

    def _is_far(self, gap_ns: int) -> bool:
        if len(self._gaps_ns) < GAPS_NEEDED:
            return False
        return gap_ns > max(SHORTEST_AHEAD_NS, GAP_FACTOR * max(self._gaps_ns) + GAP_SLACK_NS)

    def _agrees(self, stamp_ns: int) -> bool:
        """Return whether a stamp behind continues those that came behind just before."""
        if not self._behind_ns:
            return False
        furthest_ns = max([AGREEMENT_NS, *(4 * gap_ns for gap_ns in self._gaps_ns)])
        return 0 < stamp_ns - self._behind_ns[-1] <= furthest_ns
