"""Interpretation of the fields of a CameraInfo, and whether they are a plausible calibration.

All callers use this module, so that the peculiarities of drivers are treated alike everywhere.
Assumptions are reported as notes; ambiguous fields are an error with a remedy.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from terrain_seg_ros.core.errors import GeometryError
from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.geometry.lens_model import normal_lens
from terrain_seg_ros.core.types import F64, ORTHONORMAL_WITHIN

FOCAL_LIMITS_PX = (1e-2, 1e7)
MAX_FIELD_RAD = math.radians(175.0)
"""Largest field of view without a fisheye lens; a wrong K often implies a larger one."""
CENTRED_WITHIN = 0.15
"""Offset of the principal point from the centre, as a share of the image size; rarely larger."""
SCALED_BEYOND = 0.18
SCALES_AGREE_WITHIN = 0.05
"""Limits of the principal point's distance from the corner relative to the image centre's."""
HUGE = 1e12
SKEW = 1e-6
DIFFERENT = 0.01
"""Relative difference of focal lengths of K and P above which they count as different."""
_REMEDY = "calibrate the camera or check the publisher of camera_info"


class Calibration(NamedTuple):
    """The camera model of the delivered image, and the assumptions made."""

    camera: CameraModel
    notes: tuple[str, ...] = ()


class Fields(NamedTuple):
    """The fields of a CameraInfo; K and R (9,), P (12,), D of any length.

    `roi` is x, y, width and height; a zero width or height means the full image.
    """

    width_px: int
    height_px: int
    k: ArrayLike
    d: ArrayLike
    distortion_model: str
    binning_x: int = 0
    binning_y: int = 0
    roi: tuple[int, int, int, int] = (0, 0, 0, 0)
    r: ArrayLike = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    p: ArrayLike = (0.0,) * 12


class _Lens(NamedTuple):
    """The intrinsic matrix (9,) and the distortion of the image."""

    name: str
    matrix: F64
    model: str
    coefficients: tuple[float, ...]


def calibrate(fields: Fields, *, rectified: bool = False) -> Calibration:
    """Return the model of the delivered image from the fields of a CameraInfo (REP-104).

    K, P and the ROI are in pixels of the full, unbinned sensor; the image as delivered is the ROI
    divided by the binning. A binned pixel is the mean of a rectangle of sensor pixels, so pixel
    centres move by half a pixel: c' = (c + 0.5 - offset) / binning - 0.5.

    Args:
        fields: the fields of the message.
        rectified: whether the image is rectified, so that P applies without D.

    Raises:
        GeometryError: the camera is not calibrated, a value is implausible, or the fields are
            inconsistent.
    """
    arrays = {
        name: _finite(name, getattr(fields, name.lower()), count)
        for name, count in (("K", 9), ("D", None), ("R", 9), ("P", 12))
    }
    notes: list[str] = []
    lens = _lens(fields, arrays, notes, rectified=rectified)
    _check_matrix(lens.name, lens.matrix, notes)
    _check_view(fields, lens)
    _check_resolution(fields, lens)
    notes += _doubts(arrays, lens)
    notes += _offsets(fields, arrays, lens)
    return Calibration(_delivered(fields, lens), tuple(notes))


def _finite(name: str, values: ArrayLike, count: int | None) -> F64:
    """Return the values as an array after checking that they are finite and plausible."""
    array = np.asarray(values, dtype=np.float64).ravel()
    if count is not None and array.size != count:
        raise GeometryError(f"{name} has {array.size} numbers, expected {count}; check camera_info")
    if not np.isfinite(array).all():
        raise GeometryError(
            f"{name} is {array.tolist()} and contains a value that is not finite; {_REMEDY}"
        )
    if array.size and np.abs(array).max() > HUGE:
        worst = float(array[np.argmax(np.abs(array))])
        raise GeometryError(f"{name} contains {worst:g}, expected at most {HUGE:g}; {_REMEDY}")
    return array


def _lens(fields: Fields, arrays: dict[str, F64], notes: list[str], *, rectified: bool) -> _Lens:
    """Return the lens: P without D if the image is rectified, else K and D."""
    k, d, p = arrays["K"], arrays["D"], arrays["P"]
    if not rectified:
        model, coefficients, note = normal_lens(fields.distortion_model, d.tolist())
        notes += [note] if note else []
        return _Lens("K", k, model, coefficients)
    if p.any():
        if d.any() or not np.allclose(p[[0, 2, 5, 6]], k[[0, 2, 4, 5]]):
            notes.append("images are rectified: rays follow P, without K and D")
        return _Lens("P", np.delete(p, [3, 7, 11]), "none", ())
    if d.any():
        raise GeometryError(
            "P is all zero, but the images are rectified and D is not zero, so that K does not "
            "apply; publish the P of the rectification, or set image_rectification to raw"
        )
    return _Lens("K", k, "none", ())


def _check_matrix(name: str, matrix: F64, notes: list[str]) -> None:
    if not matrix.any():
        raise GeometryError(
            f"{name} is all zero: the camera is uncalibrated; calibrate it, or drop camera_info "
            "and set horizontal_fov_rad"
        )
    low, high = FOCAL_LIMITS_PX
    for axis, value in (("fx", float(matrix[0])), ("fy", float(matrix[4]))):
        if not low <= value <= high:
            raise GeometryError(
                f"{name} has the focal length {axis} {value:g} px, expected {low:g} to {high:g}; "
                "calibrate the camera, or drop camera_info and set horizontal_fov_rad"
            )
    if abs(matrix[1]) > SKEW * matrix[0] or abs(matrix[3]) > SKEW * matrix[4]:
        raise GeometryError(
            f"{name} is {matrix.tolist()}, expected no skew ({name}[0][1] and {name}[1][0] zero); "
            "calibrate without it"
        )
    last = matrix[6:9].tolist()
    if last == [0.0, 0.0, 0.0]:
        notes.append(f"the last row of {name} is 0 0 0: treated as 0 0 1")
    elif not np.allclose(last, (0.0, 0.0, 1.0), atol=SKEW):
        raise GeometryError(f"{name} has the last row {last}, expected 0 0 1; {_REMEDY}")


def _check_view(fields: Fields, lens: _Lens) -> None:
    """Check principal point and field of view on the full sensor."""
    fx, cx, fy, cy = (float(lens.matrix[index]) for index in (0, 2, 4, 5))
    width, height = fields.width_px, fields.height_px
    if width < 1 or height < 1:
        raise GeometryError(
            f"camera_info describes {width} x {height} px, expected the image's size; "
            "publish it, or drop camera_info and set horizontal_fov_rad"
        )
    inside = -0.5 <= cx <= width - 0.5 and -0.5 <= cy <= height - 0.5
    if not inside or (cx == 0.0 and cy == 0.0):
        raise GeometryError(
            f"{lens.name} has the principal point ({cx:g}, {cy:g}), which lies outside the image "
            f"of {width} x {height} px or in its corner; calibrate the camera, and declare a crop "
            "in roi"
        )
    for name, focal, middle, size in (("horizontal", fx, cx, width), ("vertical", fy, cy, height)):
        sides = ((middle + 0.5) / focal, (size - 0.5 - middle) / focal)
        fisheye = lens.model == "equidistant"
        angles = sides if fisheye else (math.atan(sides[0]), math.atan(sides[1]))
        field, limit = sum(angles), 2.0 * math.pi if fisheye else MAX_FIELD_RAD
        if field > limit or (not fisheye and max(angles) > limit / 2.0):
            raise GeometryError(
                f"{lens.name} implies a {name} field of view of {math.degrees(field):.1f} degrees "
                f"(focal length {focal:g} px over {size} px), up to "
                f"{math.degrees(max(angles)):.1f} to one side, expected at most "
                f"{math.degrees(limit):.0f} and half of it; check that {lens.name} is not the "
                f"identity, is in pixels, and is for this resolution; {_REMEDY}"
            )


def _check_resolution(fields: Fields, lens: _Lens) -> None:
    """Check that the principal point is not the centre of a smaller or larger image.

    Such an image may also be a crop, which must be declared in roi.
    """
    cx, cy = float(lens.matrix[2]), float(lens.matrix[5])
    scale_x = (cx + 0.5) / (0.5 * fields.width_px)
    scale_y = (cy + 0.5) / (0.5 * fields.height_px)
    scaled = min(abs(scale_x - 1.0), abs(scale_y - 1.0)) > SCALED_BEYOND
    if scaled and abs(scale_x - scale_y) <= SCALES_AGREE_WITHIN * max(scale_x, scale_y):
        raise GeometryError(
            f"{lens.name} has the principal point ({cx:g}, {cy:g}), the centre of an image of "
            f"{2.0 * cx + 1.0:.0f} x {2.0 * cy + 1.0:.0f} px, but camera_info is for "
            f"{fields.width_px} x {fields.height_px} px; publish {lens.name} for that resolution, "
            "and declare a crop in roi and binned pixels in binning"
        )


def _offsets(fields: Fields, arrays: dict[str, F64], lens: _Lens) -> list[str]:
    """Return notes about the principal point and the stereo baseline."""
    notes = []
    cx, cy = float(lens.matrix[2]), float(lens.matrix[5])
    aside = max(abs((cx + 0.5) / fields.width_px - 0.5), abs((cy + 0.5) / fields.height_px - 0.5))
    if aside > CENTRED_WITHIN:
        notes.append(
            f"{lens.name} has the principal point ({cx:g}, {cy:g}), far from the centre of "
            f"{fields.width_px} x {fields.height_px} px: check that it is for this resolution"
        )
    baseline_m = -float(arrays["P"][3]) / float(lens.matrix[0])
    if lens.name == "P" and baseline_m != 0.0:
        notes.append(
            f"P contains a stereo baseline of {baseline_m:g} m, which is not used: the image's "
            "frame_id must be that of this camera, not of the other one of the pair"
        )
    return notes


def _doubts(arrays: dict[str, F64], lens: _Lens) -> list[str]:
    """Return notes about suspicious fields that have little or no effect on the rays."""
    notes = []
    rotation = arrays["R"].reshape(3, 3)
    if rotation.any() and np.abs(rotation @ rotation.T - np.eye(3)).max() > ORTHONORMAL_WITHIN:
        notes.append("R is not a rotation; it is not used, but the calibration may be damaged")
    k, p = arrays["K"], arrays["P"]
    is_identity = not rotation.any() or np.allclose(rotation, np.eye(3), atol=ORTHONORMAL_WITHIN)
    same = lens.name == "K" and lens.model == "none" and is_identity
    if same and p.any() and np.abs(p[[0, 5]] - k[[0, 4]]).max() > DIFFERENT * k[0]:
        notes.append(
            f"K and P have different focal lengths ({k[0]:g} and {p[0]:g} px) although there is no "
            "distortion: K is used; if the images are rectified or resized, set "
            "image_rectification"
        )
    fx, fy = float(lens.matrix[0]), float(lens.matrix[4])
    if not 0.5 <= fx / fy <= 2.0:
        notes.append(f"fx is {fx:g} and fy {fy:g} px, an unusual ratio: check the calibration")
    return notes


def _delivered(fields: Fields, lens: _Lens) -> CameraModel:
    """Return the model after region of interest and binning."""
    width_px, height_px = fields.width_px, fields.height_px
    binning_x, binning_y, roi = fields.binning_x, fields.binning_y, fields.roi
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
            f"roi {roi} (x, y, width, height) exceeds the image of {width_px} x {height_px} px; "
            "check camera_info: width and height are those of the full sensor"
        )
    return CameraModel(
        width_px=roi_width // step_x,
        height_px=roi_height // step_y,
        fx_px=float(lens.matrix[0]) / step_x,
        fy_px=float(lens.matrix[4]) / step_y,
        cx_px=(float(lens.matrix[2]) + 0.5 - left) / step_x - 0.5,
        cy_px=(float(lens.matrix[5]) + 0.5 - top) / step_y - 0.5,
        distortion_model=lens.model,
        coefficients=lens.coefficients,
    )
