"""Rotations between the frames of vehicles and cameras (REP-103)."""

from __future__ import annotations

import math

import numpy as np

from terrain_seg_ros.core.types import F64

BODY_R_OPTICAL: F64 = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
"""Rotation of a camera that looks along the body's x: optical z is forward, x right, y down."""


def rotation_from_rpy(roll_rad: float, pitch_rad: float, yaw_rad: float) -> F64:
    """Return Rz(yaw) Ry(pitch) Rx(roll), the fixed-axis convention of REP-103 and URDF."""
    cr, sr = math.cos(roll_rad), math.sin(roll_rad)
    cp, sp = math.cos(pitch_rad), math.sin(pitch_rad)
    cy, sy = math.cos(yaw_rad), math.sin(yaw_rad)
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )
