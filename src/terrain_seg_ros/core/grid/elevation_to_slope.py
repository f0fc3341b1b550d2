"""Slope, roughness, steps and the probability that ground is safe, computed from elevation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import GeometryError
from terrain_seg_ros.core.kernel import kernel
from terrain_seg_ros.core.settings import setting, settings
from terrain_seg_ros.core.types import F32

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


class _Fit(NamedTuple):
    """The planes of patches (rows, cols): z = height + gx x + gy y, x and y in cells.

    `height_variance` and `gradient_variance` are in units of the variance of one height, the
    latter along the steepest direction. All are NaN where too little is known.
    """

    height_m: F32
    gradient: F32
    height_variance: F32
    gradient_variance: F32


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
        ground = _Heights(heights_m, known[part].copy(), noise_m, resolution_m)
        inside[[0, 1, 3]] = _slopes(ground, settings)
        if settings.max_step_m > 0.0:
            inside[2], p_below = _steps(ground, settings)
            p_safe = inside[3]
            both = np.isfinite(p_safe) & np.isfinite(p_below)
            np.multiply(p_safe, p_below, out=p_safe, where=both)
            np.copyto(p_safe, p_below, where=np.isnan(p_safe))
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


def _slopes(ground: _Heights, settings: SlopeSettings) -> tuple[F32, F32, F32]:
    """Return slope, roughness and P(safe) of a grid, NaN without a valid plane."""
    fit = _fit(ground, settings.baseline_m, PROTRUDING_SHARE * settings.max_roughness_m)
    gradient = fit.gradient / np.float32(ground.resolution_m)
    departure_m = np.abs(ground.heights_m - fit.height_m)
    gradient_sigma = np.sqrt(fit.gradient_variance) * ground.sigma_m
    gradient_sigma /= np.float32(ground.resolution_m)
    departure_sigma_m = np.sqrt(np.float32(1.0) + fit.height_variance) * ground.sigma_m
    p_safe = _said_below(settings.max_gradient, gradient, gradient_sigma)
    p_safe *= _said_below(settings.max_roughness_m, departure_m, departure_sigma_m)
    return np.degrees(np.arctan(gradient)), departure_m, p_safe


def _steps(ground: _Heights, settings: SlopeSettings) -> tuple[F32, F32]:
    """Return steps and the probability that they are within the limit, NaN without a plane."""
    fit = _fit(ground, settings.step_baseline_m, STEP_PROTRUDING_SHARE * settings.max_step_m)
    step_m = ground.heights_m - fit.height_m
    step_sigma_m = np.sqrt(np.float32(1.0) + fit.height_variance) * ground.sigma_m
    return step_m, _said_below(settings.max_step_m, step_m, step_sigma_m)


def _weights(side: float) -> F32:
    """Return the weights of the cells across a patch; the outermost ones count in part.

    The patch thereby has the requested side, in cells, even if that is not an odd number.
    """
    side = max(side, MIN_SIDE)
    half = math.ceil((side - 1.0) / 2.0)
    result = np.ones(2 * half + 1, np.float32)
    result[0] = result[-1] = 0.5 * (side - (2 * half - 1))
    return result


def _fit(ground: _Heights, side_m: float, protruding_m: float) -> _Fit:
    """Return the planes of square patches, without cells from `protruding_m` above the others."""
    flat = _weights(side_m / ground.resolution_m)
    limit_m = np.float32(protruding_m) + np.float32(PROTRUDING_SIGMAS) * ground.sigma_m
    weights, enough = _ground(ground.heights_m, ground.known, flat.size // 2, limit_m)
    return _Fit(*_fit_planes(ground.heights_m, weights, enough, flat))


@kernel("float32[:, ::1], boolean[:, ::1], int64, float32[:, ::1]")
def _ground(
    height_m: F32, known: NDArray[np.bool_], half: int, protruding_m: F32
) -> tuple[F32, NDArray[np.bool_]]:
    """Return the cells to which planes are fitted, and the known cells with enough known around.

    The former are 1, others 0.
    """
    rows, cols = known.shape
    ground, enough = np.zeros(known.shape, np.float32), np.zeros(known.shape, np.bool_)
    least = MIN_KNOWN_SHARE * (2 * half + 1) ** 2
    for row in range(rows):
        sums = np.zeros((2, cols + 2 * half), dtype=np.float32)
        for other in range(max(row - half, 0), min(row + half + 1, rows)):
            for col in range(cols):
                sums[0, half + col] += np.float32(known[other, col])
                sums[1, half + col] += height_m[other, col]
        around = np.zeros((2, cols), dtype=np.float32)
        for step in range(2 * half + 1):
            for col in range(cols):
                around[0, col] += sums[0, col + step]
                around[1, col] += sums[1, col + step]
        for col in range(cols):
            mean_m = around[1, col] / max(around[0, col], np.float32(1.0))
            if known[row, col] and height_m[row, col] - mean_m < protruding_m[row, col]:
                ground[row, col] = 1.0
            enough[row, col] = known[row, col] and around[0, col] >= least
    return ground, enough


@kernel("float32[:, ::1], float32[:, ::1], int64, float32[::1]")
def _moments(height_m: F32, weights: F32, row: int, flat: F32) -> F32:
    """Return the sums 1, x, y, z, xx, yy, xy, xz, yz over the patches of a row (9, cols)."""
    (rows, cols), half = height_m.shape, flat.size // 2
    sums = np.zeros((5, cols + 2 * half), dtype=np.float32)
    for step in range(max(-half, -row), min(half + 1, rows - row)):
        share, y = flat[half + step], np.float32(step)
        weight, weighted = weights[row + step], weights[row + step] * height_m[row + step]
        _add(sums[0, half:], share, weight)
        _add(sums[1, half:], share * y, weight)
        _add(sums[2, half:], share * y * y, weight)
        _add(sums[3, half:], share, weighted)
        _add(sums[4, half:], share * y, weighted)
    result = np.zeros((9, cols), dtype=np.float32)
    for step in range(-half, half + 1):
        share, x, at = flat[half + step], np.float32(step), half + step
        one, y, yy, z, yz = sums[0, at:], sums[1, at:], sums[2, at:], sums[3, at:], sums[4, at:]
        _add(result[0], share, one)
        _add(result[1], share * x, one)
        _add(result[2], share, y)
        _add(result[3], share, z)
        _add(result[4], share * x * x, one)
        _add(result[5], share, yy)
        _add(result[6], share * x, y)
        _add(result[7], share * x, z)
        _add(result[8], share, yz)
    return result


@kernel("float32[::1], float32, float32[::1]", writes=("total",))
def _add(total: F32, share: float, values: F32) -> None:
    """Add a multiple of values to a total, over the shorter length of both."""
    for index in range(min(total.size, values.size)):
        total[index] += share * values[index]


@kernel("float32[:, ::1], float32[:, ::1], boolean[:, ::1], float32[::1]")
def _fit_planes(height_m: F32, weights: F32, enough: NDArray[np.bool_], flat: F32) -> F32:
    """Return the parts of a `_Fit` (4, rows, cols), by least squares.

    Heights are treated as having a precision proportional to the weights, so that variances are
    not underestimated.
    """
    rows, cols = height_m.shape
    fit = np.full((4, rows, cols), np.nan, dtype=np.float32)
    half, side = flat.size // 2, flat.sum()
    spread = np.float32(0.0)
    for step in range(-half, half + 1):
        spread += flat[half + step] * np.float32(step * step) / side
    one, two, tiny = np.float32(1.0), np.float32(2.0), np.float32(1e-6)
    for row in range(rows):
        moments = _moments(height_m, weights, row, flat)
        for col in range(cols):
            count = moments[0, col]
            if not (enough[row, col] and count >= MIN_GROUND_SHARE * side * side):
                continue
            scale = one / max(count, one)
            x, y, z = moments[1, col] * scale, moments[2, col] * scale, moments[3, col] * scale
            xx, yy = moments[4, col] * scale - x * x, moments[5, col] * scale - y * y
            xy = moments[6, col] * scale - x * y
            xz, yz = moments[7, col] * scale - x * z, moments[8, col] * scale - y * z
            determinant = xx * yy - xy * xy
            if not determinant > np.float32(MIN_SPREAD) * spread * spread:
                continue
            inverse = one / determinant
            gx, gy = (xz * yy - yz * xy) * inverse, (yz * xx - xz * xy) * inverse
            squared = gx * gx + gy * gy
            lean = scale * inverse  # the covariance of (gx, gy) is this [[yy, -xy], [-xy, xx]]
            along = gx * gx * yy - two * gx * gy * xy + gy * gy * xx + tiny * (xx + yy) / two
            fit[0, row, col] = z - gx * x - gy * y
            fit[1, row, col] = np.sqrt(squared)
            fit[2, row, col] = scale + lean * (x * x * yy - two * x * y * xy + y * y * xx)
            fit[3, row, col] = max(lean * along / (squared + tiny), np.float32(0.0))
    return fit
