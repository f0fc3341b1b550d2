"""The node without its network: what it takes of a bag's images, and what it would refuse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from terrain_seg_ros.bag.cameras import BagCamera
from terrain_seg_ros.bag.feed import InputFeed
from terrain_seg_ros.bag.stream import Stream
from terrain_seg_ros.core.errors import GeometryError, TerrainSegError
from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.ground.mask_to_ground import GroundProjector
from terrain_seg_ros.core.image.image_to_tensor import tensor_geometry
from terrain_seg_ros.core.image.sample_bits import SampleBits
from terrain_seg_ros.core.model_card import ModelCard
from terrain_seg_ros.core.types import CameraImage
from terrain_seg_ros.messages.encodings import parse_format
from terrain_seg_ros.messages.header_message import stamp_ns
from terrain_seg_ros.messages.image_message import decode_camera_image, flat_bytes
from terrain_seg_ros.messages.picture_size import picture_size
from terrain_seg_ros.messages.topics import topic
from terrain_seg_ros.parameters.node_settings import NodeSettings
from terrain_seg_ros.runtime.frame import Frame, refusing
from terrain_seg_ros.runtime.frame_intake import FrameIntake
from terrain_seg_ros.runtime.frame_stages import Sources
from terrain_seg_ros.runtime.health import Note, Refusal, RefusedError
from terrain_seg_ros.runtime.height_map_file import read_height_map
from terrain_seg_ros.runtime.vehicle_pose import VehiclePose
from terrain_seg_ros.runtime.view_check import ViewCheck

CLOSE_LOOKS = 200
"""Images per camera whose JPEG or PNG is decoded and whose pixels are put onto the ground."""
MOUNTING, MOTION = "mounting", "motion"
"""The two transforms that an image needs: base_frame to the camera, grid_frame to base_frame."""


@dataclass
class CameraTally:
    """What became of the images of one camera.

    Attributes:
        camera: names and topics.
        stream: figures of the image topic.
        images: how many came; those that are no message of their type are not among them.
        masks: images that the network would get; `pixels` is the sum of theirs.
        grids: those of them that would reach the grid.
        refused: how many were refused, by reason.
        texts: the last text of each reason.
        lacking: images without one of the transforms `MOUNTING` and `MOTION`, with the last text.
        infos: camera_info messages that can be used; `bad_infos` those that cannot.
        info_text: what is wrong with the last of those, or what was assumed to use it.
        lens: the camera model in use.
        sees_ground: whether any pixel of the last image that was looked at meets the ground.
    """

    camera: BagCamera
    stream: Stream
    images: int = 0
    masks: int = 0
    pixels: int = 0
    grids: int = 0
    refused: Counter[Refusal] = field(default_factory=Counter)
    texts: dict[Refusal, str] = field(default_factory=dict)
    lacking: dict[str, tuple[int, str]] = field(default_factory=dict)
    infos: int = 0
    bad_infos: int = 0
    info_text: str = ""
    lens: CameraModel | None = None
    sees_ground: bool = True

    def refuse(self, reason: Refusal, text: str) -> None:
        """Count an image that cannot be used."""
        self.refused[reason] += 1
        self.texts[reason] = text

    def lack(self, what: str, text: str) -> None:
        """Count an image that lacks a transform."""
        self.lacking[what] = self.lacking.get(what, (0, ""))[0] + 1, text


class DryNode:
    """Takes what a feed hands over and does all that the node does, except the network.

    Counts go to the feed's health and, by camera, to `tallies`.
    """

    def __init__(
        self,
        feed: InputFeed,
        parameters: NodeSettings,
        cameras: Sequence[BagCamera],
        *,
        card: ModelCard,
        streams: Mapping[str, Stream],
        counts: Mapping[str, int],
    ) -> None:
        """Prepare for images.

        Args:
            feed: gives transforms, clock and counters.
            parameters: of the node, with the bag's cameras.
            cameras: of the bag.
            card: of the model, for the size of its input.
            streams: figures of the image topics, by camera; headers and forms are added here.
            counts: number of images in the bag, by camera.

        Raises:
            ConfigError: the height map cannot be read.
        """
        ground = parameters.pipeline.ground
        self.tallies = {item.name: CameraTally(item, streams[item.name]) for item in cameras}
        self._feed, self._parameters, self._card = feed, parameters, card
        self._health = feed.health
        self._intake = FrameIntake(
            parameters, feed.health, clock_ns=None, clock_s=feed.now_s, decode=self._decode
        )
        topics = {item.name: item.image_topic for item in cameras}
        self._sources = Sources.of(parameters, feed.buffer, image_topics=topics, health=feed.health)
        self._projector = GroundProjector(
            ground,
            cell_m=parameters.pipeline.grid.resolution_m,
            heights=read_height_map(parameters),
        )
        self._views = ViewCheck(feed.health)
        self._steps = {name: -(-count // CLOSE_LOOKS) or 1 for name, count in counts.items()}
        self._is_close = True

    def image(self, camera: str, message: Any) -> None:
        """Take an image as far as it goes without the network."""
        tally = self.tallies[camera]
        tally.stream.header(message.header, self._feed.clock_ns)
        tally.stream.picture(message)
        self._is_close = tally.images % self._steps[camera] == 0
        tally.images += 1
        self._health.count_in()
        frame = Frame(camera, message, 0.0)
        self._guarded(frame, self._intake.accept)
        if frame.jumped:
            self._health.note(Note.TIME_JUMP)
            self._sources.poses.time_jumped()
            self._feed.forget_moving()
        if frame.image is not None:
            self._guarded(frame, self._locate)

    def beside(self, row: str, camera: str, message: Any) -> None:
        """Take intrinsics or a measurement of the ground."""
        if row != "camera_info":
            self._sources.ground.put(camera, message)
            return
        tally = self.tallies[camera]
        try:
            tally.info_text = self._sources.infos.read(camera, message)
            tally.infos += 1
        except TerrainSegError as error:
            tally.bad_infos += 1
            tally.info_text = str(error)
            self._health.count_refused(Refusal(topic(row).malformed), str(error))

    def tick(self) -> None:
        """Do nothing: there is no grid that could be stale."""

    def give_up(self) -> None:
        """Do nothing: there is no grid to withdraw."""

    def expect_time_jump(self) -> None:
        """Believe the next image that lies back in time."""
        self._intake.expect_jump()

    def _guarded(self, frame: Frame, work: Callable[[Frame], None]) -> None:
        try:
            work(frame)
        except TerrainSegError as error:
            frame.image = None
            reason = error.reason if isinstance(error, RefusedError) else Refusal.BAD_IMAGE
            self._health.count_refused(reason, str(error))
            self.tallies[frame.camera].refuse(reason, str(error))

    def _locate(self, frame: Frame) -> None:
        """Find out whether an image would reach the grid.

        Raises:
            RefusedError: it would not.
        """
        image, tally = frame.image, self.tallies[frame.camera]
        if image is None:
            return
        tally.masks += 1
        tally.pixels += image.width_px * image.height_px
        try:
            with refusing(Refusal.GEOMETRY):
                intrinsics = self._sources.infos.intrinsics(frame.camera, image)
        except RefusedError:
            # The node stops here; whether transforms are lacking as well is told all the same.
            if self._parameters.mounting.use_tf:
                self._explain(image.frame_id, frame.stamp_ns, tally)
            raise
        tally.lens = intrinsics.camera
        if intrinsics.assumed:
            self._health.note(Note.FIELD_OF_VIEW)
        pose = self._pose(frame, image, tally)
        if self._is_close:
            self._look_at_ground(frame, image, intrinsics.camera, pose)
        tally.grids += tally.sees_ground

    def _pose(self, frame: Frame, image: CameraImage, tally: CameraTally) -> VehiclePose:
        try:
            with refusing(Refusal.NO_TRANSFORM):
                pose = self._sources.poses.pose(image.frame_id, frame.stamp_ns)
        except RefusedError:
            self._explain(image.frame_id, frame.stamp_ns, tally)
            raise
        if pose.assumed:
            self._health.note(Note.FIXED_POSE)
        if pose.jumped:
            self._health.note(Note.POSE_JUMP)
        return pose

    def _explain(self, optical_frame: str, stamp: int, tally: CameraTally) -> None:
        """Count which of the two transforms an image lacks."""
        pipeline = self._parameters.pipeline
        base, grid = pipeline.ground.base_frame, pipeline.grid.frame_id
        pairs = {MOTION: (grid, base)}
        if self._parameters.mounting.use_tf and optical_frame:
            pairs[MOUNTING] = (base, optical_frame)
        for what, (target, source) in pairs.items():
            text = self._why_no_transform(target, source, stamp)
            if text:
                tally.lack(what, text)

    def _why_no_transform(self, target: str, source: str, stamp: int) -> str:
        try:
            self._feed.buffer.lookup(target, source, stamp)
        except GeometryError as error:
            return str(error)
        return ""

    def _look_at_ground(
        self, frame: Frame, image: CameraImage, camera: CameraModel, pose: VehiclePose
    ) -> None:
        with refusing(Refusal.BAD_DEPTH):
            measured = self._sources.ground.at(
                frame.camera, frame.stamp_ns, optical_frame=image.frame_id, pose=pose
            )
        with refusing(Refusal.GEOMETRY):
            view = self._projector.project(
                camera,
                tensor_geometry(self._card, image.width_px, image.height_px),
                grid_T_camera=pose.grid_T_camera,
                grid_T_base=pose.grid_T_base,
                measured=measured,
            )
        self.tallies[frame.camera].sees_ground = self._views.sees_ground(
            frame.camera, image.frame_id, view, pose.grid_T_camera
        )

    def _decode(self, message: Any, bits: SampleBits) -> CameraImage:
        """Return an image; one that is compressed without its pixels, unless looked at closely."""
        if self._is_close or hasattr(message, "encoding"):
            return decode_camera_image(message, bits)
        parse_format(str(message.format))
        width_px, height_px = picture_size(flat_bytes(message.data).data)
        blank = np.broadcast_to(np.uint8(0), (height_px, width_px))
        return CameraImage(blank, stamp_ns(message.header), str(message.header.frame_id))
