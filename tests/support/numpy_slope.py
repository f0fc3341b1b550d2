"""Planes through patches of the ground in numpy, which the compiled loops must equal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.grid.elevation_to_slope import (
    MIN_GROUND_SHARE,
    MIN_KNOWN_SHARE,
    MIN_SPREAD,
    PROTRUDING_SHARE,
    PROTRUDING_SIGMAS,
    STEP_PROTRUDING_SHARE,
    SlopeMap,
    SlopeSettings,
    _bounds,
    _said_below,
    _weights,
)
from terrain_seg_ros.core.types import F32, U8

BAND_ROWS = 64


class _Patch(NamedTuple):
    """A square patch, metres across, and the height from which cells in it are not fitted."""

    side_m: float
    protruding_m: float


class _Fit(NamedTuple):
    """The planes of M patches: z = height + gx x + gy y, x and y in cells from the centre.

    `height_variance` and `gradient_variance` are in units of the variance of one height, the
    latter along the steepest direction.
    """

    height_m: F32
    gradient: F32
    height_variance: F32
    gradient_variance: F32
    good: NDArray[np.bool_]


def numpy_elevation_to_slope(
    elevation_m: F32,
    settings: SlopeSettings,
    *,
    resolution_m: float,
    sigma_m: F32 | None = None,
) -> SlopeMap:
    """Return slopes, as `core.grid.elevation_to_slope` does."""
    result = np.full((4, *elevation_m.shape), np.nan, np.float32)
    known = np.isfinite(elevation_m)
    part = _bounds(known)
    if part is not None:
        level_m = np.float32(elevation_m[known].mean(dtype=np.float64))
        heights_m = np.where(known[part], elevation_m[part] - level_m, np.float32(0.0))
        inside = result[:, part[0], part[1]]
        own_m = np.float32(settings.height_sigma_m)
        noise_m = np.full(heights_m.shape, own_m, np.float32)
        if sigma_m is not None:
            np.hypot(noise_m, sigma_m[part], out=noise_m)
        ground = _Heights(heights_m, known[part], noise_m, resolution_m)
        _write_slopes(ground, settings, into=inside)
        if settings.max_step_m > 0.0:
            _write_steps(ground, settings, into=inside)
    return SlopeMap(*result)


class _Heights(NamedTuple):
    """Heights (rows, cols), which of them are known, and their deviation."""

    heights_m: F32
    known: NDArray[np.bool_]
    sigma_m: F32
    resolution_m: float


def _write_slopes(ground: _Heights, settings: SlopeSettings, *, into: F32) -> None:
    """Write slope, roughness and P(safe) of a grid into layers 0, 1 and 3 of (4, rows, cols)."""

    def rate(fit: _Fit, height_m: F32, sigma_m: F32) -> tuple[F32, F32, F32]:
        return _slopes(fit, height_m, sigma_m, settings, resolution_m=ground.resolution_m)

    patch = _Patch(settings.baseline_m, PROTRUDING_SHARE * settings.max_roughness_m)
    slope, roughness, _, p_safe = into
    _write_fits(ground, patch, rate, into=(slope, roughness, p_safe))


def _write_steps(ground: _Heights, settings: SlopeSettings, *, into: F32) -> None:
    """Write steps into layer 2 of (4, rows, cols), and let layer 3, P(safe), count them."""

    def rate(fit: _Fit, height_m: F32, sigma_m: F32) -> tuple[F32, F32]:
        plane_m, variance, sigma_m = (
            np.compress(fit.good, values) for values in (fit.height_m, fit.height_variance, sigma_m)
        )
        step_m = height_m - plane_m
        step_sigma_m = np.sqrt(np.float32(1.0) + variance) * sigma_m
        return step_m, _said_below(settings.max_step_m, step_m, step_sigma_m)

    patch = _Patch(settings.step_baseline_m, STEP_PROTRUDING_SHARE * settings.max_step_m)
    p_below: F32 = np.full(ground.heights_m.shape, np.nan, np.float32)
    _write_fits(ground, patch, rate, into=(into[2], p_below))
    p_safe = into[3]
    both = np.isfinite(p_safe) & np.isfinite(p_below)
    np.multiply(p_safe, p_below, out=p_safe, where=both)
    np.copyto(p_safe, p_below, where=np.isnan(p_safe))


def _write_fits(
    ground: _Heights,
    patch: _Patch,
    rate: Callable[[_Fit, F32, F32], tuple[F32, ...]],
    *,
    into: Sequence[F32],
) -> None:
    """Write what `rate` makes of the planes of all patches into layers (rows, cols).

    `rate` gets the heights of the cells with a valid plane, and the deviations of all fitted ones.
    The grid is processed in bands of rows, with the neighbouring rows they depend on, so that
    intermediate results stay in the processor's cache.
    """
    heights_m, known, sigma_m, resolution_m = ground
    rows = heights_m.shape[0]
    flat = _weights(patch.side_m / resolution_m)
    half = flat.size // 2
    height, halo = max(BAND_ROWS, 4 * half), 2 * half
    for first in range(0, rows, height):
        last = min(rows, first + height)
        around = slice(max(0, first - halo), min(rows, last + halo))
        limit_m = patch.protruding_m + PROTRUDING_SIGMAS * sigma_m[around]
        fitted, enough = _ground(heights_m[around], known[around], half, limit_m)
        inner = slice(first - around.start, last - around.start)
        moments = _moments(heights_m[around], fitted, flat)[:, inner]
        cells = np.flatnonzero(enough[inner])
        fit = _fit(moments.reshape(9, -1).take(cells, axis=1), flat)
        good = np.compress(fit.good, cells)
        band = np.full(moments[0].size, np.nan, np.float32)
        found = rate(fit, heights_m[first:last].take(good), sigma_m[first:last].take(cells))
        for layer, values in zip(into, found):
            band[good] = values
            layer[first:last] = band.reshape(last - first, -1)


def _slopes(
    fit: _Fit, height_m: F32, sigma_m: F32, settings: SlopeSettings, *, resolution_m: float
) -> tuple[F32, F32, F32]:
    """Return slope, roughness and P(safe) of the cells with a valid plane."""
    gradient, plane_m, gradient_variance, height_variance, sigma_m = (
        np.compress(fit.good, values)
        for values in (
            fit.gradient, fit.height_m, fit.gradient_variance, fit.height_variance, sigma_m
        )
    )  # fmt: skip
    gradient = gradient / np.float32(resolution_m)
    departure_m = np.abs(height_m - plane_m)
    gradient_sigma = np.sqrt(gradient_variance) * sigma_m / np.float32(resolution_m)
    departure_sigma_m = np.sqrt(np.float32(1.0) + height_variance) * sigma_m
    p_safe = _said_below(settings.max_gradient, gradient, gradient_sigma)
    p_safe *= _said_below(settings.max_roughness_m, departure_m, departure_sigma_m)
    return np.degrees(np.arctan(gradient)), departure_m, p_safe


def _ground(
    height_m: F32, known: NDArray[np.bool_], half: int, protruding_m: F32
) -> tuple[U8, NDArray[np.bool_]]:
    """Return the cells to which planes are fitted, and the known cells with enough known around."""
    side = 2 * half + 1
    weights = known.view(np.uint8)
    count, total = (
        cv2.boxFilter(
            layer, cv2.CV_32F, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT
        )
        for layer in (weights, height_m)
    )
    above_m = height_m - total / np.maximum(count, np.float32(1.0))
    ground = known & (above_m < protruding_m)
    return ground.view(np.uint8), known & (count >= MIN_KNOWN_SHARE * side * side)


def _moments(height_m: F32, ground: U8, flat: F32) -> F32:
    """Return the sums 1, x, y, z, xx, yy, xy, xz, yz over every patch (9, rows, cols)."""
    weights = ground.astype(np.float32)
    weighted = height_m * weights
    ramp = flat * _steps(flat)
    square = ramp * _steps(flat)
    result = np.empty((9, *height_m.shape), np.float32)
    for found, (layer, along_x, along_y) in zip(
        result,
        (
            (weights, flat, flat),
            (weights, ramp, flat),
            (weights, flat, ramp),
            (weighted, flat, flat),
            (weights, square, flat),
            (weights, flat, square),
            (weights, ramp, ramp),
            (weighted, ramp, flat),
            (weighted, flat, ramp),
        ),
    ):
        cv2.sepFilter2D(layer, -1, along_x, along_y, dst=found, borderType=cv2.BORDER_CONSTANT)
    return result


def _steps(flat: F32) -> F32:
    half = flat.size // 2
    return np.arange(-half, half + 1, dtype=np.float32)


def _fit(moments: F32, flat: F32) -> _Fit:
    """Return the least-squares planes of patches, from their moments (9, M).

    Heights are treated as having a precision proportional to the weights, so that variances are
    not underestimated.
    """
    count = moments[0]
    scale = np.float32(1.0) / np.maximum(count, np.float32(1.0))
    x, y, z, xx, yy, xy, xz, yz = moments[1:] * scale
    xx -= x * x
    yy -= y * y
    xy -= x * y
    xz -= x * z
    yz -= y * z
    side = float(flat.sum())
    full = np.float32((flat * np.square(_steps(flat))).sum() / side)
    determinant = xx * yy - xy * xy
    good = (count >= MIN_GROUND_SHARE * side * side) & (determinant > MIN_SPREAD * full * full)
    inverse = np.float32(1.0) / np.where(good, determinant, np.float32(1.0))
    gx, gy = (xz * yy - yz * xy) * inverse, (yz * xx - xz * xy) * inverse
    squared = gx * gx + gy * gy
    lean = scale * inverse  # the covariance of (gx, gy) is this times [[yy, -xy], [-xy, xx]]
    two, tiny = np.float32(2.0), np.float32(1e-6)
    along = gx * gx * yy - two * gx * gy * xy + gy * gy * xx + tiny * (xx + yy) / two
    return _Fit(
        height_m=z - gx * x - gy * y,
        gradient=np.sqrt(squared),
        height_variance=scale + lean * (x * x * yy - two * x * y * xy + y * y * xx),
        gradient_variance=np.maximum(lean * along / (squared + tiny), np.float32(0.0)),
        good=good,
    )
