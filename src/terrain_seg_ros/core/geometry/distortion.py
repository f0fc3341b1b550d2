"""Lens distortion in normalised image coordinates and its inverse, vectorised.

Brown's model is as in OpenCV (plumb_bob and rational_polynomial of sensor_msgs/CameraInfo), the
equidistant model is Kannala and Brandt's as in cv2.fisheye. The inverse uses Newton's method,
started from a table of the radial part so that it stays on the branch at the image centre.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import GeometryError
from terrain_seg_ros.core.types import F64

MAX_ANGLE_RAD = math.radians(89.5)
TABLE_SIZE = 4096
NEWTON_STEPS = 12
TOLERANCE = 1e-9


def distort(model: str, coefficients: tuple[float, ...], x: F64, y: F64) -> tuple[F64, F64]:
    """Distort ideal coordinates x/z, y/z; NaN beyond the invertible range."""
    if model == "equidistant":
        return _distort_equidistant(coefficients, x, y)
    if not any(coefficients):
        return x, y
    beyond = np.hypot(x, y) > _brown_table(coefficients)[0][-1]
    x, y = _brown(coefficients, x, y)[:2]
    return np.where(beyond, np.nan, x), np.where(beyond, np.nan, y)


def undistort(model: str, coefficients: tuple[float, ...], x: F64, y: F64) -> tuple[F64, F64]:
    """Return the ideal coordinates x/z, y/z of distorted ones; NaN if there are none."""
    if model == "equidistant":
        return _undistort_equidistant(coefficients, x, y)
    if not any(coefficients):
        return x, y
    return _undistort_brown(coefficients, x, y)


def _brown(coefficients: Sequence[float], x: F64, y: F64) -> tuple[F64, F64, tuple[F64, F64, F64]]:
    """Return the distorted x, y and the Jacobian (dxx, dxy = dyx, dyy); OpenCV's formula."""
    k1, k2, p1, p2, k3, k4, k5, k6 = (*coefficients, *([0.0] * (8 - len(coefficients))))
    r2 = x * x + y * y
    top = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
    bottom = 1.0 + r2 * (k4 + r2 * (k5 + r2 * k6))
    factor = top / bottom
    slope = (
        k1 + r2 * (2.0 * k2 + r2 * 3.0 * k3) - factor * (k4 + r2 * (2.0 * k5 + r2 * 3.0 * k6))
    ) / bottom
    out_x = x * factor + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x)
    out_y = y * factor + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y
    dxx = factor + 2.0 * x * x * slope + 2.0 * p1 * y + 6.0 * p2 * x
    dxy = 2.0 * x * y * slope + 2.0 * p1 * x + 2.0 * p2 * y
    dyy = factor + 2.0 * y * y * slope + 6.0 * p1 * y + 2.0 * p2 * x
    return out_x, out_y, (dxx, dxy, dyy)


@lru_cache(maxsize=32)
def _brown_table(coefficients: tuple[float, ...]) -> tuple[F64, F64]:
    """Return radii and distorted radii over the range where the radial part increases."""
    radius = np.tan(np.linspace(0.0, MAX_ANGLE_RAD, TABLE_SIZE))
    radial = [*coefficients, *([0.0] * (8 - len(coefficients)))]
    radial[2] = radial[3] = 0.0
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        distorted = _brown(radial, radius, np.zeros_like(radius))[0]
    return _rising_part(radius, distorted)


@lru_cache(maxsize=32)
def _equidistant_table(coefficients: tuple[float, ...]) -> tuple[F64, F64]:
    """Return angles and distorted angles over the range where these increase."""
    angle: F64 = np.linspace(0.0, MAX_ANGLE_RAD, TABLE_SIZE)
    return _rising_part(angle, _equidistant(coefficients, angle)[0])


def _rising_part(source: F64, distorted: F64) -> tuple[F64, F64]:
    rising = np.diff(distorted) > 0.0
    count = TABLE_SIZE if rising.all() else int(np.argmin(rising)) + 1
    if count < 2:
        raise GeometryError(
            "the distortion coefficients fold the image at its centre; recalibrate the camera"
        )
    return source[:count], distorted[:count]


def _undistort_brown(coefficients: tuple[float, ...], x_in: F64, y_in: F64) -> tuple[F64, F64]:
    """Invert by Newton's method; the radial table provides a start on the right branch."""
    radii, distorted = _brown_table(coefficients)
    radius_in = np.hypot(x_in, y_in)
    start = np.interp(radius_in, distorted, radii, right=np.nan)
    scale = np.divide(start, radius_in, out=np.ones_like(start), where=radius_in > 0.0)
    x, y = x_in * scale, y_in * scale
    for _ in range(NEWTON_STEPS):
        out_x, out_y, (dxx, dxy, dyy) = _brown(coefficients, x, y)
        error_x, error_y = out_x - x_in, out_y - y_in
        if np.nanmax(np.abs(error_x) + np.abs(error_y), initial=0.0) < 1e-13:
            break
        determinant = dxx * dyy - dxy * dxy
        x = x - (dyy * error_x - dxy * error_y) / determinant
        y = y - (dxx * error_y - dxy * error_x) / determinant
    out_x, out_y, (dxx, dxy, dyy) = _brown(coefficients, x, y)
    good: NDArray[np.bool_] = np.hypot(out_x - x_in, out_y - y_in) < TOLERANCE
    good &= (np.hypot(x, y) <= radii[-1]) & (dxx * dyy > dxy * dxy)
    return np.where(good, x, np.nan), np.where(good, y, np.nan)


def _equidistant(coefficients: Sequence[float], angle: F64) -> tuple[F64, F64]:
    """Return the distorted angle and its derivative; the formula of cv2.fisheye."""
    k1, k2, k3, k4 = coefficients
    a2 = angle * angle
    value = angle * (1.0 + a2 * (k1 + a2 * (k2 + a2 * (k3 + a2 * k4))))
    slope = 1.0 + a2 * (3.0 * k1 + a2 * (5.0 * k2 + a2 * (7.0 * k3 + a2 * 9.0 * k4)))
    return value, slope


def _distort_equidistant(coefficients: tuple[float, ...], x: F64, y: F64) -> tuple[F64, F64]:
    radius = np.hypot(x, y)
    angle = np.arctan(radius)
    angle = np.where(angle <= _equidistant_table(coefficients)[0][-1], angle, np.nan)
    distorted = _equidistant(coefficients, angle)[0]
    scale = np.divide(distorted, radius, out=np.ones_like(radius), where=radius > 0.0)
    return x * scale, y * scale


def _undistort_equidistant(
    coefficients: tuple[float, ...], x_in: F64, y_in: F64
) -> tuple[F64, F64]:
    angles, distorted = _equidistant_table(coefficients)
    wanted = np.hypot(x_in, y_in)
    angle = np.interp(wanted, distorted, angles, right=np.nan)
    for _ in range(NEWTON_STEPS):
        value, slope = _equidistant(coefficients, angle)
        step = (value - wanted) / slope
        angle = angle - step
        if np.nanmax(np.abs(step), initial=0.0) < 1e-14:
            break
    angle = np.where((angle >= 0.0) & (angle <= angles[-1]), angle, np.nan)
    scale = np.divide(np.tan(angle), wanted, out=np.ones_like(angle), where=wanted > 0.0)
    return x_in * scale, y_in * scale
