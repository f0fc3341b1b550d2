"""Pixels to rays and back: a pinhole with the distortion models of sensor_msgs/CameraInfo."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from terrain_seg_ros.core.distortion import distort, undistort
from terrain_seg_ros.core.errors import GeometryError
from terrain_seg_ros.core.types import F64

COEFFICIENT_COUNTS = {
    "none": (0,),
    "plumb_bob": (0, 4, 5),
    "rational_polynomial": (8,),
    "equidistant": (4,),
}
"""How many coefficients each distortion model may have; none at all means no distortion."""


@dataclass(frozen=True)
class CameraModel:
    """Hold the intrinsics of the image as delivered, that is after ROI and binning.

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
                f"camera intrinsics {numbers} hold a value that is not finite; "
                "calibrate the camera or check who publishes camera_info"
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
        """Check that an image has the size that this model describes.

        Raises:
            GeometryError: it has another size.
        """
        if (width_px, height_px) != (self.width_px, self.height_px):
            raise GeometryError(
                f"image is {width_px} x {height_px} px but camera_info describes "
                f"{self.width_px} x {self.height_px} px; check that both come from one camera, "
                "and its roi and binning"
            )

    def rays(self, u_px: ArrayLike, v_px: ArrayLike) -> F64:
        """Return the pixels' rays, (N, 3), in the optical frame, z = 1, without distortion.

        A pixel that no point in front of the camera can reach (beyond the lens model's last
        invertible radius, or 89.5 degrees) has NaN.
        """
        x = (np.asarray(u_px, dtype=np.float64).ravel() - self.cx_px) / self.fx_px
        y = (np.asarray(v_px, dtype=np.float64).ravel() - self.cy_px) / self.fy_px
        x, y = undistort(self.distortion_model, self.coefficients, x, y)
        return np.stack([x, y, np.where(np.isnan(x), np.nan, 1.0)], axis=1)

    def project(self, points_camera: ArrayLike) -> F64:
        """Return the pixels (N, 2) of points (N, 3) in the optical frame.

        A point behind the camera, or beyond what the lens model can invert, has NaN. Pixels may
        lie outside the image.
        """
        points = np.asarray(points_camera, dtype=np.float64).reshape(-1, 3)
        depth = np.where(points[:, 2] > 0.0, points[:, 2], np.nan)
        x, y = points[:, 0] / depth, points[:, 1] / depth
        x, y = distort(self.distortion_model, self.coefficients, x, y)
        return np.stack([x * self.fx_px + self.cx_px, y * self.fy_px + self.cy_px], axis=1)


def camera_from_info(
    *,
    width_px: int,
    height_px: int,
    k: ArrayLike,
    d: ArrayLike,
    distortion_model: str,
    binning_x: int,
    binning_y: int,
    roi: tuple[int, int, int, int],
) -> CameraModel:
    """Return the model of the delivered image from the fields of a CameraInfo (REP-104).

    K and the ROI are in pixels of the full, unbinned sensor; the image as delivered is the ROI
    divided by the binning. A binned pixel is the mean of a rectangle of sensor pixels, so pixel
    centres move by half a pixel: c' = (c + 0.5 - offset) / binning - 0.5.

    Args:
        width_px: full width before ROI and binning.
        height_px: full height before ROI and binning.
        k: the nine numbers of K, row-major.
        d: the distortion coefficients.
        distortion_model: its ROS name; empty means none, where D is empty or zero.
        binning_x: 0 and 1 both mean no binning.
        binning_y: as binning_x.
        roi: x, y, width and height; a zero width or height means the full image.

    Raises:
        GeometryError: the camera is not calibrated, or the fields contradict each other.
    """
    matrix = np.asarray(k, dtype=np.float64).ravel()
    _check_matrix(matrix)
    if not (0 <= binning_x <= width_px and 0 <= binning_y <= height_px):
        raise GeometryError(
            f"binning {binning_x} x {binning_y} does not fit an image of "
            f"{width_px} x {height_px} px; check camera_info"
        )
    step_x, step_y = max(binning_x, 1), max(binning_y, 1)
    left, top, roi_width, roi_height = roi
    if roi_width == 0 or roi_height == 0:
        left, top, roi_width, roi_height = 0, 0, width_px, height_px
    if min(roi) < 0 or left + roi_width > width_px or top + roi_height > height_px:
        raise GeometryError(
            f"roi {roi} (x, y, width, height) leaves the image of {width_px} x {height_px} px; "
            "check camera_info: width and height are those of the full sensor"
        )
    model, coefficients = _normal_distortion(distortion_model, d)
    return CameraModel(
        width_px=roi_width // step_x,
        height_px=roi_height // step_y,
        fx_px=float(matrix[0]) / step_x,
        fy_px=float(matrix[4]) / step_y,
        cx_px=(float(matrix[2]) + 0.5 - left) / step_x - 0.5,
        cy_px=(float(matrix[5]) + 0.5 - top) / step_y - 0.5,
        distortion_model=model,
        coefficients=coefficients,
    )


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


def _check_matrix(matrix: F64) -> None:
    if matrix.shape != (9,):
        raise GeometryError(f"K has {matrix.size} numbers, expected 9; check camera_info")
    if not np.isfinite(matrix).all():
        raise GeometryError(
            f"K is {matrix.tolist()} and holds a value that is not finite; "
            "calibrate the camera or check who publishes camera_info"
        )
    if not matrix.any():
        raise GeometryError(
            "K is all zero: the camera is uncalibrated; calibrate it, or drop camera_info "
            "and set horizontal_fov_rad"
        )
    if abs(matrix[1]) > 1e-6 * abs(matrix[0]) or abs(matrix[3]) > 1e-6 * abs(matrix[4]):
        raise GeometryError(
            f"K is {matrix.tolist()}, expected no skew (K[1] and K[3] zero); calibrate without it"
        )


def _normal_distortion(name: str, d: ArrayLike) -> tuple[str, tuple[float, ...]]:
    """Return our name and coefficients; 12 and 14 numbers pass if the ones past 8 are zero."""
    values = [float(value) for value in np.asarray(d, dtype=np.float64).ravel()]
    if not any(values) and name in ("", "none", "plumb_bob", "rational_polynomial"):
        return "none", ()
    if name == "rational_polynomial" and len(values) in (12, 14) and not any(values[8:]):
        values = values[:8]
    return name, tuple(values)
