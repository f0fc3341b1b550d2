"""Hold messages back a little, so that transforms recorded after an image are known."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

from terrain_seg_ros.bag.plan import Input
from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.messages.header_message import stamp_ns
from terrain_seg_ros.runtime.time_line import Place, TimeLine

JUMP_NS = 500_000_000
"""Neighbours may be recorded swapped; a stamp further back is a jump in time."""
SAME_JUMP_NS = 1_000_000_000
"""Images and transforms that jump within this time of recording do so together."""
NAME_LIMIT = 2000
"""Limit on watched cameras and frames, as a publisher may invent names."""


class DelayedMessage(NamedTuple):
    """A message of one of the inputs, as recorded at `log_ns`."""

    source: Input
    log_ns: int
    message: Any
    size_bytes: int


class LookAhead:
    """A queue that lets messages out `span_ns` after they were recorded, in order.

    It lets them out earlier where they would take more than `limit_bytes` together.
    """

    def __init__(self, span_ns: int, limit_bytes: int) -> None:
        """Make an empty queue."""
        self._span_ns = span_ns
        self._limit_bytes = limit_bytes
        self._size_bytes = 0
        self._items: deque[DelayedMessage] = deque()

    def put(self, item: DelayedMessage) -> None:
        """Take a message in."""
        self._items.append(item)
        self._size_bytes += item.size_bytes

    def due(self, now_ns: int) -> Iterator[DelayedMessage]:
        """Yield what is due at a time of recording."""
        while self._items and (
            self._items[0].log_ns <= now_ns - self._span_ns or self._size_bytes > self._limit_bytes
        ):
            yield self._pop()

    def before(self, log_ns: int) -> Iterator[DelayedMessage]:
        """Yield what was recorded before a time."""
        while self._items and self._items[0].log_ns < log_ns:
            yield self._pop()

    def all(self) -> Iterator[DelayedMessage]:
        """Yield everything."""
        while self._items:
            yield self._pop()

    def _pop(self) -> DelayedMessage:
        item = self._items.popleft()
        self._size_bytes -= item.size_bytes
        return item


class JumpWatch:
    """Where stamps jump backwards: a looping bag was recorded, or a restarted simulation.

    As in the node, several in a row of one camera or frame must agree. Images and transforms jump
    one after the other; what is held back from before the first of the two must be let out before
    the transforms of that time are forgotten.
    """

    def __init__(self) -> None:
        """Start without stamps."""
        self._lines: dict[tuple[str, str], TimeLine] = {}
        self._since_ns: dict[tuple[str, str], int] = {}
        self._last_jump_ns: int | None = None

    def image(self, camera: str, message: Any, log_ns: int) -> int | None:
        """Return when the jump that this image confirms was recorded, None for no jump."""
        return self._seen(("image", camera), message.header, log_ns)

    def transforms(self, message: Any, log_ns: int) -> int | None:
        """Return when the jump that these transforms confirm was recorded, None for no jump."""
        seen = [
            self._seen(("tf", item.child_frame_id), item.header, log_ns)
            for item in message.transforms
        ]
        return next((item for item in seen if item is not None), None)

    def _seen(self, source: tuple[str, str], header: Any, log_ns: int) -> int | None:
        try:
            stamp = stamp_ns(header)
        except MessageError:
            return None
        line = self._lines.get(source)
        if line is None:
            if len(self._lines) >= NAME_LIMIT:
                return None
            line = self._lines[source] = TimeLine(JUMP_NS)
        place = line.classify(stamp)
        if place is Place.ODD_BEHIND:
            self._since_ns.setdefault(source, log_ns)
            return None
        since_ns = self._since_ns.pop(source, log_ns)
        if place is not Place.JUMPED or self._is_known(since_ns):
            return None
        self._last_jump_ns = since_ns
        return since_ns

    def _is_known(self, since_ns: int) -> bool:
        """Return whether another source jumped at about this time."""
        return self._last_jump_ns is not None and abs(since_ns - self._last_jump_ns) < SAME_JUMP_NS
