"""A rover's other nodes: publish camera and transforms, listen to all that the node gives."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from support.buses import WAIT_S, wait_until
from terrain_seg_ros.core.geometry.camera import camera_from_field_of_view
from terrain_seg_ros.core.geometry.frames import BODY_R_OPTICAL
from terrain_seg_ros.core.types import Transform
from terrain_seg_ros.dds.discovery import Discovery
from terrain_seg_ros.dds.endpoints import Reader, Writer
from terrain_seg_ros.dds.names import dds_topic_name
from terrain_seg_ros.dds.participant import Participant
from terrain_seg_ros.messages import cdr
from terrain_seg_ros.messages.camera_info_message import encode_camera_info
from terrain_seg_ros.messages.diagnostics_message import decode_diagnostics
from terrain_seg_ros.messages.header_message import make_header, stamp_ns
from terrain_seg_ros.messages.image_message import encode_image
from terrain_seg_ros.messages.topics import topic
from terrain_seg_ros.messages.transform_message import StampedTransform, encode_transforms

WIDTH_PX, HEIGHT_PX = 96, 64
OPTICAL = "navcam_optical"
TYPES = cdr.message_class
STEP_NS = 20_000_000


def stamped(stamp, *, width=WIDTH_PX, height=HEIGHT_PX, value=120):
    pixels = np.full((height, width), value, dtype=np.uint8)
    return encode_image(TYPES, pixels, "mono8", make_header(TYPES, stamp, OPTICAL))


def intrinsics(*, width=WIDTH_PX, height=HEIGHT_PX):
    camera = camera_from_field_of_view(width_px=width, height_px=height, horizontal_fov_rad=1.0)
    return encode_camera_info(TYPES, camera, make_header(TYPES, 0, OPTICAL))


def transforms(parent, child, stamp, transform):
    return encode_transforms(TYPES, [StampedTransform(parent, child, stamp, transform)])


class Peer:
    """Hold writers for the node's inputs and readers for its outputs."""

    def __init__(self, domain, outputs=("mask", "hazard_grid"), *, image_topic="image"):
        self.member = Participant(domain, Discovery.HOST)
        self.writers = {
            name: self._end(Writer, replace(topic(row), name=name))
            for name, row in [
                (image_topic, "image"),
                ("camera_info", "camera_info"),
                ("/tf", "/tf"),
                ("/tf_static", "/tf_static"),
            ]
        }
        self.image = self.writers[image_topic]
        self.readers = {name: self._end(Reader, topic(name)) for name in outputs}
        self.diagnostics = self._end(Reader, topic("/diagnostics"))
        self.last = {}

    def _end(self, kind, spec):
        return kind(self.member, spec, dds_name=dds_topic_name(spec.name, "/terrain"))

    def meet(self):
        """Wait until every endpoint has found its counterpart."""
        wait_until(
            lambda: (
                all(writer.subscriber_count for writer in self.writers.values())
                and all(reader.publisher_count for reader in self.readers.values())
                and self.diagnostics.publisher_count
            ),
            "the node",
        )

    def mount(self):
        """Publish intrinsics, the mounting and where the vehicle stands."""
        self.writers["camera_info"].write(intrinsics())
        mounting = Transform(BODY_R_OPTICAL, np.array([0.0, 0.0, 1.5]))
        self.writers["/tf_static"].write(transforms("base_link", OPTICAL, 0, mounting))

    def drive(self, stamp):
        """Publish the vehicle's pose on both sides of a stamp."""
        for moment in (stamp - STEP_NS, stamp + STEP_NS):
            pose = Transform(np.eye(3), np.array([1.0, 2.0, 0.0]))
            self.writers["/tf"].write(transforms("odom", "base_link", moment, pose))

    def show(self, **changes):
        """Publish a good image with its pose; return it."""
        message = stamped(time.time_ns(), **changes)
        self.drive(stamp_ns(message.header))
        self.image.write(message)
        return message

    def listen(self):
        """Keep the newest of each output."""
        for name, reader in self.readers.items():
            for message in reader.take():
                self.last[name] = message

    def answer(self, name, stamp, *, seconds=WAIT_S):
        """Wait for the output with a stamp."""

        def arrived():
            self.listen()
            message = self.last.get(name)
            return message is not None and stamp_ns(message.header) == stamp and message

        return wait_until(arrived, f"{name} of {stamp}", seconds=seconds, every=0.0005)

    def report(self, condition):
        """Wait for a diagnostic status that fulfils the condition."""

        def arrived():
            for message in self.diagnostics.take():
                for status in decode_diagnostics(message):
                    if condition(status):
                        return status
            return None

        return wait_until(arrived, "a diagnostic status")

    def close(self):
        for end in (*self.writers.values(), *self.readers.values(), self.diagnostics):
            end.close()
        self.member.close()
