"""A recorded run: find the topics of a bag, play them by the clock, jump to any time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from threading import Condition, Thread

from rosbags.interfaces import Connection

from terrain_seg_ros.bag.cameras import BagCamera, find_cameras
from terrain_seg_ros.bag.reader import BagMessage, BagReader
from terrain_seg_ros.core.errors import ConfigError, TerrainSegError
from terrain_seg_ros.messages.topics import topic
from terrain_seg_ros.view.keeper import MomentKeeper
from terrain_seg_ros.view.topics import NEEDED, OURS, READ, ViewTopics

LOOK_BACK_NS = 20_000_000_000
"""Read before the time that is jumped to, so that grid, path and time series are there."""
TAIL_NS = 5_000_000_000
"""A node that ends withdraws its grid: so short a time after the last mask is left out."""
AFTER_LAST_NS = 400_000_000
"""For what the node publishes after the last mask."""
LATCHED = ("/tf_static", "label_info")
FIRST_LATCHED = 1000
"""Messages of each latched topic that are read when the bag is opened."""
STEP_S = 0.05
"""Pause between two looks at the clock."""
LONGEST_STEP_S = 0.5
"""Where reading is slower than the clock, the clock waits."""


def find_topics(reader: BagReader, asked: ViewTopics) -> ViewTopics:
    """Return the names under which a bag holds what the viewer reads.

    Args:
        reader: an open bag.
        asked: what the user asked for; what is left open is found in the bag.

    Raises:
        ConfigError: the bag holds nothing of this node, or no masks of the camera.
    """
    there = {item.topic for item in reader.connections if item.msgcount}
    cameras = _cameras(there, asked.namespace)
    if asked.camera and cameras and asked.camera.strip("/") not in cameras:
        raise ConfigError(_no_such_camera(reader, asked, cameras))
    camera = asked.camera or (cameras[0] if cameras else "")
    with_camera = ViewTopics(asked.namespace, camera)
    if not any(with_camera.full_name(name) in there for name in NEEDED):
        raise ConfigError(_nothing_of_ours(reader, with_camera, there))
    image, info = asked.image_topic, asked.camera_info_topic
    if not image:
        found = _camera_topics(reader, camera)
        if found is not None:
            image, info = found.image_topic, info or (found.info_topic or "")
    return ViewTopics(asked.namespace, camera, image, info)


def _cameras(there: set[str], namespace: str) -> list[str]:
    """Return the names before `mask`, sorted: "" first, for a node whose camera has none."""
    start = f"/{namespace.strip('/')}/".replace("//", "/")
    return sorted(
        name.removeprefix(start).removesuffix("mask").strip("/")
        for name in there
        if name.startswith(start) and name.endswith("/mask") and "truth" not in name
    )


def _no_such_camera(reader: BagReader, asked: ViewTopics, cameras: list[str]) -> str:
    named = [name for name in cameras if name]
    remedy = f"give one of {named}" if named else "leave out --camera: its camera has no name"
    return (
        f"bag '{reader.path}' has no {asked.full_name('mask')}: --camera is {asked.camera!r}; "
        f"{remedy}"
    )


def _camera_topics(reader: BagReader, camera: str) -> BagCamera | None:
    try:
        cameras = find_cameras(reader, camera or "camera")
    except TerrainSegError:
        return None
    same = [item for item in cameras if item.name == camera]
    return (same or cameras)[0]


def _nothing_of_ours(reader: BagReader, topics: ViewTopics, there: set[str]) -> str:
    wanted = " and ".join(topics.full_name(name) for name in NEEDED)
    grids = (name for name in there if name.endswith("/hazard_grid"))
    spaces = sorted(name.removesuffix("/hazard_grid") for name in grids)
    complete = [space for space in spaces if _cameras(there, space)]
    if complete:
        space = complete[0] or "/"
        return (
            f"bag '{reader.path}' has neither {wanted}, but {NEEDED[0]} and {NEEDED[1]} in "
            f"{space!r}; give --namespace {space}"
        )
    return (
        f"bag '{reader.path}' has neither {wanted}: the node has not run on it; run `terrain-seg "
        f"replay {reader.path} OUT` and view OUT"
    )


class BagPlayer:
    """Plays a bag into a keeper from a thread of its own; other threads start, stop and seek.

    `error` says what ended the thread where it ended by itself.
    """

    def __init__(self, path: Path, asked: ViewTopics, *, base_frame: str) -> None:
        """Open the bag and read its first moment.

        Raises:
            ConfigError: it is not a bag, or holds nothing of this node.
            MessageError: the bag is damaged.
        """
        self._reader = BagReader(path)
        self._reader.__enter__()
        try:
            self.topics = find_topics(self._reader, asked)
            self._names = self._connections()
        except TerrainSegError:
            self._reader.__exit__()
            raise
        self.keeper = MomentKeeper(self.topics, base_frame=base_frame)
        self.end_ns = self._end_ns()
        self.start_ns = self._first_ns() or self._reader.start_ns
        self.error = ""
        self.speed = 1.0
        self._position_ns = self.start_ns
        self._seek_ns: int | None = self.start_ns
        self._playing = self._stopping = False
        self._changed = Condition()
        self._thread = Thread(target=self._run, name="terrain_seg_bag", daemon=True)

    @property
    def missing(self) -> list[str]:
        """Return the full names of this node's topics that the bag does not have."""
        there = set(self._names.values())
        return [self.topics.full_name(name) for name in OURS if name not in there]

    @property
    def duration_s(self) -> float:
        """Return the length of what is shown of the bag."""
        return (self.end_ns - self.start_ns) / 1e9

    @property
    def position_s(self) -> float:
        """Return the time that is shown, since the start."""
        with self._changed:
            shown = self._position_ns if self._seek_ns is None else self._seek_ns
        return (shown - self.start_ns) / 1e9

    @property
    def is_playing(self) -> bool:
        """Return whether time runs."""
        with self._changed:
            return self._playing

    def start(self) -> None:
        """Start the thread; the bag stands at its start."""
        self._read_latched()
        self._thread.start()

    def play(self, playing: bool) -> None:
        """Let time run or stand; at the end of the bag it begins anew."""
        with self._changed:
            if playing and self._position_ns >= self.end_ns and self._seek_ns is None:
                self._seek_ns = self.start_ns
            self._playing = playing
            self._changed.notify_all()

    def seek(self, position_s: float) -> None:
        """Jump to a time since the start; times outside the bag are its ends."""
        aim = self.start_ns + round(position_s * 1e9)
        with self._changed:
            self._seek_ns = min(max(aim, self.start_ns), self.end_ns)
            self._changed.notify_all()

    def close(self) -> None:
        """End the thread and close the bag."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        self._reader.__exit__()

    def _connections(self) -> dict[int, str]:
        """Return the name in `READ` of each connection that is read, by the connection's id.

        Raises:
            ConfigError: neither mask nor grid has the type that it should have.
        """
        by_full = {self.topics.full_name(name): name for name in READ}
        names = {
            item.id: by_full[item.topic]
            for item in self._reader.connections
            if item.topic in by_full and item.msgtype == topic(by_full[item.topic]).type
        }
        if not any(name in NEEDED for name in names.values()):
            found = [item for item in self._reader.connections if by_full.get(item.topic) in NEEDED]
            raise ConfigError(
                f"bag '{self._reader.path}' has {found[0].topic!r} as {found[0].msgtype}, expected "
                f"{topic(by_full[found[0].topic]).type}; give the --namespace of this node"
            )
        for item in self._reader.connections:
            last = item.topic.rpartition("/")[2]
            if item.msgtype == topic("/tf").type and f"/{last}" in ("/tf", "/tf_static"):
                names.setdefault(item.id, f"/{last}")
        return names

    def _first_ns(self) -> int:
        """Return when the first mask was recorded, before which there is little to see; else 0."""
        chosen = self._chosen(lambda name: name == "mask")
        first = next(self._reader.messages(chosen), None) if chosen else None
        return 0 if first is None else first.log_ns

    def _end_ns(self) -> int:
        """Return the end of the bag, or that of the drive where it is shortly before."""
        end_ns = self._reader.end_ns
        chosen = self._chosen(lambda name: name == "mask")
        last_ns = end_ns
        if chosen:
            with suppress(TerrainSegError):
                tail = self._reader.messages(chosen, since_ns=max(0, end_ns - TAIL_NS))
                last_ns = max((item.log_ns for item in tail), default=end_ns)
        return min(end_ns, last_ns + AFTER_LAST_NS)

    def _chosen(self, wanted: Callable[[str], bool]) -> list[Connection]:
        return [c for c in self._reader.connections if wanted(self._names.get(c.id, ""))]

    def _read_latched(self) -> None:
        for name in LATCHED:
            chosen = self._chosen(lambda found, name=name: found == name)  # type: ignore[misc]
            if chosen:
                for item in islice(self._reader.messages(chosen), FIRST_LATCHED):
                    self._take(self.keeper, item)

    def _take(self, keeper: MomentKeeper, item: BagMessage) -> None:
        if not item.defect:
            keeper.take(self._names[item.connection.id], item.data, item.log_ns)

    def _run(self) -> None:
        try:
            self._play_on()
        except TerrainSegError as error:
            self.error = str(error)

    def _play_on(self) -> None:
        messages: Iterator[BagMessage] = iter(())
        ahead: BagMessage | None = None
        clock_s = time.monotonic()
        while True:
            with self._changed:
                if not self._playing and self._seek_ns is None and not self._stopping:
                    self._changed.wait()
                    clock_s = time.monotonic()
                if self._stopping:
                    return
                aim, self._seek_ns = self._seek_ns, None
            keeper = self.keeper
            if aim is not None:
                keeper = keeper.anew()
                messages = self._read_from(aim)
                ahead = next(messages, None)
                until_ns, clock_s = aim, time.monotonic()
            else:
                now_s = time.monotonic()
                passed_s = min(now_s - clock_s, LONGEST_STEP_S) * self.speed
                until_ns, clock_s = self._position_ns + round(passed_s * 1e9), now_s
            until_ns = min(until_ns, self.end_ns)
            while ahead is not None and ahead.log_ns <= until_ns:
                self._take(keeper, ahead)
                ahead = next(messages, None)
            self.keeper = keeper
            with self._changed:
                self._position_ns = until_ns
                if (ahead is None or until_ns == self.end_ns) and self._seek_ns is None:
                    self._position_ns, self._playing = self.end_ns, False
                elif self._seek_ns is None and not self._stopping and self._playing:
                    self._changed.wait(STEP_S)

    def _read_from(self, aim_ns: int) -> Iterator[BagMessage]:
        """Return the messages from shortly before a time on."""
        return self._reader.messages(self._chosen(bool), since_ns=max(0, aim_ns - LOOK_BACK_NS))
