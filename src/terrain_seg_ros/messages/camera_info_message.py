"""Intrinsics: sensor_msgs/CameraInfo to a camera model and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.geometry.camera_calibration import Calibration, Fields, calibrate
from terrain_seg_ros.messages.message_types import Types, sequence_of


def camera_model(message: Any) -> CameraModel:
    """Return the camera of the raw image as it is delivered, after region of interest and binning.

    Raises:
        GeometryError: the camera is not calibrated, or a value cannot be used.
    """
    return camera_calibration(message).camera


def camera_calibration(message: Any, *, rectified: bool = False) -> Calibration:
    """Return the camera of the image as it is delivered, and what was assumed.

    Args:
        message: sensor_msgs/CameraInfo.
        rectified: the image was rectified, so that P holds without D.

    Raises:
        GeometryError: the camera is not calibrated, or a value cannot be used.
    """
    roi = message.roi
    fields = Fields(
        width_px=int(message.width),
        height_px=int(message.height),
        k=message.k,
        d=message.d,
        distortion_model=str(message.distortion_model),
        binning_x=int(message.binning_x),
        binning_y=int(message.binning_y),
        roi=(int(roi.x_offset), int(roi.y_offset), int(roi.width), int(roi.height)),
        r=message.r,
        p=message.p,
    )
    return calibrate(fields, rectified=rectified)


def encode_camera_info(types: Types, camera: CameraModel, header: Any) -> Any:
    """Return a camera as a sensor_msgs/CameraInfo of the full, unbinned image.

    A camera without distortion is sent as plumb_bob with zeros, which every reader knows.
    """
    undistorted = camera.distortion_model == "none"
    coefficients = (0.0,) * 5 if undistorted else camera.coefficients
    k = np.array([camera.fx_px, 0.0, camera.cx_px, 0.0, camera.fy_px, camera.cy_px, 0.0, 0.0, 1.0])
    p = np.hstack([k.reshape(3, 3), np.zeros((3, 1))]).reshape(-1)
    roi = types("sensor_msgs/msg/RegionOfInterest")(
        x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
    )
    return types("sensor_msgs/msg/CameraInfo")(
        header=header,
        height=camera.height_px,
        width=camera.width_px,
        distortion_model="plumb_bob" if undistorted else camera.distortion_model,
        d=sequence_of(types, np.array(coefficients, dtype=np.float64)),
        k=k,
        r=np.eye(3).reshape(-1),
        p=p,
        binning_x=0,
        binning_y=0,
        roi=roi,
    )
