"""Hold the newest item per key: a newer one replaces the waiting one, nothing queues."""

from __future__ import annotations

from threading import Condition
from typing import Generic, TypeVar

Item = TypeVar("Item")


class LatestSlot(Generic[Item]):
    """A slot that hands items from many threads to one; at most one item per key waits.

    Keys take turns (start-time fair queueing; Goyal et al., 1996), so that a fast camera cannot
    starve a slow one; among equals the one that has waited longest is first. Every method may be
    called from any thread.
    """

    def __init__(self) -> None:
        """Make an empty, open slot."""
        self._begins: dict[str, float] = {}
        self._ends: dict[str, float] = {}
        self._now = 0.0
        self._waiting: dict[str, Item] = {}
        self._closed = False
        self._changed = Condition()

    def put(self, key: str, item: Item) -> bool:
        """Store an item; return whether it replaced one that was waiting.

        After `close` the item is discarded, as nobody will take it.
        """
        with self._changed:
            if self._closed:
                return False
            replaced = key in self._waiting
            if not replaced:
                self._begins[key] = max(self._now, self._ends.get(key, 0.0))
            self._waiting[key] = item
            self._changed.notify()
            return replaced

    def take(self, timeout_s: float) -> tuple[str, Item] | None:
        """Return key and item that have waited longest, or None after the timeout or `close`."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed, timeout_s)
            if self._closed or not self._waiting:
                return None
            return self._pop()

    def take_waiting(self, limit: int) -> list[tuple[str, Item]]:
        """Return up to `limit` waiting keys and items, the next in turn first."""
        with self._changed:
            return [self._pop() for _ in range(min(limit, len(self._waiting)))]

    def clear(self) -> int:
        """Discard what waits; return how many items that were."""
        with self._changed:
            count = len(self._waiting)
            self._waiting.clear()
            return count

    def close(self) -> None:
        """Discard what waits and wake the thread in `take`."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        """Return whether `close` was called."""
        return self._closed

    def __len__(self) -> int:
        """Return the number of items that wait."""
        return len(self._waiting)

    def _pop(self) -> tuple[str, Item]:
        key = min(self._waiting, key=lambda item: self._begins[item])
        self._now = self._begins[key]
        self._ends[key] = self._now + 1.0
        return key, self._waiting.pop(key)
