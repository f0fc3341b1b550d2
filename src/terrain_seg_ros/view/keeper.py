"""Keep the newest message of each topic and make a moment of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from threading import Lock
from typing import Any

import numpy as np

from terrain_seg_ros.core.errors import MessageError, TerrainSegError
from terrain_seg_ros.core.types import F32, U8, CameraImage, Transform
from terrain_seg_ros.messages.cdr import deserialize
from terrain_seg_ros.messages.diagnostics_message import Status, decode_diagnostics
from terrain_seg_ros.messages.grid_message import GridValues, apply_grid_update
from terrain_seg_ros.messages.header_message import stamp_ns
from terrain_seg_ros.messages.topics import topic
from terrain_seg_ros.view.history import STATUS_NAME, History
from terrain_seg_ros.view.moment import Moment
from terrain_seg_ros.view.newest_messages import NewestMessages
from terrain_seg_ros.view.poses import Poses
from terrain_seg_ros.view.topics import IMAGES, OPTIONAL, READ, TRANSFORMS, ViewTopics
from terrain_seg_ros.view.waiting_images import WaitingImages

PAYLOAD_LIMIT_BYTES = 64 * 1024 * 1024
"""Larger messages are not shown: twenty of them must fit into memory."""
UPDATES_KEPT = 200
STATUSES_KEPT = 30
JUMP_NS = 500_000_000
"""A mask that is older than the last by more than this begins a new drive."""


class MomentKeeper:
    """Take messages of `READ` as CDR bytes, from one thread, and give moments to others.

    What is kept is bounded whatever is sent: one message per topic, a few images that wait for
    their mask, and a bounded history. Nothing that a message holds raises here.
    """

    def __init__(self, topics: ViewTopics, *, base_frame: str) -> None:
        """Begin with nothing.

        Args:
            topics: names for `missing` and `problems`.
            base_frame: the vehicle's frame.
        """
        self._topics = topics
        self._base_frame = base_frame
        self._lock = Lock()
        self._problems: dict[str, str] = {}
        self._newest = NewestMessages(self._problems)
        self._images = WaitingImages(self._problems)
        self._poses = Poses(base_frame, self._problems)
        self._seen: set[str] = set()
        self._updates: deque[Any] = deque(maxlen=UPDATES_KEPT)
        self._statuses: dict[str, Status] = {}
        self._history = History()
        self._time_ns = self._mask_ns = 0

    def anew(self) -> MomentKeeper:
        """Return one that knows only fixed transforms and class names, for another time."""
        fresh = MomentKeeper(self._topics, base_frame=self._base_frame)
        with self._lock:
            fresh._poses.take_statics_of(self._poses)
            names = self._newest.message("label_info")
            if names is not None:
                fresh._newest.put("label_info", names)
                fresh._seen.add("label_info")
        return fresh

    def take(self, name: str, payload: bytes, time_ns: int) -> None:
        """Take one message.

        Args:
            name: of the topic, as in `READ`.
            payload: CDR bytes.
            time_ns: when it was recorded or has arrived.
        """
        with self._lock:
            self._seen.add(name)
            self._time_ns = max(self._time_ns, time_ns)
            try:
                if len(payload) > PAYLOAD_LIMIT_BYTES:
                    raise MessageError(
                        f"message of {len(payload)} bytes is larger than the viewer's limit of "
                        f"{PAYLOAD_LIMIT_BYTES}"
                    )
                self._sort_in(name, deserialize(payload, topic(name).type), len(payload), time_ns)
            except TerrainSegError as error:
                self._problems[name] = str(error)

    def _sort_in(self, name: str, message: Any, size_bytes: int, time_ns: int) -> None:
        if name in TRANSFORMS:
            self._poses.take(message, static=name == "/tf_static")
        elif name == "/diagnostics":
            self._take_statuses(decode_diagnostics(message), time_ns)
        elif name in IMAGES:
            self._images.add(message, size_bytes)
        elif name == "hazard_grid_updates":
            self._updates.append(message)
        else:
            if name == "mask":
                self._note_mask(stamp_ns(message.header), time_ns)
            elif name == "hazard_grid":
                self._updates.clear()
            self._newest.put(name, message)

    def _take_statuses(self, statuses: Iterable[Status], time_ns: int) -> None:
        for status in statuses:
            if status.name in self._statuses or len(self._statuses) < STATUSES_KEPT:
                self._statuses[status.name] = status
            self._history.add_status(status, time_ns)

    def _note_mask(self, mask_ns: int, time_ns: int) -> None:
        if mask_ns < self._mask_ns - JUMP_NS:
            self._history.clear()
            self._poses.clear_moving()
            self._images.drop_newer(mask_ns)
        self._mask_ns = mask_ns
        self._history.add_delay(mask_ns, time_ns)
        grid = self._newest.message("hazard_grid")
        if grid is not None:
            vehicle = self._poses.vehicle(str(grid.header.frame_id), mask_ns)
            if vehicle is not None:
                self._history.add_place(vehicle.translation_m)

    def moment(self) -> Moment:
        """Return what is known now."""
        with self._lock:
            return self._moment()

    def _moment(self) -> Moment:
        image = self._images.image_of(self._mask_ns)
        mask, confidence = self._mask_and_confidence()
        grid = self._grid()
        camera_pose, vehicle_pose = self._camera_and_vehicle(image, grid)
        value = self._newest.value
        cloud, layers = value("hazard_points"), value("grid_map")
        frame = "" if grid is None else grid.frame_id
        return Moment(
            time_ns=self._time_ns,
            image=image,
            mask=mask,
            confidence=confidence,
            class_names=value("label_info") or {},
            camera=value("camera_info"),
            grid=grid,
            reason=self._in_frame("hazard_reason", frame),
            safe_map=self._in_frame("safe_map", frame),
            layers=layers if layers is not None and layers.frame_id == frame else None,
            hazard_points_m=_finite(cloud.points_m)
            if cloud is not None and cloud.frame_id == frame
            else None,
            sites=tuple(value("landing_sites") or ()),
            camera_pose=camera_pose,
            vehicle_pose=vehicle_pose,
            path_xyz_m=self._history.path_xyz_m,
            health=self._history.health,
            delays=self._history.delays,
            statuses=tuple(sorted(self._statuses.values(), key=_rank)),
            missing=tuple(self._missing()),
            problems={self._topics.full_name(n): text for n, text in self._problems.items()},
        )

    def _mask_and_confidence(self) -> tuple[U8 | None, U8 | None]:
        mask, confidence = (self._newest.value(name) for name in ("mask", "confidence"))
        if mask is None or mask.pixels.ndim != 2:
            return None, None
        fits = confidence is not None and confidence.stamp_ns == mask.stamp_ns
        fits = fits and confidence.pixels.shape == mask.pixels.shape
        return mask.pixels, confidence.pixels if fits else None

    def _grid(self) -> GridValues | None:
        grid: GridValues | None = self._newest.value("hazard_grid")
        if grid is None or not self._updates:
            return grid
        try:
            while self._updates:
                grid = apply_grid_update(grid, self._updates.popleft())
        except MessageError as error:
            self._problems["hazard_grid_updates"] = str(error)
        self._newest.change("hazard_grid", grid)
        return grid

    def _in_frame(self, name: str, frame: str) -> GridValues | None:
        found: GridValues | None = self._newest.value(name)
        return found if found is not None and found.frame_id == frame else None

    def _camera_and_vehicle(
        self, image: CameraImage | None, grid: GridValues | None
    ) -> tuple[Transform | None, Transform | None]:
        """Return their poses in the grid's frame at the image's stamp."""
        if grid is None:
            return None, None
        stamp, frame = (image.stamp_ns, image.frame_id) if image else (grid.stamp_ns, "")
        return self._poses.camera_and_vehicle(grid.frame_id, frame, stamp)

    def _missing(self) -> Iterator[str]:
        for name in READ:
            if name in self._seen or name in OPTIONAL:
                continue
            if name == "image" and "image/compressed" in self._seen:
                continue
            yield self._topics.full_name(name)


def _finite(points_m: F32) -> F32:
    return points_m[np.isfinite(points_m).all(axis=1)]


def _rank(status: Status) -> tuple[bool, str]:
    return not status.name.startswith(STATUS_NAME), status.name
