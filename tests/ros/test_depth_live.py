"""Depth images and ranges beside the camera, on a real bus."""

from __future__ import annotations

import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no ROS 2 here; `make test-ros` runs these beside one")

from support.ros_peer import HEIGHT_PX, OPTICAL, WIDTH_PX, message_class, transforms, wait_until
from terrain_seg_ros.core.ground.measurement import DepthImage
from terrain_seg_ros.core.types import Transform
from terrain_seg_ros.messages.depth_message import encode_depth
from terrain_seg_ros.messages.diagnostics_message import decode_diagnostics
from terrain_seg_ros.messages.header_message import make_header
from terrain_seg_ros.ros.message_classes import ROS_TYPES


@pytest.mark.parametrize("source", ["image", "range"])
def test_depth_and_range_are_taken_and_tell_how_the_plane_fits(start, peer, source):
    start(depth__source=source)
    peer.listen("mask", "hazard_grid", "/diagnostics")
    peer.bring_up()
    down = Transform(
        np.array([[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]]), np.array([0.0, 0.0, 1.0])
    )
    peer.publisher("/tf_static", "/tf_static").publish(
        transforms("base_link", "altimeter", 0, down)
    )
    sensor = peer.publisher("/terrain/depth", "depth" if source == "image" else "range")

    def measured():
        stamp = time.time_ns()
        if source == "image":
            depth = DepthImage(np.full((HEIGHT_PX, WIDTH_PX), 3.0, np.float32), stamp)
            sensor.publish(encode_depth(ROS_TYPES, depth, make_header(ROS_TYPES, stamp, OPTICAL)))
        else:
            header = make_header(ROS_TYPES, stamp, "altimeter")
            message = message_class("sensor_msgs/msg/Range")
            sensor.publish(message(header=header, min_range=0.1, max_range=9.0, range=0.75))
        peer.show(stamp=stamp)
        statuses = [s for m in list(peer.got["/diagnostics"]) for s in decode_diagnostics(m)]
        return [s.values["ground_residual_m"] for s in statuses if "ground_residual_m" in s.values]

    values = wait_until(measured, "a residual", every=0.1)
    if source == "range":
        assert float(values[0]) == pytest.approx(0.25, abs=1e-3)
