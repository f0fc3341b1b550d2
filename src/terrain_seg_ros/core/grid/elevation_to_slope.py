"""Slope, roughness, steps and the probability that ground is safe, computed from elevation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import GeometryError
from terrain_seg_ros.core.settings import setting, settings
from terrain_seg_ros.core.types import F32, U8

MIN_KNOWN_SHARE = 0.3
"""Smallest known share of a patch; above it the covariance accounts for what is unknown."""
MIN_GROUND_SHARE = 0.15
"""Smallest share of a patch that is fitted, after protruding cells are excluded."""
PROTRUDING_SHARE = 0.25
"""Cells higher above their surroundings than this share of the roughness limit are excluded."""
PROTRUDING_SIGMAS = 2.0
"""Standard deviations added to that limit, so that noise is not mistaken for rocks."""
STEP_PROTRUDING_SHARE = 0.5
"""As `PROTRUDING_SHARE`, of the limit of steps: their patches are too small for a larger share."""
BAND_ROWS = 64
MIN_SIDE = 3.0
"""Cells across the smallest patch."""
MIN_SPREAD = 0.05
"""Share of a full patch's moment below which the known cells lie in a line."""


@settings
@dataclass(frozen=True)
class SlopeSettings:
    """Limits of the ground under a vehicle's stance, and the noise of its measured heights."""

    max_slope_deg: Annotated[
        float,
        setting(
            "Measured ground steeper than this over slope.baseline_m is a hazard.",
            low=0.1,
            high=90.0,
            dynamic=True,
        ),
    ]
    max_roughness_m: Annotated[
        float,
        setting(
            "Measured ground that deviates by more than this from the plane fitted over "
            "slope.baseline_m is a hazard.",
            low=0.001,
            high=1000.0,
            dynamic=True,
        ),
    ]
    baseline_m: Annotated[
        float,
        setting(
            "Side of the square patch over which slope and roughness are computed: the vehicle's "
            "stance, for a lander the diameter of the circle through its footpads.",
            low=0.01,
            high=1000.0,
            dynamic=True,
        ),
    ]
    height_sigma_m: Annotated[
        float,
        setting(
            "Standard deviation of a cell's measured height, from which the probability that "
            "ground is safe is computed.",
            low=0.0,
            high=1000.0,
            dynamic=True,
        ),
    ]
    max_step_m: Annotated[
        float,
        setting(
            "A cell whose measured height is more than this above the ground around it is a "
            "hazard, whatever its class. A third of the diameter of the smallest rock that is a "
            "hazard, and at most the vehicle's clearance. 0 checks no steps.",
            low=0.0,
            high=1000.0,
            dynamic=True,
        ),
    ]
    step_baseline_m: Annotated[
        float,
        setting(
            "Side of the square patch whose plane is the ground around a cell for "
            "slope.max_step_m: some three times the diameter of the smallest rock that is a "
            "hazard. Larger rocks are found by slope and roughness over slope.baseline_m.",
            low=0.01,
            high=1000.0,
            dynamic=True,
        ),
    ]

    @property
    def max_gradient(self) -> float:
        """Return the tangent of the largest permitted slope."""
        return math.tan(math.radians(min(self.max_slope_deg, 89.9)))


@dataclass(frozen=True)
class SlopeMap:
    """Slope, roughness, steps and safety of the ground per cell.

    All are (rows, cols) float32, NaN where too little is known. `slope_deg` is the slope of the
    plane through the patch around a cell. `roughness_m` is the distance of the cell itself from
    that plane, above or below; the roughness under a vehicle is the largest within its footprint.
    `step_m` is the height of the cell above the plane through the smaller patch for steps, NaN
    everywhere if steps are not checked. `p_safe` is the probability, 0 to 1, that the true slope,
    roughness and step are within the limits, as far as they are known.
    """

    slope_deg: F32
    roughness_m: F32
    step_m: F32
    p_safe: F32


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


def elevation_to_slope(
    elevation_m: F32,
    settings: SlopeSettings,
    *,
    resolution_m: float,
    sigma_m: F32 | None = None,
) -> SlopeMap:
    """Return slope, roughness and P(safe) around every cell whose height is known.

    A plane is fitted by least squares to the known cells of the square patch of side
    `baseline_m` around each cell. Cells that protrude from their surroundings are excluded from
    the fit, since a rock would lift the plane and so reduce its own apparent height. The noise of
    the heights, Gaussian and independent, is propagated through the fit's covariance to slope and
    roughness, and P(safe) = P(slope in limits) P(roughness in limits) P(step in limits). A step is
    the height of a cell above the plane of a patch of side `step_baseline_m`. A factor whose noise
    exceeds its limit is 1, since it says nothing of the ground. After the hazard
    detection of ALHAT: Ivanov, Huertas, Johnson, "Probabilistic Hazard Detection for Autonomous
    Safe Landing", AIAA GNC 2013 (doi 10.2514/6.2013-5019), whose criteria (slope of about 10
    degrees, roughness of 0.2 to 0.3 m) the open-source pydem shares; for the pads of a lander see
    `elevation_to_footpads`.

    Args:
        elevation_m: (rows, cols), metres above any level, NaN where unknown.
        settings: limits, patch and noise.
        resolution_m: side of a cell.
        sigma_m: (rows, cols) standard deviation of the heights by the sensor's noise, on top of
            `height_sigma_m`; None for no more.

    Raises:
        GeometryError: the elevation is not a float32 grid, or the resolution is not positive.
    """
    if elevation_m.ndim != 2 or elevation_m.dtype != np.float32:
        raise GeometryError(
            f"elevation has shape {elevation_m.shape} and dtype {elevation_m.dtype}, expected "
            "(rows, cols) of float32"
        )
    if not (math.isfinite(resolution_m) and resolution_m > 0.0):
        raise GeometryError(f"resolution is {resolution_m} m, expected more than 0")
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


def probability_below(limit: F32 | float, mean: F32, sigma: F32 | float) -> F32:
    """Return P(value < limit) of Gaussian values; without noise, 1 up to the limit, else 0.

    The normal distribution is approximated within 2e-4 by Bowling, Khasawneh, Kaewkuekool and
    Cho, "A logistic approximation to the cumulative normal distribution", JIEM 2009.
    """
    z = (np.float32(limit) - mean) / np.maximum(sigma, np.float32(1e-9))
    np.minimum(np.maximum(z, np.float32(-8.0), out=z), np.float32(8.0), out=z)
    exponent = z * (np.float32(-1.5976) - np.float32(0.07056) * z * z)
    result: F32 = np.float32(1.0) / (np.float32(1.0) + np.exp(exponent))
    return result


def _said_below(limit: float, mean: F32, sigma: F32) -> F32:
    """Return P(value < limit), and 1 where the noise exceeds the limit and so says nothing."""
    return np.where(
        sigma > np.float32(limit), np.float32(1.0), probability_below(limit, mean, sigma)
    )


def _bounds(known: NDArray[np.bool_]) -> tuple[slice, slice] | None:
    """Return the bounding rectangle of the known cells, None if there are none."""
    rows, cols = (np.flatnonzero(known.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return None
    return slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)


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


def _weights(side: float) -> F32:
    """Return the weights of the cells across a patch; the outermost ones count in part.

    The patch thereby has the requested side, in cells, even if that is not an odd number.
    """
    side = max(side, MIN_SIDE)
    half = math.ceil((side - 1.0) / 2.0)
    result = np.ones(2 * half + 1, np.float32)
    result[0] = result[-1] = 0.5 * (side - (2 * half - 1))
    return result


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
