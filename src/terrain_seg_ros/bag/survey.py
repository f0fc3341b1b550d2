"""Look through a bag before it is replayed: what it has, what a replay picks, what it lacks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from rosbags.interfaces import Connection

from terrain_seg_ros.bag.bag_files import storage_files
from terrain_seg_ros.bag.cameras import (
    COMPRESSED_TYPE,
    RAW_TYPE,
    BagCamera,
    find_cameras,
    left_out_images,
)
from terrain_seg_ros.bag.dry_node import CameraTally, DryNode
from terrain_seg_ros.bag.feed import InputFeed
from terrain_seg_ros.bag.plan import (
    Input,
    Output,
    ReplayOptions,
    find_inputs,
    find_outputs,
    find_replaced,
)
from terrain_seg_ros.bag.reader import BagMessage, BagReader
from terrain_seg_ros.bag.recorded_transforms import RecordedTransforms
from terrain_seg_ros.bag.stream import Stream
from terrain_seg_ros.bag.work import Views, Work, estimate_work
from terrain_seg_ros.core.errors import ConfigError, MessageError
from terrain_seg_ros.core.model_card import ModelCard
from terrain_seg_ros.messages.cdr import deserialize
from terrain_seg_ros.messages.topic_spec import Group
from terrain_seg_ros.model_store.model_store import load_card
from terrain_seg_ros.parameters.node_settings import NodeSettings
from terrain_seg_ros.runtime.health import Health, HealthSnapshot
from terrain_seg_ros.runtime.session import OwnBodies

READ_LIMIT_BYTES = 4 * 2**30
READ_LIMIT_MESSAGES = 400_000
"""Of larger bags only the beginning is read, unless all of it is asked for."""

LEFT_OUT = "left out"
"""Begins the use of an image topic that is not a camera's."""


@dataclass(frozen=True)
class TopicRow:
    """A topic of a bag: how many messages the bag holds, what was read of them, and its use.

    `use` says what a replay does with it: an input, left out and why, or empty where it is copied
    only.
    """

    name: str
    type: str
    count: int
    stream: Stream
    use: str


@dataclass(frozen=True)
class BagSurvey:
    """What was found in a bag.

    Attributes:
        path: the bag.
        size_bytes: of its files.
        duration_s: from the first message to the last.
        topics: what it holds; those that a replay reads come first.
        notes: what was found when it was opened.
        cameras: what would become of the images, by camera.
        no_camera: why there is no camera, empty where there is one.
        parameters: of the node, with the bag's cameras.
        health: counts of all cameras.
        defects: what failed unexpectedly, with count and last text.
        parents: the frames that TF gives, each with its newest parent.
        recorded_frames: the frames that TF messages name, those that were refused or forgotten too.
        read_share: how much of the bag was read, 0 to 1, by messages.
        stopped_early: whether only the beginning was read, as the bag is large.
        static_changes: by frame, what /tf_static says of it first and later, where that differs.
        work: what a replay would compute; None without a camera.
    """

    path: Path
    size_bytes: int
    duration_s: float
    topics: Sequence[TopicRow]
    notes: Sequence[str]
    cameras: Mapping[str, CameraTally]
    no_camera: str
    parameters: NodeSettings
    health: HealthSnapshot
    defects: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    parents: Mapping[str, str] = field(default_factory=dict)
    recorded_frames: Collection[str] = ()
    read_share: float = 1.0
    stopped_early: bool = False
    static_changes: Mapping[str, str] = field(default_factory=dict)
    work: Work | None = None


def survey_bag(
    source: Path | str,
    parameters: NodeSettings,
    options: ReplayOptions,
    *,
    whole: bool = False,
    on_progress: Callable[[float], object] = lambda _: None,
) -> BagSurvey:
    """Read a bag as a replay does, without the network and without writing anything.

    Args:
        source: the bag.
        parameters: of the node.
        options: those of the replay.
        whole: read all of a large bag instead of its beginning.
        on_progress: called after each message with the share that was read, 0 to 1.

    Raises:
        ConfigError: the bag cannot be opened, or a topic or parameter cannot be used.
        MessageError: the bag is damaged.
        ModelError: the model's card cannot be used.
    """
    card = load_card(parameters.inference.model)
    card.taxonomy.with_hazards(parameters.pipeline.hazards)
    with BagReader(source) as reader:
        try:
            cameras = find_cameras(
                reader,
                parameters.input.cameras[0],
                image_topics=options.image_topics,
                other_topics=options.other_topics,
            )
        except ConfigError as error:
            if options.image_topics:
                raise
            return _without_camera(reader, parameters, str(error))
        parameters = parameters.with_values({"cameras": [item.name for item in cameras]})
        OwnBodies(parameters)
        return _Pass(reader, parameters, cameras, options, card).survey(whole, on_progress)


class _Pass:
    """One pass over a bag."""

    def __init__(
        self,
        reader: BagReader,
        parameters: NodeSettings,
        cameras: Sequence[BagCamera],
        options: ReplayOptions,
        card: ModelCard,
    ) -> None:
        self._reader, self._parameters, self._cameras = reader, parameters, cameras
        self._card = card
        self._inputs = find_inputs(reader, cameras, parameters)
        self._outputs = find_outputs(parameters, options)
        self._uses = _uses(reader, cameras, self._inputs, self._outputs, options)
        self._streams = {item.id: Stream() for item in reader.connections}
        self._transforms = RecordedTransforms()
        self._tf = {i.connection.id: i for i in self._inputs if i.spec.group is Group.TRANSFORMS}
        self._feed = InputFeed(reader, self._inputs, cache_s=parameters.transforms.tf_cache_s)
        images = {c.name: _images_of(reader, c) for c in cameras}
        self._images = {item.id for item in images.values()}
        self._counts = {name: item.msgcount for name, item in images.items()}
        self._node = DryNode(
            self._feed,
            parameters,
            cameras,
            card=card,
            streams={name: self._streams[item.id] for name, item in images.items()},
            counts=self._counts,
        )

    def survey(self, whole: bool, on_progress: Callable[[float], object]) -> BagSurvey:
        """Read the bag and return what was found."""
        reader = self._reader
        read, stopped_early = self._read(whole, on_progress)
        share = read / reader.message_count if reader.message_count else 1.0
        feed = self._feed
        return BagSurvey(
            path=reader.path,
            size_bytes=_size_bytes(reader.path),
            duration_s=(reader.end_ns - reader.start_ns) / 1e9,
            topics=_rows(reader, self._streams, self._uses),
            notes=tuple(reader.notes),
            cameras=self._node.tallies,
            no_camera="",
            parameters=self._parameters,
            health=feed.health.snapshot(),
            defects={
                kind: (count, feed.defects.last.get(kind, ""))
                for kind, count in feed.defects.counts.items()
            },
            parents=feed.buffer.parents(),
            recorded_frames=self._transforms.frames,
            read_share=min(share, 1.0),
            stopped_early=stopped_early,
            static_changes=self._transforms.changed,
            work=self._work(),
        )

    def _read(self, whole: bool, on_progress: Callable[[float], object]) -> tuple[int, bool]:
        """Hand the messages to the dry node; return how many, and whether some were left."""
        total = max(self._reader.message_count, 1)
        read = size_bytes = 0
        stopped_early = False
        self._feed.begin(self._node)
        for message in self._reader.messages():
            read += 1
            size_bytes += len(message.data)
            if not message.defect:
                self._record(message)
            self._feed.take(message)
            on_progress(min(read / total, 1.0))
            if not whole and (size_bytes > READ_LIMIT_BYTES or read >= READ_LIMIT_MESSAGES):
                stopped_early = True
                break
        self._feed.finish()
        return read, stopped_early

    def _record(self, message: BagMessage) -> None:
        connection, stream = message.connection, self._streams[message.connection.id]
        is_first_image = connection.msgtype in (RAW_TYPE, COMPRESSED_TYPE) and not stream.count
        stream.recorded(message.log_ns, len(message.data))
        if connection.id in self._tf:
            with suppress(MessageError):
                self._transforms.take(
                    message.data, connection.msgtype, static=self._tf[connection.id].spec.is_latched
                )
        if is_first_image and connection.id not in self._images:
            with suppress(MessageError):
                stream.picture(deserialize(message.data, connection.msgtype))

    def _work(self) -> Work:
        views = []
        for name, tally in self._node.tallies.items():
            read = tally.stream.count
            scale = self._counts[name] / read if read else 0.0
            pixels = tally.pixels // tally.masks if tally.masks else 0
            views.append(Views(round(tally.masks * scale), round(tally.grids * scale), pixels))
        network = self._card.width_px * self._card.height_px
        return estimate_work(views, self._outputs, self._parameters, network_pixels=network)


def _without_camera(reader: BagReader, parameters: NodeSettings, why: str) -> BagSurvey:
    """Return what a bag's index tells, where there is no camera."""
    streams = {item.id: Stream() for item in reader.connections}
    return BagSurvey(
        path=reader.path,
        size_bytes=_size_bytes(reader.path),
        duration_s=(reader.end_ns - reader.start_ns) / 1e9,
        topics=_rows(reader, streams, _left_out(reader, ())),
        notes=tuple(reader.notes),
        cameras={},
        no_camera=why,
        parameters=parameters,
        health=Health().snapshot(),
    )


def _left_out(
    reader: BagReader, cameras: Sequence[BagCamera], other_topics: Collection[str] = ()
) -> dict[str, str]:
    found = left_out_images(reader, cameras, other_topics)
    return {name: f"{LEFT_OUT}: {why}" for name, why in found.items()}


def _uses(
    reader: BagReader,
    cameras: Sequence[BagCamera],
    inputs: Sequence[Input],
    outputs: Mapping[str, Output],
    options: ReplayOptions,
) -> dict[str, str]:
    """Return what a replay does with a topic, for those that it does not only copy."""
    uses = _left_out(reader, cameras, options.other_topics)
    uses.update(dict.fromkeys(find_replaced(reader, outputs), "replaced by the replay's own"))
    for item in inputs:
        group, names = item.spec.group, " and ".join(filter(None, item.cameras))
        if group is Group.IMAGE:
            uses[item.connection.topic] = f"images of {names}"
        elif group is Group.INTRINSICS:
            uses[item.connection.topic] = f"camera_info of {names}"
        else:
            uses[item.connection.topic] = group.value
    return uses


def _rows(
    reader: BagReader, streams: Mapping[int, Stream], uses: Mapping[str, str]
) -> list[TopicRow]:
    def row(item: Connection) -> TopicRow:
        use = uses.get(item.topic, "")
        return TopicRow(item.topic, item.msgtype, item.msgcount, streams[item.id], use)

    rows = [row(item) for item in reader.connections]
    rows += [
        TopicRow(name, "", 0, Stream(), f"neither read nor copied: {why}")
        for name, why in reader.foreign.items()
    ]
    return sorted(rows, key=lambda item: (not item.use, item.name))


def _images_of(reader: BagReader, camera: BagCamera) -> Connection:
    return next(item for item in reader.connections if item.topic == camera.image_topic)


def _size_bytes(path: Path) -> int:
    files = [path] if path.is_file() else storage_files(path)
    return sum(item.stat().st_size for item in files)
