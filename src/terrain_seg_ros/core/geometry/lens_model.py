"""Mapping of the distortion models that drivers publish to the supported ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from terrain_seg_ros.core.errors import GeometryError

PLUMB_BOB = "plumb_bob"
RATIONAL = "rational_polynomial"
FISHEYE = "equidistant"
NONE = "none"
ALIASES = {
    PLUMB_BOB: ("brown_conrady", "modified_brown_conrady", "radtan", "radial_tangential", "brown"),
    RATIONAL: ("rational", "rational_poly", "rational_polynomial_model"),
    FISHEYE: ("fisheye", "kannala_brandt", "kannala_brandt4", "opencv_fisheye", "equi"),
    NONE: ("pinhole", "perspective", "no_distortion", "undistorted", "no"),
}
COEFFICIENT_LIMIT = 1e6
LENGTH_LIMIT = 64
_BROWN, _BROWN_K3, _RATIONAL_COUNT, _FISHEYE_COUNT = 4, 5, 8, 4
_RECTIFY = "or rectify the images and set image_rectification to rectified"


class Lens(NamedTuple):
    """A supported distortion model, its coefficients, and the assumption made, if any."""

    model: str
    coefficients: tuple[float, ...]
    note: str = ""


def normal_lens(name: str, d: Sequence[float]) -> Lens:
    """Return the supported model for a driver's name and coefficients.

    Surplus coefficients are ignored if they are zero. plumb_bob with eight coefficients is
    rational_polynomial. If the name is empty, the number of coefficients decides.

    Raises:
        GeometryError: the combination is unknown or ambiguous.
    """
    if len(d) > LENGTH_LIMIT or any(abs(value) > COEFFICIENT_LIMIT for value in d):
        raise GeometryError(
            f"D has {len(d)} coefficients up to {max(map(abs, d)):g}, expected at most "
            f"{LENGTH_LIMIT} of at most {COEFFICIENT_LIMIT:g}; check camera_info"
        )
    plain = name.strip().lower().replace("-", "_").replace(" ", "_")
    known = {alias: model for model, names in ALIASES.items() for alias in (model, *names)}
    if plain and plain not in known:
        raise GeometryError(
            f"distortion model {name!r} is unknown, expected one of {sorted(ALIASES)}; calibrate "
            f"with one of them, {_RECTIFY}"
        )
    model = known.get(plain, "")
    note = f"distortion model {name!r} is treated as {model}" if model and name != model else ""
    if model == FISHEYE:
        return _fisheye(name, d, note)
    if not any(d):
        return Lens(NONE, ())
    if model == NONE:
        raise GeometryError(
            f"distortion model {name!r} has coefficients {list(d)}, expected none; publish the "
            "name of their model"
        )
    return _brown(name, model, d, note)


def _fisheye(name: str, d: Sequence[float], note: str) -> Lens:
    if len(d) < _FISHEYE_COUNT or any(d[_FISHEYE_COUNT:]):
        raise GeometryError(
            f"distortion model {name!r} has {len(d)} coefficients, expected {_FISHEYE_COUNT} "
            f"(zeros for an ideal fisheye); check D in camera_info, {_RECTIFY}"
        )
    return Lens(FISHEYE, tuple(map(float, d[:_FISHEYE_COUNT])), note)


def _brown(name: str, model: str, d: Sequence[float], note: str) -> Lens:
    """Return a lens of Brown's family, with five or eight coefficients."""
    if not model and len(d) not in {4, 5, 8, 12, 14}:
        raise GeometryError(
            f"distortion model is empty and D has {len(d)} coefficients, which match no known "
            f"model; publish one of {sorted(ALIASES)}, {_RECTIFY}"
        )
    if len(d) < _BROWN:
        raise GeometryError(
            f"distortion model {name!r} has {len(d)} coefficients, expected 4, 5 or 8; check D in "
            "camera_info"
        )
    if any(d[_RATIONAL_COUNT:]):
        raise GeometryError(
            f"distortion model {name!r} has {len(d)} coefficients, of which those past the eighth "
            "(thin prism, tilt) are not zero, which is not supported; calibrate without, "
            f"{_RECTIFY}"
        )
    used = len(d)
    while used > _BROWN_K3 and not d[used - 1]:
        used -= 1
    fits = PLUMB_BOB if used <= _BROWN_K3 else RATIONAL
    if model == RATIONAL and len(d) >= _RATIONAL_COUNT:
        fits = RATIONAL
    count = _RATIONAL_COUNT if fits == RATIONAL else max(_BROWN, used)
    values = (*map(float, d[:count]), *([0.0] * (count - len(d))))[:count]
    if not model:
        note = f"distortion model is empty: D of {len(d)} is treated as {fits}"
    elif fits != model:
        note = f"distortion model {name!r} with {len(d)} coefficients is treated as {fits}"
    elif len(d) not in {4, 5, 8}:
        note = f"distortion model {name!r} has {len(d)} coefficients: {count} of them are used"
    return Lens(fits, values, note)
