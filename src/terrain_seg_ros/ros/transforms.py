"""Poses at a stamp from tf2."""

from __future__ import annotations

from typing import Any

import rclpy.duration
import rclpy.time
from rclpy.lifecycle import LifecycleNode

from terrain_seg_ros.core.errors import GeometryError, TerrainSegError, TransformTimeError
from terrain_seg_ros.core.geometry.transform_buffer import transform_from_quaternion
from terrain_seg_ros.core.types import Transform
from terrain_seg_ros.messages.transform_message import decode_transform
from terrain_seg_ros.runtime.health import Health, Refusal


class Tf2Transforms:
    """Look up in tf2's buffer; every method may be called from any thread.

    tf2 drops bad transforms with a line on the console at most. They are counted here, and
    implausibly distant ones do not reach tf2.
    """

    def __init__(self, node: LifecycleNode, health: Health, *, cache_s: float) -> None:
        """Make an empty buffer."""
        import tf2_ros  # noqa: PLC0415  (may be absent)

        self._tf2: Any = tf2_ros
        self._node = node
        self._buffer = tf2_ros.Buffer(cache_time=rclpy.duration.Duration(seconds=cache_s))
        self._listener: Any = None
        self._checked = CheckedBuffer(self._buffer, health)

    def open(self) -> None:
        """Listen to /tf and /tf_static."""
        self._listener = self._tf2.TransformListener(self._checked, self._node, spin_thread=False)

    def close(self) -> None:
        """Stop listening; fixed transforms are kept."""
        if self._listener is not None:
            self._listener.unregister()
            self._listener = None

    def forget_moving(self) -> None:
        """Forget what moves; tf2 keeps fixed transforms when it clears."""
        self._buffer.clear()

    def lookup(self, target: str, source: str, stamp_ns: int) -> Transform:
        """Return target_T_source at the stamp.

        Raises:
            GeometryError: the frames are not connected.
            TransformTimeError: they are not at the stamp.
        """
        stamp = rclpy.time.Time(nanoseconds=stamp_ns)
        try:
            found = self._buffer.lookup_transform_core(
                target.lstrip("/"), source.lstrip("/"), stamp
            ).transform
        except self._tf2.TransformException as error:
            soon = isinstance(error, self._tf2.ExtrapolationException)
            raise (TransformTimeError if soon else GeometryError)(
                f"no transform from {source!r} to {target!r} at {stamp_ns * 1e-9:.3f} s: {error}"
            ) from error
        q, t = found.rotation, found.translation
        return transform_from_quaternion(q.x, q.y, q.z, q.w, (t.x, t.y, t.z))


class CheckedBuffer:
    """Fill tf2's buffer; transforms that cannot be used are counted by name and left out."""

    def __init__(self, buffer: Any, health: Health) -> None:
        """Fill a tf2 buffer."""
        self._buffer = buffer
        self._health = health

    def set_transform(self, transform: Any, authority: str) -> None:
        """Take a moving transform, as tf2's listener gives it."""
        if self._is_good(transform):
            self._buffer.set_transform(transform, authority)

    def set_transform_static(self, transform: Any, authority: str) -> None:
        """Take a fixed one."""
        if self._is_good(transform):
            self._buffer.set_transform_static(transform, authority)

    def _is_good(self, transform: Any) -> bool:
        try:
            decode_transform(transform)
        except TerrainSegError as error:
            self._health.count_refused(Refusal.BAD_TRANSFORM, str(error))
            return False
        return True
