"""Put TF messages into the transform buffer; for callers without tf2."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from terrain_seg_ros.core.errors import TerrainSegError
from terrain_seg_ros.core.geometry.transform_buffer import MAX_FRAMES, TransformBuffer
from terrain_seg_ros.core.types import Transform
from terrain_seg_ros.messages.transform_message import StampedTransform, decode_each
from terrain_seg_ros.runtime.health import Health, Note, Refusal
from terrain_seg_ros.runtime.time_line import AGREEING, Place, TimeLine

REORDER_NS = 500_000_000
"""The network may swap samples of one frame within this time; older ones are late."""
FRESH = 50
"""For this many samples after a jump of a frame, a jump of the images is the same jump."""


class TransformIntake:
    """Decode and store; what cannot be used is counted by its frames' names, never raised.

    Each frame is judged for itself, so that one bad, late or early sample harms no other. A late
    one within the cache is stored in its place. Where several in a row of one frame agree that
    time jumped back (a looping bag, a restarted simulation), that frame's history is forgotten;
    the others' is as soon as theirs agree, or the images do: `forget_moving` is for the latter.
    """

    def __init__(
        self,
        buffer: TransformBuffer,
        health: Health,
        *,
        cache_s: float,
        on_jump: Callable[[], None] = lambda: None,
    ) -> None:
        """Fill a buffer that keeps `cache_s` seconds; `on_jump` is called at jumps back in time."""
        self._buffer = buffer
        self._health = health
        self._slack_ns = min(REORDER_NS, round(cache_s * 1e9))
        self._on_jump = on_jump
        self._lines: dict[str, TimeLine] = {}
        self._behind: dict[str, list[StampedTransform]] = {}
        self._ahead: dict[str, StampedTransform] = {}
        self._jumped: dict[str, int] = {}
        self._slash_noted = False

    def add(self, message: Any, *, static: bool) -> None:
        """Take a tf2_msgs/TFMessage from `/tf` or `/tf_static`."""
        for item in decode_each(message):
            if isinstance(item, TerrainSegError):
                self._refuse(str(item))
                continue
            try:
                if static:
                    self._buffer.set(item.parent, item.child, item.stamp_ns, item.transform, True)
                else:
                    self._store(item)
            except TerrainSegError as error:
                self._refuse(str(error))
        self._note_slashes(message)

    def forget_moving(self) -> None:
        """Forget moving transforms, as images jumped back; not those that came after the jump."""
        for name in list(self._lines):
            if name not in self._jumped:
                self._forget(name)
        self._jumped.clear()

    def _store(self, item: StampedTransform) -> None:
        line = self._lines.get(item.child)
        if line is None:
            line = TimeLine(self._slack_ns)
        place = line.classify(item.stamp_ns)
        if place is Place.ODD_AHEAD:
            self._ahead[item.child] = item
            return
        if place is Place.ODD_BEHIND:
            late = self._behind.setdefault(item.child, [])
            late.append(item)
            del late[: -(AGREEING - 1)]
        elif place in {Place.NEXT, Place.NEXT_WITHOUT_LAST}:
            self._behind.pop(item.child, None)
            self._settle_ahead(item)
            if place is Place.NEXT_WITHOUT_LAST:
                self._buffer.drop_after(item.child, item.stamp_ns)
            self._age_jump(item.child)
        elif place is Place.JUMPED:
            self._forget(item.child)
            self._jumped[item.child] = 0
            self._on_jump()
        self._put(item)
        if item.child not in self._lines and len(self._lines) >= MAX_FRAMES:
            oldest = next(iter(self._lines))
            for known in (self._lines, self._behind, self._ahead, self._jumped):
                known.pop(oldest, None)
        self._lines[item.child] = line

    def _age_jump(self, child: str) -> None:
        """Let a frame's jump be forgotten after some samples."""
        if child in self._jumped:
            self._jumped[child] += 1
            if self._jumped[child] > FRESH:
                del self._jumped[child]

    def _settle_ahead(self, item: StampedTransform) -> None:
        """Store the sample that lay far ahead if this one agrees with it, else drop it."""
        ahead = self._ahead.pop(item.child, None)
        if ahead is None:
            return
        if ahead.stamp_ns < item.stamp_ns:
            self._put(ahead)
            return
        self._refuse(
            f"transform of {ahead.child!r} in {ahead.parent!r} is stamped "
            f"{(ahead.stamp_ns - item.stamp_ns) * 1e-9:.3f} s after the one that followed it; "
            "check the publisher's clock"
        )

    def _put(self, item: StampedTransform) -> None:
        if not self._buffer.set(item.parent, item.child, item.stamp_ns, item.transform, False):
            self._refuse(
                f"transform of {item.child!r} in {item.parent!r} is older than tf_cache_s before "
                "the newest one and is left out; check the publisher's clock"
            )

    def _forget(self, child: str) -> None:
        """Forget a frame's samples, except those that showed that time jumped back."""
        late = self._behind.pop(child, [])
        self._ahead.pop(child, None)
        self._buffer.clear_moving(child)
        self._lines.pop(child, None)
        for item in late:
            self._lines.setdefault(child, TimeLine(self._slack_ns)).classify(item.stamp_ns)
            self._put(item)

    def _refuse(self, text: str) -> None:
        self._health.count_refused(Refusal.BAD_TRANSFORM, text)

    def _note_slashes(self, message: Any) -> None:
        """Note once that names have a leading slash, which is removed as in tf2."""
        if self._slash_noted:
            return
        if any(
            name.startswith("/")
            for item in message.transforms
            for name in (item.header.frame_id, item.child_frame_id)
        ):
            self._slash_noted = True
            self._health.note(Note.FRAME_SLASH)


class BufferedTransforms:
    """Our own buffer and what fills it, for live callers without tf2."""

    def __init__(self, health: Health, *, cache_s: float, on_jump: Callable[[], None]) -> None:
        """Make an empty buffer; `on_jump` is called when a frame jumps back in time."""
        self._buffer = TransformBuffer(cache_s)
        self._intake = TransformIntake(self._buffer, health, cache_s=cache_s, on_jump=on_jump)

    def open(self) -> None:
        """Do nothing: messages come by `add`."""

    def close(self) -> None:
        """Do nothing: what is known is kept."""

    def add(self, message: Any, *, static: bool) -> None:
        """Take a tf2_msgs/TFMessage from `/tf` or `/tf_static`."""
        self._intake.add(message, static=static)

    def forget_moving(self) -> None:
        """Forget moving transforms, after a jump in time."""
        self._intake.forget_moving()

    def lookup(self, target: str, source: str, stamp_ns: int) -> Transform:
        """Return target_T_source at the stamp.

        Raises:
            GeometryError: there is none.
        """
        return self._buffer.lookup(target, source, stamp_ns)
