"""The inputs of a bag, handed over in the order and at the time at which the node gets them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any, Protocol

from terrain_seg_ros.bag.defects import Defects
from terrain_seg_ros.bag.look_ahead import DelayedMessage, JumpWatch, LookAhead
from terrain_seg_ros.bag.plan import Input
from terrain_seg_ros.bag.reader import BagMessage, BagReader
from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.core.geometry.transform_buffer import TransformBuffer
from terrain_seg_ros.messages.cdr import deserialize
from terrain_seg_ros.messages.topic_spec import Group
from terrain_seg_ros.runtime.health import Health, Refusal
from terrain_seg_ros.runtime.transform_intake import TransformIntake

LOOK_AHEAD_S = 0.5
"""Transforms recorded up to this long after an image are still used for it."""
HELD_LIMIT_BYTES = 256 * 1024 * 1024
DEFECTS_IN_A_ROW = 3
"""After this many defects in a row the grid is written as unknown."""
STATIC_LIMIT = 1000
"""Messages of static transforms that are read before the first image."""


class Taker(Protocol):
    """What a feed hands its messages to; transforms go to the feed's own buffer."""

    def image(self, camera: str, message: Any) -> None:
        """Take an image message of a camera."""

    def beside(self, row: str, camera: str, message: Any) -> None:
        """Take a message of another input, by its row in the table of topics."""

    def tick(self) -> None:
        """Do what is due, as the feed's clock has advanced."""

    def give_up(self) -> None:
        """Withdraw the grid: several images in a row ended in unexpected errors."""

    def expect_time_jump(self) -> None:
        """Believe the next image that lies back in time: the transforms jumped back already."""


class InputFeed:
    """Hand the inputs of a bag to a taker; the clock is the time of recording.

    Images and what belongs to them are held back a little, so that transforms recorded after them
    are known. `buffer` holds the transforms, `health` counts what is malformed, `defects` what
    failed unexpectedly.
    """

    def __init__(self, reader: BagReader, inputs: Sequence[Input], *, cache_s: float) -> None:
        """Start at the beginning of a bag, with an empty buffer that keeps `cache_s` seconds."""
        self.clock_ns = reader.start_ns
        self.health = Health(clock_s=self.now_s)
        self.defects = Defects()
        self.buffer = TransformBuffer(cache_s)
        self._reader, self._inputs = reader, inputs
        self._by_number = {item.connection.id: item for item in inputs}
        self._early_infos: set[int] = set()
        self._taker: Taker | None = None
        self._intake = TransformIntake(
            self.buffer, self.health, cache_s=cache_s, on_jump=self._expect_time_jump
        )
        self._span_ns = round(min(LOOK_AHEAD_S, cache_s / 2.0) * 1e9)
        self._held = LookAhead(self._span_ns, HELD_LIMIT_BYTES)
        self._jumps = JumpWatch()

    def now_s(self) -> float:
        """Return the clock's time in seconds."""
        return self.clock_ns * 1e-9

    def forget_moving(self) -> None:
        """Forget the moving transforms, as the images jumped back in time."""
        self._intake.forget_moving()

    def begin(self, taker: Taker) -> None:
        """Learn what need not be recorded before the first image; the taker gets the rest too."""
        self._taker = taker
        for source in self._inputs:
            messages = (m for m in self._reader.messages([source.connection]) if not m.defect)
            with self.defects.caught(source.connection.topic):
                if source.spec.group is Group.INTRINSICS:
                    for message in islice(messages, 1):
                        self._early_infos.add(source.connection.id)
                        self._beside(source, self._decoded(source, message))
                if source.spec.group is Group.TRANSFORMS and source.spec.is_latched:
                    self._begin_static(source, list(islice(messages, STATIC_LIMIT)))

    def take(self, message: BagMessage) -> None:
        """Take the bag's next message, an input or not.

        Raises:
            OSError: the taker could not write.
        """
        topic = message.connection.topic
        if message.defect:
            self.defects.stored(topic, message.defect)
            return
        self._advance(message.log_ns)
        source = self._by_number.get(message.connection.id)
        if source is not None:
            with self.defects.caught(topic):
                self._take(source, message)

    def finish(self) -> None:
        """Let out what is still held, at the end of the bag."""
        self._let_out(self._held.all())
        self.clock_ns = max(self.clock_ns, self._reader.end_ns)

    def _expect_time_jump(self) -> None:
        if self._taker is not None:
            self._taker.expect_time_jump()

    def _begin_static(self, source: Input, messages: Sequence[BagMessage]) -> None:
        # They are taken again in their turn, so what is wrong with them is counted then. The
        # oldest comes last: it holds until the replay gets to a newer one.
        uncounted = TransformIntake(self.buffer, Health(), cache_s=1.0)
        for message in reversed(messages):
            decoded = _try_deserialize(source, message)
            if not isinstance(decoded, MessageError):
                uncounted.add(decoded, static=True)

    def _take(self, source: Input, message: BagMessage) -> None:
        if message.connection.id in self._early_infos:
            self._early_infos.remove(message.connection.id)
            return
        decoded = self._decoded(source, message)
        if decoded is None:
            return
        if source.spec.group is Group.GROUND:
            self._beside(source, decoded)
            return
        is_image = source.spec.group is Group.IMAGE
        is_moving = source.spec.group is Group.TRANSFORMS and not source.spec.is_latched
        since_ns = None
        if is_moving:
            since_ns = self._jumps.transforms(decoded, message.log_ns)
        elif is_image:
            since_ns = self._jumps.image(source.cameras[0], decoded, message.log_ns)
        if since_ns is not None:
            self._let_out(self._held.before(since_ns))
        if is_moving:
            self._intake.add(decoded, static=False)
        else:
            self._held.put(DelayedMessage(source, message.log_ns, decoded, len(message.data)))

    def _advance(self, log_ns: int) -> None:
        """Let out what was held long enough; the clock runs behind the reading by the span.

        This comes before the current message is taken: after a gap, new transforms would push those
        of the delayed images out of the buffer.
        """
        self._let_out(self._held.due(log_ns))
        self.clock_ns = max(self.clock_ns, log_ns - self._span_ns)
        with self.defects.caught("the clock"):
            if self._taker is not None:
                self._taker.tick()

    def _let_out(self, items: Iterable[DelayedMessage]) -> None:
        for item in items:
            self.clock_ns = max(self.clock_ns, item.log_ns)
            is_image = item.source.spec.group is Group.IMAGE
            with self.defects.caught(item.source.connection.topic, is_image=is_image):
                if is_image:
                    self._image(item.source.cameras[0], item.message)
                elif item.source.spec.group is Group.INTRINSICS:
                    self._beside(item.source, item.message)
                else:
                    self._intake.add(item.message, static=True)
            if is_image and self.defects.in_a_row == DEFECTS_IN_A_ROW and self._taker is not None:
                self._taker.give_up()

    def _image(self, camera: str, message: Any) -> None:
        if self._taker is not None:
            self._taker.image(camera, message)

    def _beside(self, source: Input, message: Any) -> None:
        """Hand over a message other than images and transforms, for each camera."""
        if self._taker is None or message is None:
            return
        for camera in source.cameras:
            self._taker.beside(source.spec.name, camera, message)

    def _decoded(self, source: Input, message: BagMessage) -> Any:
        """Return the message, or None after counting that it is malformed."""
        decoded = _try_deserialize(source, message)
        if not isinstance(decoded, MessageError):
            return decoded
        if source.spec.group is Group.IMAGE:
            self.health.count_in()
        self.health.count_refused(Refusal(source.spec.malformed), str(decoded))
        return None


def _try_deserialize(source: Input, message: BagMessage) -> Any:
    try:
        return deserialize(message.data, source.connection.msgtype)
    except MessageError as error:
        return error
