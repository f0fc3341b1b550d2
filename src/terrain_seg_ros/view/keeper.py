"""Keep the newest message of each topic and make a moment of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from threading import Lock
from typing import Any

import numpy as np

from terrain_seg_ros.core.errors import GeometryError, MessageError, TerrainSegError
from terrain_seg_ros.core.geometry.transform_buffer import TransformBuffer
from terrain_seg_ros.core.types import F32, U8, CameraImage, Transform
from terrain_seg_ros.messages.camera_info_message import camera_model
from terrain_seg_ros.messages.cdr import deserialize
from terrain_seg_ros.messages.cloud_message import decode_sensed_points
from terrain_seg_ros.messages.diagnostics_message import Status, decode_diagnostics
from terrain_seg_ros.messages.grid_map_message import decode_grid_map
from terrain_seg_ros.messages.grid_message import GridValues, apply_grid_update, decode_grid
from terrain_seg_ros.messages.header_message import stamp_ns
from terrain_seg_ros.messages.image_message import decode_camera_image
from terrain_seg_ros.messages.label_info_message import decode_label_info
from terrain_seg_ros.messages.landing_message import decode_landing_sites
from terrain_seg_ros.messages.topics import topic
from terrain_seg_ros.messages.transform_message import StampedTransform, decode_each
from terrain_seg_ros.view.history import STATUS_NAME, History
from terrain_seg_ros.view.moment import Moment
from terrain_seg_ros.view.topics import IMAGES, OPTIONAL, READ, TRANSFORMS, ViewTopics

PAYLOAD_LIMIT_BYTES = 64 * 1024 * 1024
"""Larger messages are not shown: twenty of them must fit into memory."""
IMAGES_KEPT = 30
IMAGE_BYTES_KEPT = 128 * 1024 * 1024
"""Images that wait for their mask, by number and by size."""
UPDATES_KEPT = 200
STATUSES_KEPT = 30
CACHE_S = 60.0
"""Of transforms."""
JUMP_NS = 500_000_000
"""A mask that is older than the last by more than this begins a new drive."""

Decode = Callable[[Any], Any]
_DECODERS: dict[str, Decode] = {
    "mask": decode_camera_image,
    "confidence": decode_camera_image,
    "label_info": decode_label_info,
    "hazard_grid": decode_grid,
    "hazard_reason": decode_grid,
    "safe_map": decode_grid,
    "grid_map": decode_grid_map,
    "hazard_points": decode_sensed_points,
    "landing_sites": decode_landing_sites,
    "camera_info": camera_model,
}


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
        self._statics: dict[str, StampedTransform] = {}
        self._newest: dict[str, Any] = {}
        self._decoded: dict[str, tuple[Any, Any]] = {}
        self._seen: set[str] = set()
        self._images: deque[tuple[int, Any, int]] = deque()
        self._updates: deque[Any] = deque(maxlen=UPDATES_KEPT)
        self._statuses: dict[str, Status] = {}
        self._transforms = TransformBuffer(CACHE_S)
        self._history = History()
        self._poses: tuple[Transform | None, Transform | None] = (None, None)
        self._problems: dict[str, str] = {}
        self._time_ns = self._mask_ns = 0

    def anew(self) -> MomentKeeper:
        """Return one that knows only fixed transforms and class names, for another time."""
        fresh = MomentKeeper(self._topics, base_frame=self._base_frame)
        with self._lock:
            for item in self._statics.values():
                fresh._keep_static(item)
            if "label_info" in self._newest:
                fresh._newest["label_info"] = self._newest["label_info"]
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
            self._take_transforms(message, static=name == "/tf_static")
        elif name == "/diagnostics":
            self._take_statuses(decode_diagnostics(message), time_ns)
        elif name in IMAGES:
            self._images.append((stamp_ns(message.header), message, size_bytes))
            while len(self._images) > IMAGES_KEPT or (
                len(self._images) > 1 and sum(item[2] for item in self._images) > IMAGE_BYTES_KEPT
            ):
                self._images.popleft()
        elif name == "hazard_grid_updates":
            self._updates.append(message)
        else:
            if name == "mask":
                self._note_mask(stamp_ns(message.header), time_ns)
            elif name == "hazard_grid":
                self._updates.clear()
            self._newest[name] = message

    def _take_transforms(self, message: Any, *, static: bool) -> None:
        for item in decode_each(message):
            if isinstance(item, TerrainSegError):
                self._problems["/tf"] = str(item)
                continue
            try:
                if static:
                    self._keep_static(item)
                else:
                    self._transforms.set(*item, static=False)
            except GeometryError as error:
                self._problems["/tf"] = str(error)

    def _keep_static(self, item: StampedTransform) -> None:
        self._transforms.set(*item, static=True)
        self._statics[item.child] = item

    def _take_statuses(self, statuses: Iterable[Status], time_ns: int) -> None:
        for status in statuses:
            if status.name in self._statuses or len(self._statuses) < STATUSES_KEPT:
                self._statuses[status.name] = status
            self._history.add_status(status, time_ns)

    def _note_mask(self, mask_ns: int, time_ns: int) -> None:
        if mask_ns < self._mask_ns - JUMP_NS:
            self._history.clear()
            self._transforms.clear_moving()
            self._images = deque(item for item in self._images if item[0] <= mask_ns)
        self._mask_ns = mask_ns
        self._history.add_delay(mask_ns, time_ns)
        grid = self._newest.get("hazard_grid")
        if grid is not None:
            vehicle = self._look_up(str(grid.header.frame_id), self._base_frame, mask_ns)
            if vehicle is not None:
                self._history.add_place(vehicle.translation_m)

    def moment(self) -> Moment:
        """Return what is known now."""
        with self._lock:
            return self._moment()

    def _moment(self) -> Moment:
        image = self._image()
        mask, confidence = self._mask_and_confidence()
        grid = self._grid()
        camera_pose, vehicle_pose = self._look_up_poses(image, grid)
        cloud, layers = self._value("hazard_points"), self._value("grid_map")
        frame = "" if grid is None else grid.frame_id
        return Moment(
            time_ns=self._time_ns,
            image=image,
            mask=mask,
            confidence=confidence,
            class_names=self._value("label_info") or {},
            camera=self._value("camera_info"),
            grid=grid,
            reason=self._in_frame("hazard_reason", frame),
            safe_map=self._in_frame("safe_map", frame),
            layers=layers if layers is not None and layers.frame_id == frame else None,
            hazard_points_m=_finite(cloud.points_m)
            if cloud is not None and cloud.frame_id == frame
            else None,
            sites=tuple(self._value("landing_sites") or ()),
            camera_pose=camera_pose,
            vehicle_pose=vehicle_pose,
            path_xyz_m=self._history.path_xyz_m,
            health=self._history.health,
            delays=self._history.delays,
            statuses=tuple(sorted(self._statuses.values(), key=_rank)),
            missing=tuple(self._missing()),
            problems={self._topics.full_name(n): text for n, text in self._problems.items()},
        )

    def _value(self, name: str) -> Any:
        """Return the decoded newest message of a topic, None without one or if it is unusable."""
        message = self._newest.get(name)
        if message is None:
            return None
        known = self._decoded.get(name)
        if known is None or known[0] is not message:
            self._decoded[name] = known = (message, self._decode(name, message))
        return known[1]

    def _decode(self, name: str, message: Any) -> Any:
        try:
            value = _DECODERS[name](message)
        except TerrainSegError as error:
            self._problems[name] = str(error)
            return None
        self._problems.pop(name, None)
        return value

    def _image(self) -> CameraImage | None:
        """Return the image of the mask's stamp, else the newest."""
        if not self._images:
            return None
        of_mask = (message for stamp, message, _ in self._images if stamp == self._mask_ns)
        message = next(of_mask, self._images[-1][1])
        known = self._decoded.get("image")
        if known is None or known[0] is not message:
            try:
                value = decode_camera_image(message)
            except TerrainSegError as error:
                self._problems["image"] = str(error)
                value = None
            self._decoded["image"] = known = (message, value)
        image: CameraImage | None = known[1]
        return image

    def _mask_and_confidence(self) -> tuple[U8 | None, U8 | None]:
        mask, confidence = self._value("mask"), self._value("confidence")
        if mask is None or mask.pixels.ndim != 2:
            return None, None
        fits = confidence is not None and confidence.stamp_ns == mask.stamp_ns
        fits = fits and confidence.pixels.shape == mask.pixels.shape
        return mask.pixels, confidence.pixels if fits else None

    def _grid(self) -> GridValues | None:
        grid: GridValues | None = self._value("hazard_grid")
        if grid is None or not self._updates:
            return grid
        message = self._newest["hazard_grid"]
        try:
            while self._updates:
                grid = apply_grid_update(grid, self._updates.popleft())
        except MessageError as error:
            self._problems["hazard_grid_updates"] = str(error)
        self._decoded["hazard_grid"] = (message, grid)
        return grid

    def _in_frame(self, name: str, frame: str) -> GridValues | None:
        found: GridValues | None = self._value(name)
        return found if found is not None and found.frame_id == frame else None

    def _look_up_poses(
        self, image: CameraImage | None, grid: GridValues | None
    ) -> tuple[Transform | None, Transform | None]:
        """Return camera and vehicle in the grid's frame at the image's stamp, else the last."""
        if grid is None:
            return self._poses
        stamp, frame = (image.stamp_ns, image.frame_id) if image else (grid.stamp_ns, "")
        camera = self._look_up(grid.frame_id, frame, stamp) or self._poses[0]
        vehicle = self._look_up(grid.frame_id, self._base_frame, stamp) or self._poses[1]
        self._poses = (camera, vehicle)
        return self._poses

    def _look_up(self, target: str, source: str, stamp: int) -> Transform | None:
        if not source or not target:
            return None
        try:
            found = self._transforms.lookup(target, source, stamp)
        except GeometryError as error:
            self._problems["/tf"] = str(error)
            return None
        if "/tf" in self._problems and "no transform" in self._problems["/tf"]:
            del self._problems["/tf"]
        return found

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
