"""Run the node's logic over a bag: everything is copied, and our topics are added."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

from rosbags.interfaces import Connection

from terrain_seg_ros.bag.cameras import BagCamera, find_cameras, left_out_images
from terrain_seg_ros.bag.feed import InputFeed
from terrain_seg_ros.bag.plan import (
    Input,
    Output,
    ReplayOptions,
    find_inputs,
    find_outputs,
    find_replaced,
)
from terrain_seg_ros.bag.reader import BagReader
from terrain_seg_ros.bag.writer import BagWriter
from terrain_seg_ros.messages.cdr import message_class
from terrain_seg_ros.messages.header_message import make_header
from terrain_seg_ros.parameters.node_settings import NodeSettings
from terrain_seg_ros.runtime.frame_processor import FrameProcessor
from terrain_seg_ros.runtime.health import HealthSnapshot
from terrain_seg_ros.runtime.outboxes.outgoing import Bus, Outgoing
from terrain_seg_ros.runtime.session import Session

DIAGNOSTICS_PERIOD_NS = 1_000_000_000


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
        inputs = find_inputs(reader, cameras, parameters)
        needed = {*(item.connection.topic for item in inputs), *options.other_topics}
        replaced = find_replaced(reader, outputs, needed=needed)
        with Session(parameters) as session, writer:
            at_work = _Replay(
                reader, writer, session, outputs=outputs, cameras=cameras, inputs=inputs
            )
            at_work.run(replaced, on_progress=on_progress)
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
    """One replay at work: takes what the feed hands over, and writes at the feed's time."""

    def __init__(
        self,
        reader: BagReader,
        writer: BagWriter,
        session: Session,
        *,
        outputs: Mapping[str, Output],
        cameras: Sequence[BagCamera],
        inputs: Sequence[Input],
    ) -> None:
        self.images = self.added = 0
        self._reader, self._writer, self._outputs = reader, writer, outputs
        self._feed = InputFeed(reader, inputs, cache_s=session.parameters.transforms.tf_cache_s)
        self.health, self.defects = self._feed.health, self._feed.defects
        self._diagnosed_ns = self._feed.clock_ns
        self._connections: dict[str, Connection] = {}
        self._processor = FrameProcessor(
            session,
            message_class,
            self._feed.buffer,
            health=self.health,
            bus=Bus(
                wanted=lambda name: name in outputs and outputs[name].is_wanted,
                full_name=lambda name: outputs[name].full_name,
                image_topics={item.name: item.image_topic for item in cameras},
            ),
            clock_s=self._feed.now_s,
            on_time_jump=self._feed.forget_moving,
        )

    def run(self, replaced: Collection[str], *, on_progress: Callable[[Progress], None]) -> None:
        """Copy and process all messages."""
        reader = self._reader
        copies = {
            item.id: self._writer.copy_connection(item)
            for item in reader.connections
            if item.topic not in replaced
        }
        self._begin()
        duration_ns = max(reader.end_ns - reader.start_ns, 1)
        for message in reader.messages():
            number = message.connection.id
            if number in copies and not message.defect:
                self._writer.write(copies[number], message.log_ns, message.data)
            self._feed.take(message)
            if not message.defect:
                share = (message.log_ns - reader.start_ns) / duration_ns
                on_progress(Progress(min(max(share, 0.0), 1.0), self.images))
        self._feed.finish()
        self._diagnose()

    def image(self, camera: str, message: Any) -> None:
        """Process an image and write what it gives."""
        self.images += 1
        outgoing = self._processor.image(camera, message)
        started_s = perf_counter()
        self._publish(outgoing)
        self.health.add_latencies({"write": (perf_counter() - started_s) * 1e3})

    def beside(self, row: str, camera: str, message: Any) -> None:
        """Hand a message of another input to its handler."""
        self._processor.take(row, camera, message)

    def tick(self) -> None:
        """Write what is due without an image, and the diagnostics once a second."""
        self._publish(self._processor.tick())
        if self._feed.clock_ns - self._diagnosed_ns >= DIAGNOSTICS_PERIOD_NS:
            self._diagnose()

    def give_up(self) -> None:
        """Write the grid as unknown."""
        self._publish(self._processor.retire())

    def expect_time_jump(self) -> None:
        """Believe the next image that lies back in time."""
        self._processor.expect_time_jump()

    def _begin(self) -> None:
        """Send the class names, and learn what need not be recorded before the first image."""
        outgoing = self._processor.start()
        for item in outgoing:
            item.message.header = make_header(message_class, self._feed.clock_ns, "")
        self._publish(outgoing)
        self._feed.begin(self)

    def _diagnose(self) -> None:
        self._diagnosed_ns = self._feed.clock_ns
        self._publish(self._processor.diagnostics())

    def _publish(self, outgoing: Iterable[Outgoing]) -> None:
        """Write messages as recorded now."""
        for name, message in outgoing:
            output = self._outputs[name]
            if not output.is_wanted:
                continue
            if name not in self._connections:
                self._connections[name] = self._writer.add_connection(output.full_name, output.spec)
            self._writer.write_message(self._connections[name], self._feed.clock_ns, message)
            self.added += 1
