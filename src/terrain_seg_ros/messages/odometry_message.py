"""Odometry and the simulated clock."""

from __future__ import annotations

from typing import Any

import numpy as np

from terrain_seg_ros.core.types import F64, Transform
from terrain_seg_ros.messages.header_message import make_header, make_time
from terrain_seg_ros.messages.message_types import Types
from terrain_seg_ros.messages.transform_message import quaternion_from_rotation


def encode_odometry(
    types: Types,
    stamp_ns: int,
    frames: tuple[str, str],
    odom_T_base: Transform,
    velocity_base: tuple[F64, F64],
) -> Any:
    """Return a nav_msgs/Odometry without covariance.

    Args:
        types: message classes.
        stamp_ns: of the pose.
        frames: names of the odometry's frame and of the vehicle's.
        odom_T_base: the pose.
        velocity_base: linear (m/s) and angular (rad/s), (3,) each, in the vehicle's frame.
    """
    x, y, z, w = quaternion_from_rotation(odom_T_base.rotation)
    tx, ty, tz = odom_T_base.translation_m.tolist()
    vector = types("geometry_msgs/msg/Vector3")
    linear, angular = (
        vector(x=float(part[0]), y=float(part[1]), z=float(part[2])) for part in velocity_base
    )
    pose = types("geometry_msgs/msg/Pose")(
        position=types("geometry_msgs/msg/Point")(x=tx, y=ty, z=tz),
        orientation=types("geometry_msgs/msg/Quaternion")(x=x, y=y, z=z, w=w),
    )
    return types("nav_msgs/msg/Odometry")(
        header=make_header(types, stamp_ns, frames[0]),
        child_frame_id=frames[1],
        pose=types("geometry_msgs/msg/PoseWithCovariance")(pose=pose, covariance=np.zeros(36)),
        twist=types("geometry_msgs/msg/TwistWithCovariance")(
            twist=types("geometry_msgs/msg/Twist")(linear=linear, angular=angular),
            covariance=np.zeros(36),
        ),
    )


def encode_clock(types: Types, time_ns: int) -> Any:
    """Return the simulated time as a rosgraph_msgs/Clock."""
    return types("rosgraph_msgs/msg/Clock")(clock=make_time(types, time_ns))
