"""Odometry and clock through CDR and back."""

from __future__ import annotations

import numpy as np
import pytest

from terrain_seg_ros.core.geometry.frames import rotation_from_rpy
from terrain_seg_ros.core.geometry.transform_buffer import transform_from_quaternion
from terrain_seg_ros.core.types import Transform
from terrain_seg_ros.messages.cdr import deserialize, message_class, serialize
from terrain_seg_ros.messages.header_message import stamp_ns, time_ns
from terrain_seg_ros.messages.odometry_message import encode_clock, encode_odometry

STAMP_NS = 12_345_678_901


def test_odometry_keeps_pose_velocity_and_frames():
    pose = Transform(rotation_from_rpy(0.1, -0.2, 2.5), np.array([1.0, -2.0, 0.5]))
    velocity = (np.array([0.5, 0.0, 0.1]), np.array([0.0, 0.01, -0.2]))
    message = encode_odometry(message_class, STAMP_NS, ("odom", "base_link"), pose, velocity)
    read = deserialize(serialize(message, "nav_msgs/msg/Odometry"), "nav_msgs/msg/Odometry")
    assert stamp_ns(read.header) == STAMP_NS
    assert (read.header.frame_id, read.child_frame_id) == ("odom", "base_link")
    q, t = read.pose.pose.orientation, read.pose.pose.position
    back = transform_from_quaternion(q.x, q.y, q.z, q.w, np.array([t.x, t.y, t.z]))
    assert np.allclose(back.rotation, pose.rotation)
    assert np.array_equal(back.translation_m, pose.translation_m)
    linear, angular = read.twist.twist.linear, read.twist.twist.angular
    assert (linear.x, linear.z, angular.z) == pytest.approx((0.5, 0.1, -0.2))


def test_the_clock_is_the_time():
    message = encode_clock(message_class, STAMP_NS)
    read = deserialize(serialize(message, "rosgraph_msgs/msg/Clock"), "rosgraph_msgs/msg/Clock")
    assert time_ns(read.clock) == STAMP_NS
