"""Poses at a stamp from tf2, or from our own buffer where tf2 is not installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any, Protocol

import rclpy.duration
import rclpy.time
from rclpy.lifecycle import LifecycleNode

from terrain_seg_ros.core.errors import GeometryError, TerrainSegError, TransformTimeError
from terrain_seg_ros.core.geometry.transform_buffer import (
    TransformBuffer,
    transform_from_quaternion,
)
from terrain_seg_ros.core.types import Transform
from terrain_seg_ros.messages.interfaces import topic
from terrain_seg_ros.messages.transform_message import decode_transform
from terrain_seg_ros.ros.message_classes import has_message, message_class
from terrain_seg_ros.ros.quality import quality_of
from terrain_seg_ros.runtime.health import Health, Refusal
from terrain_seg_ros.runtime.transform_intake import TransformIntake


class RosTransforms(Protocol):
    """Listen to TF between `open` and `close` and look transforms up."""

    def open(self) -> None:
        """Listen."""
        ...

    def close(self) -> None:
        """Stop listening."""
        ...

    def forget_moving(self) -> None:
        """Forget what moves, after a jump in time."""
        ...

    def lookup(self, target: str, source: str, stamp_ns: int) -> Transform:
        """Return target_T_source at the stamp.

        Raises:
            GeometryError: there is none.
        """
        ...


def make_transforms(
    node: LifecycleNode,
    health: Health,
    *,
    cache_s: float,
    on_jump: Callable[[], None] = lambda: None,
) -> RosTransforms:
    """Return tf2's buffer where tf2 is installed, else our own; `on_jump` hears of time jumps."""
    if importlib.util.find_spec("tf2_ros") is not None:
        return Tf2Transforms(node, health, cache_s=cache_s)
    node.get_logger().warning(
        "tf2_ros is not installed: transforms come from this package's own buffer"
    )
    return OwnTransforms(node, health, cache_s=cache_s, on_jump=on_jump)


class Tf2Transforms:
    """Look up in tf2's buffer, which may be asked from any thread.

    tf2 leaves bad transforms out with a line on the console at most. They are counted here, and
    those too far to be true do not reach it.
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
    """Stand before tf2's buffer: refuse by name, and count, what cannot be used."""

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


class OwnTransforms:
    """Fill our own buffer from /tf and /tf_static, if at least tf2_msgs is there."""

    def __init__(
        self,
        node: LifecycleNode,
        health: Health,
        *,
        cache_s: float,
        on_jump: Callable[[], None] = lambda: None,
    ) -> None:
        """Make an empty buffer; `on_jump` hears of jumps in time."""
        self._node = node
        self._buffer = TransformBuffer(cache_s)
        self._intake = TransformIntake(self._buffer, health, cache_s=cache_s, on_jump=on_jump)
        self._subscriptions: list[Any] = []

    def open(self) -> None:
        """Listen, where the message type exists."""
        for name in ("/tf", "/tf_static"):
            spec = topic(name)
            if has_message(spec.type):
                subscription = self._node.create_subscription(
                    message_class(spec.type),
                    name,
                    self._moving if name == "/tf" else self._fixed,
                    quality_of(spec),
                )
                self._subscriptions.append(subscription)

    def close(self) -> None:
        """Stop listening."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def forget_moving(self) -> None:
        """Forget what moves."""
        self._intake.forget_moving()

    def lookup(self, target: str, source: str, stamp_ns: int) -> Transform:
        """Return target_T_source at the stamp.

        Raises:
            GeometryError: there is none.
        """
        return self._buffer.lookup(target, source, stamp_ns)

    def _moving(self, message: Any) -> None:
        self._intake.add(message, static=False)

    def _fixed(self, message: Any) -> None:
        self._intake.add(message, static=True)
