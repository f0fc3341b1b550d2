"""Hold messages back a little, so that transforms recorded after an image are known."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

from terrain_seg_ros.bag.plan import Input
from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.messages.header_message import stamp_ns

JUMP_NS = 500_000_000
"""Neighbours may be recorded swapped; a stamp further back is a jump in time."""
NAME_LIMIT = 2000
"""Cameras and frames that are watched; more are a publisher that invents names."""


class Held(NamedTuple):
    """Hold a message of one of the inputs, as recorded at `log_ns`."""

    source: Input
    log_ns: int
    message: Any
    size_bytes: int


class LookAhead:
    """Be a queue that lets messages out `span_ns` after they were recorded, in order.

    It lets them out earlier where they would take more than `limit_bytes` together.
    """

    def __init__(self, span_ns: int, limit_bytes: int) -> None:
        """Make an empty queue."""
        self._span_ns = span_ns
        self._limit_bytes = limit_bytes
        self._size_bytes = 0
        self._items: deque[Held] = deque()

    def put(self, item: Held) -> None:
        """Take a message in."""
        self._items.append(item)
        self._size_bytes += item.size_bytes

    def due(self, now_ns: int) -> Iterator[Held]:
        """Yield what is let out at a time of recording."""
        while self._items and (
            self._items[0].log_ns <= now_ns - self._span_ns or self._size_bytes > self._limit_bytes
        ):
            yield self._pop()

    def all(self) -> Iterator[Held]:
        """Yield everything."""
        while self._items:
            yield self._pop()

    def _pop(self) -> Held:
        item = self._items.popleft()
        self._size_bytes -= item.size_bytes
        return item


class JumpWatch:
    """Say when stamps jump backwards: a looping bag was recorded, or a restarted simulation.

    Images and transforms jump one after the other. What is held back belongs to the time before
    the first of the two jumps, so it must be let out then, and not at the second.
    """

    def __init__(self) -> None:
        """Know no stamp."""
        self._newest_ns: dict[tuple[str, str], int] = {}
        self._jumped: str | None = None

    def image(self, camera: str, message: Any) -> bool:
        """Return whether an image is the first one after a jump."""
        return self._seen("image", camera, message.header)

    def transforms(self, message: Any) -> bool:
        """Return whether moving transforms are the first messages after a jump."""
        first = [self._seen("tf", item.child_frame_id, item.header) for item in message.transforms]
        return any(first)

    def _seen(self, kind: str, name: str, header: Any) -> bool:
        try:
            stamp = stamp_ns(header)
        except MessageError:
            return False
        newest_ns = self._newest_ns.get((kind, name))
        if newest_ns is None or stamp >= newest_ns - JUMP_NS:
            if newest_ns is not None or len(self._newest_ns) < NAME_LIMIT:
                self._newest_ns[kind, name] = max(stamp, newest_ns or stamp)
            return False
        self._newest_ns = {key: ns for key, ns in self._newest_ns.items() if key[0] != kind}
        self._newest_ns[kind, name] = stamp
        is_first = self._jumped in (None, kind)
        self._jumped = kind if is_first else None
        return is_first
