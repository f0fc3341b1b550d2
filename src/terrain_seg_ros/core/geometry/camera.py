"""A pinhole camera with the distortion models of sensor_msgs/CameraInfo."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from terrain_seg_ros.core.errors import GeometryError
from terrain_seg_ros.core.geometry.distortion import distort, undistort
from terrain_seg_ros.core.types import F64

COEFFICIENT_COUNTS = {
    "none": (0,),
    "plumb_bob": (0, 4, 5),
    "rational_polynomial": (8,),
    "equidistant": (4,),
}
"""Permitted numbers of coefficients per distortion model; zero means no distortion."""


@dataclass(frozen=True)
class CameraModel:
    """The intrinsics of the image as delivered, that is after ROI and binning.

    Pixel (0, 0) is the centre of the top left pixel. The coefficients are in ROS order:
    k1 k2 p1 p2 [k3 [k4 k5 k6]] for plumb_bob and rational_polynomial (Brown, as in OpenCV),
    k1 k2 k3 k4 for equidistant (Kannala and Brandt, as in cv2.fisheye).
    """

    width_px: int
    height_px: int
    fx_px: float
    fy_px: float
    cx_px: float
    cy_px: float
    distortion_model: str
    coefficients: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.width_px <= 0 or self.height_px <= 0:
            raise GeometryError(
                f"camera image is {self.width_px} x {self.height_px} px, expected at least 1 x 1; "
                "check width, height, roi and binning in camera_info"
            )
        numbers = (self.fx_px, self.fy_px, self.cx_px, self.cy_px, *self.coefficients)
        if not all(math.isfinite(value) for value in numbers):
            raise GeometryError(
                f"camera intrinsics {numbers} contain a value that is not finite; "
                "calibrate the camera or check the publisher of camera_info"
            )
        if self.fx_px <= 0.0 or self.fy_px <= 0.0:
            raise GeometryError(
                f"camera focal lengths are {self.fx_px} and {self.fy_px} px, expected more than 0; "
                "calibrate the camera, or drop camera_info and set horizontal_fov_rad"
            )
        counts = COEFFICIENT_COUNTS.get(self.distortion_model)
        if counts is None:
            raise GeometryError(
                f"distortion model {self.distortion_model!r} is unknown, "
                f"expected one of {sorted(COEFFICIENT_COUNTS)}"
            )
        if len(self.coefficients) not in counts:
            raise GeometryError(
                f"distortion model {self.distortion_model!r} has {len(self.coefficients)} "
                f"coefficients, expected one of {list(counts)}; check D in camera_info"
            )

    def check_image(self, width_px: int, height_px: int) -> None:
        """Check that an image has the size of this model.

        Raises:
            GeometryError: the sizes differ.
        """
        if (width_px, height_px) != (self.width_px, self.height_px):
            raise GeometryError(
                f"image is {width_px} x {height_px} px but camera_info describes "
                f"{self.width_px} x {self.height_px} px; check that both are of the same camera, "
                "and check its roi and binning"
            )

    def rays(self, u_px: ArrayLike, v_px: ArrayLike) -> F64:
        """Return the undistorted rays (N, 3) of pixels, in the optical frame with z = 1.

        Pixels to which no point in front of the camera projects (beyond the last invertible
        radius of the lens model, or 89.5 degrees) are NaN.
        """
        x = (np.asarray(u_px, dtype=np.float64).ravel() - self.cx_px) / self.fx_px
        y = (np.asarray(v_px, dtype=np.float64).ravel() - self.cy_px) / self.fy_px
        x, y = undistort(self.distortion_model, self.coefficients, x, y)
        return np.stack([x, y, np.where(np.isnan(x), np.nan, 1.0)], axis=1)

    def project(self, points_camera: ArrayLike) -> F64:
        """Return the pixels (N, 2) of points (N, 3) in the optical frame.

        Points behind the camera, or beyond the invertible range of the lens model, are NaN. Pixels
        may lie outside the image.
        """
        points = np.asarray(points_camera, dtype=np.float64).reshape(-1, 3)
        depth = np.where(points[:, 2] > 0.0, points[:, 2], np.nan)
        x, y = points[:, 0] / depth, points[:, 1] / depth
        x, y = distort(self.distortion_model, self.coefficients, x, y)
        return np.stack([x * self.fx_px + self.cx_px, y * self.fy_px + self.cy_px], axis=1)


def camera_from_field_of_view(
    *, width_px: int, height_px: int, horizontal_fov_rad: float
) -> CameraModel:
    """Return an ideal pinhole with square pixels and the principal point at the centre.

    Raises:
        GeometryError: the field of view is not between 0 and pi.
    """
    if not 0.0 < horizontal_fov_rad < math.pi:
        raise GeometryError(
            f"horizontal_fov_rad is {horizontal_fov_rad}, expected more than 0 and less than pi"
        )
    focal_px = 0.5 * width_px / math.tan(0.5 * horizontal_fov_rad)
    return CameraModel(
        width_px=width_px,
        height_px=height_px,
        fx_px=focal_px,
        fy_px=focal_px,
        cx_px=0.5 * (width_px - 1),
        cy_px=0.5 * (height_px - 1),
        distortion_model="none",
        coefficients=(),
    )
