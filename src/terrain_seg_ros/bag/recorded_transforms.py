"""What the transforms of a bag say, whatever becomes of them in the buffer."""

from __future__ import annotations

from typing import Any

from terrain_seg_ros.messages.cdr import deserialize

MESSAGE_LIMIT = 5000
"""Messages that are looked at; frames are named in the first ones, or never."""
FRAME_LIMIT = 1000
SAME = 1e-6
"""Largest difference, in metres or of a quaternion's parts, of transforms that are the same."""


class RecordedTransforms:
    """Frames that TF messages name, and frames that `/tf_static` places at two places.

    `frames` holds names without a leading slash; `changed` gives by frame what differs.
    """

    def __init__(self) -> None:
        """Start without messages."""
        self.frames: set[str] = set()
        self.changed: dict[str, str] = {}
        self._count = 0
        self._static: dict[str, tuple[str, list[float]]] = {}

    def take(self, data: bytes, message_type: str, *, static: bool) -> None:
        """Take in a tf2_msgs/TFMessage.

        Raises:
            MessageError: it cannot be read.
        """
        self._count += 1
        if self._count > MESSAGE_LIMIT and not static:
            return
        for item in deserialize(data, message_type).transforms:
            parent, child = (
                str(name).lstrip("/") for name in (item.header.frame_id, item.child_frame_id)
            )
            if len(self.frames) < FRAME_LIMIT:
                self.frames |= {parent, child}
            if static and len(self._static) < FRAME_LIMIT:
                self._fixed(parent, child, _values(item.transform))

    def _fixed(self, parent: str, child: str, values: list[float]) -> None:
        before, old = self._static.setdefault(child, (parent, values))
        if before != parent:
            self.changed[child] = f"first in {before!r}, later in {parent!r}"
        elif any(abs(a - b) > SAME for a, b in zip(values, old)):
            at, then = (", ".join(f"{value:g}" for value in v[:3]) for v in (old, values))
            self.changed[child] = f"in {parent!r} first at ({at}) m, later at ({then}) m" + (
                ", or rotated" if at == then else ""
            )


def _values(transform: Any) -> list[float]:
    at, turn = transform.translation, transform.rotation
    sign = -1.0 if turn.w < 0.0 else 1.0
    return [at.x, at.y, at.z, *(sign * part for part in (turn.x, turn.y, turn.z, turn.w))]
