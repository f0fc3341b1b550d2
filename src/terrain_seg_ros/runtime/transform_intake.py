"""Put TF messages into the transform buffer; for callers without tf2."""

from __future__ import annotations

from typing import Any

from terrain_seg_ros.core.errors import TerrainSegError
from terrain_seg_ros.core.transform_buffer import TransformBuffer
from terrain_seg_ros.messages.transform_message import StampedTransform, decode_transforms
from terrain_seg_ros.runtime.health import Health, Refusal


class TransformIntake:
    """Decode and store; what cannot be used is counted, never raised."""

    def __init__(self, buffer: TransformBuffer, health: Health, *, cache_s: float) -> None:
        """Fill a buffer that keeps `cache_s` seconds."""
        self._buffer = buffer
        self._health = health
        self._cache_ns = round(cache_s * 1e9)
        self._newest_ns: int | None = None

    def add(self, message: Any, *, static: bool) -> None:
        """Take a tf2_msgs/TFMessage from `/tf` or `/tf_static`."""
        try:
            for item in decode_transforms(message):
                self._store(item, static=static)
        except TerrainSegError as error:
            self._health.count_refused(Refusal.BAD_TRANSFORM, str(error))

    def forget_moving(self) -> None:
        """Forget moving transforms after a jump in time."""
        self._buffer.clear_moving()
        self._newest_ns = None

    def _store(self, item: StampedTransform, *, static: bool) -> None:
        if not static:
            newest_ns = self._newest_ns
            if newest_ns is not None and item.stamp_ns < newest_ns - self._cache_ns:
                self._buffer.clear_moving()
                newest_ns = None
            self._newest_ns = max(newest_ns or item.stamp_ns, item.stamp_ns)
        self._buffer.set(item.parent, item.child, item.stamp_ns, item.transform, static)
