"""Run the node's logic over a bag: everything is copied, and our topics are added."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

from rosbags.interfaces import Connection

from terrain_seg_ros.bag.cameras import BagCamera, find_cameras, left_out_images
from terrain_seg_ros.bag.defects import Defects
from terrain_seg_ros.bag.look_ahead import DelayedMessage, JumpWatch, LookAhead
from terrain_seg_ros.bag.plan import (
    Input,
    Output,
    ReplayOptions,
    find_inputs,
    find_outputs,
    find_replaced,
)
from terrain_seg_ros.bag.reader import BagMessage, BagReader
from terrain_seg_ros.bag.writer import BagWriter
from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.core.geometry.transform_buffer import TransformBuffer
from terrain_seg_ros.messages.cdr import deserialize, message_class
from terrain_seg_ros.messages.header_message import make_header
from terrain_seg_ros.messages.topic_spec import Group
from terrain_seg_ros.parameters.node_settings import NodeSettings
from terrain_seg_ros.runtime.frame_processor import FrameProcessor
from terrain_seg_ros.runtime.health import Health, HealthSnapshot, Refusal
from terrain_seg_ros.runtime.outboxes.outgoing import Bus, Outgoing
from terrain_seg_ros.runtime.session import Session
from terrain_seg_ros.runtime.transform_intake import TransformIntake

LOOK_AHEAD_S = 0.5
"""Transforms recorded up to this long after an image are still used for it."""
HELD_LIMIT_BYTES = 256 * 1024 * 1024
DIAGNOSTICS_PERIOD_NS = 1_000_000_000
DEFECTS_IN_A_ROW = 3
"""After this many defects in a row the grid is written as unknown."""
STATIC_LIMIT = 1000
"""Messages of static transforms that are read before the first image."""


class Progress(NamedTuple):
    """Progress of a replay: `share` goes from 0 to 1, `images` have been processed."""

    share: float
    images: int


@dataclass(frozen=True)
class ReplayReport:
    """What a replay did."""

    about: Mapping[str, str]
    cameras: Sequence[BagCamera]
    health: HealthSnapshot
    messages_copied: int
    messages_added: int
    replaced_topics: Sequence[str]
    left_out: Mapping[str, str]
    notes: Sequence[str] = ()
    defects: Mapping[str, int] = field(default_factory=dict)
    defect_texts: Mapping[str, str] = field(default_factory=dict)


def replay(
    source: Path | str,
    target: Path | str,
    parameters: NodeSettings,
    *,
    options: ReplayOptions | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> ReplayReport:
    """Read a bag and write another with all its messages and ours.

    Args:
        source: a bag, MCAP or sqlite3.
        target: the new bag, MCAP: a folder, or a file where it ends in .mcap.
        parameters: as of the node; the cameras are those of the bag.
        options: topics.
        on_progress: called after each message.

    Raises:
        ConfigError: a bag, topic or parameter cannot be used, or the target exists.
        MessageError: the bag is damaged; nothing is written then.
        ModelError: the model cannot be used.
        InferenceError: the backend cannot be used.
    """
    options = options or ReplayOptions()
    writer = BagWriter(target)
    with BagReader(source) as reader:
        usual_name = parameters.input.cameras[0]
        cameras = find_cameras(
            reader,
            usual_name,
            image_topics=options.image_topics,
            other_topics=options.other_topics,
        )
        left_out = left_out_images(reader, cameras, options.other_topics)
        notes = tuple(reader.notes)
        foreign = {name: f"{why}: neither read nor copied" for name, why in reader.foreign.items()}
        parameters = parameters.with_values({"cameras": [item.name for item in cameras]})
        outputs = find_outputs(parameters, options)
        replaced = find_replaced(reader, outputs)
        with Session(parameters) as session, writer:
            at_work = _Replay(reader, writer, session, outputs=outputs, cameras=cameras)
            at_work.run(find_inputs(reader, cameras, parameters), replaced, on_progress=on_progress)
            about = session.describe()
    return ReplayReport(
        about,
        cameras,
        at_work.health.snapshot(),
        messages_copied=writer.message_count - at_work.added,
        messages_added=at_work.added,
        replaced_topics=replaced,
        left_out={**left_out, **foreign},
        notes=notes,
        defects=at_work.defects.counts,
        defect_texts=at_work.defects.last,
    )


class _Replay:
    """One replay at work; its clock is the time of recording."""

    def __init__(
        self,
        reader: BagReader,
        writer: BagWriter,
        session: Session,
        *,
        outputs: Mapping[str, Output],
        cameras: Sequence[BagCamera],
    ) -> None:
        cache_s = session.parameters.transforms.tf_cache_s
        self.images = self.added = 0
        self.health = Health(clock_s=self._now_s)
        self.defects = Defects()
        self._reader, self._writer, self._outputs = reader, writer, outputs
        self._clock_ns = self._diagnosed_ns = reader.start_ns
        self._connections: dict[str, Connection] = {}
        self._early_infos: set[int] = set()
        self._buffer = TransformBuffer(cache_s)
        self._intake = TransformIntake(
            self._buffer,
            self.health,
            cache_s=cache_s,
            on_jump=self._expect_time_jump,
        )
        self._processor = FrameProcessor(
            session,
            message_class,
            self._buffer,
            health=self.health,
            bus=Bus(
                wanted=lambda name: name in outputs and outputs[name].is_wanted,
                full_name=lambda name: outputs[name].full_name,
                image_topics={item.name: item.image_topic for item in cameras},
            ),
            clock_s=self._now_s,
            on_time_jump=self._intake.forget_moving,
        )
        self._span_ns = round(min(LOOK_AHEAD_S, cache_s / 2.0) * 1e9)
        self._held = LookAhead(self._span_ns, HELD_LIMIT_BYTES)
        self._jumps = JumpWatch()

    def run(
        self,
        inputs: Sequence[Input],
        replaced: Collection[str],
        *,
        on_progress: Callable[[Progress], None],
    ) -> None:
        """Copy and process all messages."""
        reader = self._reader
        copies = {
            item.id: self._writer.copy_connection(item)
            for item in reader.connections
            if item.topic not in replaced
        }
        self._begin(inputs)
        by_number = {item.connection.id: item for item in inputs}
        duration_ns = max(reader.end_ns - reader.start_ns, 1)
        for message in reader.messages():
            if message.defect:
                self.defects.stored(message.connection.topic, message.defect)
                continue
            number = message.connection.id
            if number in copies:
                self._writer.write(copies[number], message.log_ns, message.data)
            self._advance(message.log_ns)
            if number in by_number:
                with self.defects.caught(message.connection.topic):
                    self._take(by_number[number], message)
            share = (message.log_ns - reader.start_ns) / duration_ns
            on_progress(Progress(min(max(share, 0.0), 1.0), self.images))
        self._let_out(self._held.all())
        self._clock_ns = max(self._clock_ns, reader.end_ns)
        self._diagnose()

    def _expect_time_jump(self) -> None:
        self._processor.expect_time_jump()

    def _begin(self, inputs: Iterable[Input]) -> None:
        """Send the class names, and learn what need not be recorded before the first image."""
        outgoing = self._processor.start()
        for item in outgoing:
            item.message.header = make_header(message_class, self._clock_ns, "")
        self._publish(outgoing)
        for source in inputs:
            messages = (m for m in self._reader.messages([source.connection]) if not m.defect)
            with self.defects.caught(source.connection.topic):
                if source.spec.group is Group.INTRINSICS:
                    for message in islice(messages, 1):
                        self._early_infos.add(source.connection.id)
                        self._take_beside(source, self._decoded(source, message))
                if source.spec.group is Group.TRANSFORMS and source.spec.is_latched:
                    self._begin_static(source, list(islice(messages, STATIC_LIMIT)))

    def _begin_static(self, source: Input, messages: Sequence[BagMessage]) -> None:
        # They are taken again in their turn, so what is wrong with them is counted then. The
        # oldest comes last: it holds until the replay gets to a newer one.
        uncounted = TransformIntake(self._buffer, Health(), cache_s=1.0)
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
            self._take_beside(source, decoded)
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
        self._clock_ns = max(self._clock_ns, log_ns - self._span_ns)
        with self.defects.caught("the clock"):
            self._publish(self._processor.tick())
            if self._clock_ns - self._diagnosed_ns >= DIAGNOSTICS_PERIOD_NS:
                self._diagnose()

    def _let_out(self, items: Iterable[DelayedMessage]) -> None:
        for item in items:
            self._clock_ns = max(self._clock_ns, item.log_ns)
            is_image = item.source.spec.group is Group.IMAGE
            with self.defects.caught(item.source.connection.topic, is_image=is_image):
                if is_image:
                    self._image(item.source.cameras[0], item.message)
                elif item.source.spec.group is Group.INTRINSICS:
                    self._take_beside(item.source, item.message)
                else:
                    self._intake.add(item.message, static=True)
            if is_image and self.defects.in_a_row == DEFECTS_IN_A_ROW:
                self._publish(self._processor.retire())

    def _image(self, camera: str, message: Any) -> None:
        self.images += 1
        outgoing = self._processor.image(camera, message)
        started_s = perf_counter()
        self._publish(outgoing)
        self.health.add_latencies({"write": (perf_counter() - started_s) * 1e3})

    def _take_beside(self, source: Input, message: Any) -> None:
        """Hand a message other than images and transforms to its handler, for each camera."""
        for camera in source.cameras if message is not None else ():
            self._processor.take(source.spec.name, camera, message)

    def _diagnose(self) -> None:
        self._diagnosed_ns = self._clock_ns
        self._publish(self._processor.diagnostics())

    def _publish(self, outgoing: Iterable[Outgoing]) -> None:
        """Write messages as recorded now."""
        for name, message in outgoing:
            output = self._outputs[name]
            if not output.is_wanted:
                continue
            if name not in self._connections:
                self._connections[name] = self._writer.add_connection(output.full_name, output.spec)
            self._writer.write_message(self._connections[name], self._clock_ns, message)
            self.added += 1

    def _decoded(self, source: Input, message: BagMessage) -> Any:
        """Return the message, or None after counting that it is malformed."""
        decoded = _try_deserialize(source, message)
        if not isinstance(decoded, MessageError):
            return decoded
        if source.spec.group is Group.IMAGE:
            self.health.count_in()
        self.health.count_refused(Refusal(source.spec.malformed), str(decoded))
        return None

    def _now_s(self) -> float:
        return self._clock_ns * 1e-9


def _try_deserialize(source: Input, message: BagMessage) -> Any:
    try:
        return deserialize(message.data, source.connection.msgtype)
    except MessageError as error:
        return error
