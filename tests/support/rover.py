"""A small rover for the runtime's tests: parameters, messages and a camera on a bus-less node."""

from __future__ import annotations

import numpy as np

from terrain_seg_ros.core.geometry.camera import camera_from_field_of_view
from terrain_seg_ros.core.geometry.transform_buffer import TransformBuffer
from terrain_seg_ros.core.types import Transform
from terrain_seg_ros.messages.camera_info_message import encode_camera_info
from terrain_seg_ros.messages.cdr import deserialize, message_class, serialize
from terrain_seg_ros.messages.header_message import make_header
from terrain_seg_ros.messages.image_message import encode_image
from terrain_seg_ros.messages.transform_message import StampedTransform, encode_transforms
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.runtime.frame_processor import FrameProcessor
from terrain_seg_ros.runtime.health import Health
from terrain_seg_ros.runtime.session import Session
from terrain_seg_ros.runtime.transform_intake import TransformIntake

WIDTH_PX, HEIGHT_PX = 96, 64
OPTICAL = "navcam_optical"
SECOND_NS = 1_000_000_000
START_NS = 1_000 * SECOND_NS
BASE = {"model": "synthetic", "backend": "constant", "horizontal_fov_rad": 0.0}
STATIC = {"mounting.use_tf": False}


def through_cdr(message, type_name):
    """Return a message as it comes off the wire: its arrays are read-only views."""
    return deserialize(bytes(serialize(message, type_name)), type_name)


def image_message(stamp_ns=START_NS, *, pixels=None, frame_id=OPTICAL):
    if pixels is None:
        pixels = np.full((HEIGHT_PX, WIDTH_PX), 120, dtype=np.uint8)
    encoding = "mono8" if pixels.ndim == 2 else "rgb8"
    header = make_header(message_class, stamp_ns, frame_id)
    message = encode_image(message_class, pixels, encoding, header)
    return through_cdr(message, "sensor_msgs/msg/Image")


def camera_info_message(stamp_ns=START_NS, *, width_px=WIDTH_PX, height_px=HEIGHT_PX):
    camera = camera_from_field_of_view(
        width_px=width_px, height_px=height_px, horizontal_fov_rad=1.0
    )
    header = make_header(message_class, stamp_ns, OPTICAL)
    message = encode_camera_info(message_class, camera, header)
    return through_cdr(message, "sensor_msgs/msg/CameraInfo")


def transform_message(parent, child, stamp_ns, *, translation_m=(0.0, 0.0, 0.0), rotation=None):
    rotation = np.eye(3) if rotation is None else rotation
    transform = Transform(rotation, np.array(translation_m))
    item = StampedTransform(parent, child, stamp_ns, transform)
    return through_cdr(encode_transforms(message_class, [item]), "tf2_msgs/msg/TFMessage")


class Rover:
    """Hold a node without a bus."""

    def __init__(self, overrides=None, **options):
        self.parameters = load_parameters(overrides={**BASE, **(overrides or {})})
        self.session = Session(self.parameters)
        self.buffer = TransformBuffer(self.parameters.transforms.tf_cache_s)
        self.health = Health()
        self.intake = TransformIntake(
            self.buffer,
            self.health,
            cache_s=self.parameters.transforms.tf_cache_s,
            on_jump=self._expect_time_jump,
        )
        options.setdefault("on_time_jump", self.intake.forget_moving)
        self.node = FrameProcessor(
            self.session, message_class, self.buffer, health=self.health, **options
        )

    def _expect_time_jump(self):
        self.node.expect_time_jump()

    def send(self, message, *, camera="navcam"):
        """Return what an image gives, by topic."""
        return dict(self.node.image(camera, message))

    def send_info(self, message=None, *, camera="navcam"):
        self.node.take("camera_info", camera, camera_info_message() if message is None else message)

    @property
    def refused(self):
        return dict(self.health.snapshot().refused)

    @property
    def dropped(self):
        return dict(self.health.snapshot().dropped)

    @property
    def text(self):
        return self.health.snapshot().last_refusal
