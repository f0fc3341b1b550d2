"""What a replayed bag shows of the drive: the fused map, the path, and moments to look at."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rosbags.interfaces import Connection

from terrain_seg_ros.bag.feed import LOOK_AHEAD_S
from terrain_seg_ros.bag.reader import BagMessage, BagReader
from terrain_seg_ros.core.errors import GeometryError, TerrainSegError
from terrain_seg_ros.core.geometry.transform_buffer import TransformBuffer
from terrain_seg_ros.core.grid.costs import COST_UNKNOWN
from terrain_seg_ros.core.types import U8, CameraImage, Reason
from terrain_seg_ros.messages.cdr import deserialize
from terrain_seg_ros.messages.grid_message import GridValues, apply_grid_update, decode_grid
from terrain_seg_ros.messages.header_message import stamp_ns
from terrain_seg_ros.messages.image_message import decode_camera_image, decode_image
from terrain_seg_ros.messages.topic_spec import Group
from terrain_seg_ros.messages.topics import topic
from terrain_seg_ros.report.map_canvas import MapCanvas
from terrain_seg_ros.report.pictures import reasons_in
from terrain_seg_ros.runtime.health import Health
from terrain_seg_ros.runtime.transform_intake import TransformIntake

GRID, UPDATES, REASON, SITE = (
    "hazard_grid",
    "hazard_grid_updates",
    "hazard_reason",
    "best_landing_site",
)
IMAGE, MASK, CONFIDENCE = "image", "mask", "confidence"
PLACE_LIMIT = 20_000
"""Positions of the path that are kept; of more every second one is dropped."""
_SETTLED_NS = round(2e9 * LOOK_AHEAD_S)
"""So long after a grid the transforms of its stamp are known, if they come at all."""


class Names(NamedTuple):
    """Full names of topics in a replayed bag: those shared, and those of each camera."""

    shared: Mapping[str, str]
    cameras: Mapping[str, Mapping[str, str]]


class Place(NamedTuple):
    """Where the vehicle was: x, y and the heading's unit vector, in the grid's frame."""

    x_m: float
    y_m: float
    heading_x: float
    heading_y: float


@dataclass(frozen=True)
class Moment:
    """An image that reached the grid, with the grid of its stamp; `place` is the vehicle's."""

    stamp_ns: int
    image: CameraImage
    mask: U8
    confidence: U8
    grid: GridValues
    reason: GridValues | None
    place: Place


@dataclass
class Drive:
    """A replayed bag as a whole.

    Attributes:
        canvas: every cell as it was last observed.
        places: the vehicle at the stamps of the grids, in their order.
        last: the newest grid that knows anything, and its reasons.
        site_m: x and y of the landing site that was chosen last, None where there is none.
        reasons: why cells of the grids are not observed.
        class_counts: (256,) pixels of all masks by class id.
        answers: by camera, stamp and time of recording of each mask with a whole grid.
    """

    canvas: MapCanvas = field(default_factory=MapCanvas)
    places: dict[int, Place] = field(default_factory=dict)
    last: tuple[GridValues, GridValues | None] | None = None
    site_m: tuple[float, float] | None = None
    reasons: set[Reason] = field(default_factory=set)
    class_counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, dtype=np.int64))
    answers: dict[str, list[tuple[int, int]]] = field(default_factory=dict)


def read_drive(
    bag: Path, names: Names, *, grid_frame: str, base_frame: str, cache_s: float
) -> Drive:
    """Read what a replayed bag shows of the drive.

    Args:
        bag: what a replay has written.
        names: of the topics.
        grid_frame: of the grids.
        base_frame: of the vehicle.
        cache_s: how long transforms are kept.

    Raises:
        MessageError: the bag is damaged.
    """
    with BagReader(bag) as reader:
        return _Reading(reader, names, (grid_frame, base_frame), cache_s).drive()


class _Reading:
    """One pass over a replayed bag."""

    def __init__(
        self, reader: BagReader, names: Names, frames: tuple[str, str], cache_s: float
    ) -> None:
        self._reader, self._frames = reader, frames
        self._drive = Drive()
        self._buffer = TransformBuffer(cache_s)
        self._intake = TransformIntake(self._buffer, Health(), cache_s=cache_s)
        self._pending: deque[tuple[int, GridValues]] = deque()
        self._masks: dict[str, tuple[int, int]] = {}
        self._grid: GridValues | None = None
        self._kinds = {full: (row, "") for row, full in names.shared.items()}
        for camera, topics in names.cameras.items():
            self._kinds[topics[MASK]] = (MASK, camera)

    def drive(self) -> Drive:
        chosen = {c.id: self._kind(c) for c in self._reader.connections if self._kind(c)[0]}
        connections = [c for c in self._reader.connections if c.id in chosen]
        for item in self._reader.messages(connections) if connections else ():
            self._settle(item.log_ns - _SETTLED_NS)
            row, camera = chosen[item.connection.id]
            message = _message(item)
            if message is not None:
                self._take(row, camera, message, item.log_ns)
        self._settle(self._reader.end_ns)
        return self._drive

    def _kind(self, connection: Connection) -> tuple[str, str]:
        """Return the row of the table and the camera of a topic; no row where it is not read."""
        for row in ("/tf", "/tf_static"):
            spec = topic(row)
            if connection.msgtype == spec.type and connection.topic.endswith(row):
                return row, ""
        row, camera = self._kinds.get(connection.topic, ("", ""))
        return (row, camera) if row and topic(row).type == connection.msgtype else ("", "")

    def _take(self, row: str, camera: str, message: Any, log_ns: int) -> None:
        if topic(row).group is Group.TRANSFORMS:
            self._intake.add(message, static=row == "/tf_static")
        elif row == MASK:
            pixels = decode_image(message).pixels
            self._drive.class_counts += np.bincount(pixels.ravel(), minlength=256)
            self._masks[camera] = stamp_ns(message.header), log_ns
        elif row == SITE:
            at = message.pose.position
            self._drive.site_m = float(at.x), float(at.y)
        elif row == REASON:
            self._reasons(decode_grid(message))
        else:
            self._grids(row, message, log_ns)

    def _grids(self, row: str, message: Any, log_ns: int) -> None:
        if row == GRID:
            self._grid = decode_grid(message)
        elif self._grid is not None:
            self._grid = apply_grid_update(self._grid, message)
        grid = self._grid
        if grid is None:
            return
        drive = self._drive
        drive.canvas.paste(grid, None)
        if (grid.values != COST_UNKNOWN).any():
            drive.last = grid, None
        # A mask counts once, although cameras of the same stamp each have a grid of it.
        for camera, (stamp, mask_log_ns) in list(self._masks.items()):
            if stamp == grid.stamp_ns and row == GRID:
                drive.answers.setdefault(camera, []).append((stamp, mask_log_ns))
                del self._masks[camera]
        self._pending.append((log_ns, grid))

    def _reasons(self, reason: GridValues) -> None:
        grid = self._grid
        if grid is None or grid.stamp_ns != reason.stamp_ns:
            return
        self._drive.canvas.paste(grid, reason)
        if (grid.values != COST_UNKNOWN).any():
            self._drive.last = grid, reason
        if grid.values.shape == reason.values.shape:
            self._drive.reasons |= reasons_in(grid.values, reason.values.astype(np.uint8))

    def _settle(self, until_ns: int) -> None:
        """Find out where the vehicle was at the grids that were recorded up to a time."""
        while self._pending and self._pending[0][0] <= until_ns:
            _, grid = self._pending.popleft()
            places = self._drive.places
            places[grid.stamp_ns] = self._place(grid)
            if len(places) > PLACE_LIMIT:
                self._drive.places = dict(list(places.items())[::2])

    def _place(self, grid: GridValues) -> Place:
        try:
            pose = self._buffer.lookup(*self._frames, grid.stamp_ns)
        except GeometryError:
            return _centre(grid)
        ahead = pose.rotation[:2, 0]
        length = float(np.linalg.norm(ahead))
        x, y = (ahead / length).tolist() if length > 1e-6 else (1.0, 0.0)
        return Place(float(pose.translation_m[0]), float(pose.translation_m[1]), x, y)


def _centre(grid: GridValues) -> Place:
    """Return the middle of a grid, where the vehicle is assumed; it looks along x."""
    half_m = np.array(grid.values.shape) * grid.resolution_m / 2.0
    y_m, x_m = grid.origin_y_m + half_m[0], grid.origin_x_m + half_m[1]
    return Place(float(x_m), float(y_m), 1.0, 0.0)


def read_moments(
    bag: Path, names: Names, drive: Drive, camera: str, *, count: int
) -> Iterator[Moment]:
    """Yield moments of a camera, evenly spread over its images that reached the grid.

    Raises:
        MessageError: the bag is damaged.
    """
    answers = drive.answers.get(camera, [])
    if not answers:
        return
    places = np.linspace(0, len(answers) - 1, min(count, len(answers)))
    rows = {**names.shared, **names.cameras[camera]}
    with BagReader(bag) as reader:
        for index in places.round().astype(int).tolist():
            stamp, log_ns = answers[index]
            moment = _moment(reader, rows, stamp, log_ns, drive)
            if moment is not None:
                yield moment


def _moment(
    reader: BagReader, rows: Mapping[str, str], stamp: int, log_ns: int, drive: Drive
) -> Moment | None:
    """Return what belongs to a stamp, read around the time at which its mask was written."""
    wanted = {rows[row]: row for row in (IMAGE, MASK, CONFIDENCE, GRID, REASON) if row in rows}
    chosen = [item for item in reader.connections if item.topic in wanted]
    found: dict[str, Any] = {}
    for item in _between(reader, chosen, log_ns):
        message, row = _message(item), wanted[item.connection.topic]
        # A grid before the mask is that of another camera of the same stamp.
        if row in (GRID, REASON) and MASK not in found:
            continue
        if message is not None and _has_stamp(message, stamp):
            found.setdefault(row, message)
        if len(found) == len(wanted):
            break
    try:
        grid = decode_grid(found[GRID])
        return Moment(
            stamp,
            decode_camera_image(found[IMAGE]),
            decode_image(found[MASK]).pixels,
            decode_image(found[CONFIDENCE]).pixels,
            grid,
            decode_grid(found[REASON]) if REASON in found else None,
            drive.places.get(stamp) or _centre(grid),
        )
    except (KeyError, TerrainSegError):
        return None


def _between(reader: BagReader, chosen: Sequence[Connection], log_ns: int) -> Iterator[BagMessage]:
    for item in reader.messages(chosen, since_ns=max(0, log_ns - _SETTLED_NS)):
        if item.log_ns > log_ns + _SETTLED_NS:
            return
        yield item


def _has_stamp(message: Any, stamp: int) -> bool:
    try:
        return stamp_ns(message.header) == stamp
    except TerrainSegError:
        return False


def _message(item: BagMessage) -> Any:
    """Return the message, or None where it cannot be read."""
    if item.defect:
        return None
    try:
        return deserialize(item.data, item.connection.msgtype)
    except TerrainSegError:
        return None
