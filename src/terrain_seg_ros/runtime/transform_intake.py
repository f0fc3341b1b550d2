"""Put TF messages into the transform buffer; for callers without tf2."""

from __future__ import annotations

from typing import Any

from terrain_seg_ros.core.errors import TerrainSegError
from terrain_seg_ros.core.transform_buffer import TransformBuffer
from terrain_seg_ros.messages.transform_message import StampedTransform, decode_transforms
from terrain_seg_ros.runtime.health import Health, Refusal

JUMP_NS = 500_000_000
"""One frame's samples may come swapped by the network; further back is a jump in time."""


class TransformIntake:
    """Decode and store; what cannot be used is counted, never raised.

    A jump backwards in time (a looping bag, a restarted simulation) shows either here or at the
    images first. Whoever sees it first forgets the moving transforms of before; `forget_moving`
    is for the images.
    """

    def __init__(self, buffer: TransformBuffer, health: Health, *, cache_s: float) -> None:
        """Fill a buffer that keeps `cache_s` seconds."""
        self._buffer = buffer
        self._health = health
        self._jump_ns = min(JUMP_NS, round(cache_s * 1e9))
        self._newest_ns: dict[str, int] = {}
        self._jumped = False

    def add(self, message: Any, *, static: bool) -> None:
        """Take a tf2_msgs/TFMessage from `/tf` or `/tf_static`."""
        try:
            for item in decode_transforms(message):
                self._store(item, static=static)
        except TerrainSegError as error:
            self._health.count_refused(Refusal.BAD_TRANSFORM, str(error))

    def forget_moving(self) -> None:
        """Forget moving transforms, as images jumped back; not those that jumped back before."""
        if not self._jumped:
            self._forget()
        self._jumped = False

    def _store(self, item: StampedTransform, *, static: bool) -> None:
        newest_ns = None if static else self._newest_ns.get(item.child)
        if newest_ns is not None and item.stamp_ns < newest_ns - self._jump_ns:
            self._forget()
            self._jumped = True
            newest_ns = None
        self._buffer.set(item.parent, item.child, item.stamp_ns, item.transform, static)
        if not static:
            self._newest_ns[item.child] = max(newest_ns or item.stamp_ns, item.stamp_ns)

    def _forget(self) -> None:
        self._buffer.clear_moving()
        self._newest_ns.clear()
