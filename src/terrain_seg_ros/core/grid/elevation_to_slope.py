"""From elevation to slope, roughness and the probability that ground is safe to stand on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import GeometryError
from terrain_seg_ros.core.settings import setting, settings
from terrain_seg_ros.core.types import F32, U8

MIN_KNOWN_SHARE = 0.3
"""A patch of which less is known tells nothing; above, the covariance says how much."""
MIN_GROUND_SHARE = 0.15
"""A plane takes so much of a patch at least, apart from what stands out of it."""
PROTRUDING_SHARE = 0.25
"""Cells this share of the greatest roughness above their surroundings are kept from the fit."""
PROTRUDING_SIGMAS = 2.0
"""And so many standard deviations more, so that noise alone is not taken for rocks."""
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

    @property
    def max_gradient(self) -> float:
        """Return the tangent of the greatest slope."""
        return math.tan(math.radians(min(self.max_slope_deg, 89.9)))


@dataclass(frozen=True)
class SlopeMap:
    """Slope and roughness of the ground by cell.

    All layers are (rows, cols) float32, NaN where too little is known. `slope_deg`: slope of the
    plane fitted to the patch around a cell. `roughness_m`: distance of the cell from that plane,
    above or below; the roughness under a vehicle is the largest within its footprint. `p_safe`:
    probability, 0 to 1, that the true slope and roughness are within the limits.
    """

    slope_deg: F32
    roughness_m: F32
    p_safe: F32


class _Fit(NamedTuple):
    """Hold the planes of M patches: z = height + gx x + gy y, x and y in cells from the middle.

    `height_variance`, `gradient_variance` are in units of the variance of one height, the latter
    along the steepest line.
    """

    height_m: F32
    gradient: F32
    height_variance: F32
    gradient_variance: F32
    good: NDArray[np.bool_]


def elevation_to_slope(
    elevation_m: F32, settings: SlopeSettings, *, resolution_m: float
) -> SlopeMap:
    """Return slope, roughness and P(safe) around every cell whose height is known.

    A plane is fitted by least squares to the known cells of the square patch of side
    `baseline_m` around each cell. Cells that stand out of their surroundings are left out of the
    fit; otherwise a rock would raise the plane and hide a part of its own height. The noise of the
    heights, assumed Gaussian and independent, is propagated by the fit's covariance to slope and
    roughness, and P(safe) = P(slope in limits) P(roughness in limits). After the hazard detection
    of ALHAT:
    Ivanov, Huertas, Johnson, "Probabilistic Hazard Detection for Autonomous Safe Landing", AIAA
    GNC 2013 (doi 10.2514/6.2013-5019), whose criteria (slope of about 10 degrees, roughness of 0.2
    to 0.3 m) the open program pydem has too; for the lander's pads see `elevation_to_footpads`.

    Args:
        elevation_m: (rows, cols), metres above any level, NaN where unknown.
        settings: limits, patch and noise.
        resolution_m: side of a cell.

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
    result = np.full((3, *elevation_m.shape), np.nan, np.float32)
    known = np.isfinite(elevation_m)
    part = _bounds(known)
    if part is not None:
        level_m = np.float32(elevation_m[known].mean(dtype=np.float64))
        heights_m = np.where(known[part], elevation_m[part] - level_m, np.float32(0.0))
        inside = result[:, part[0], part[1]]
        _judge(heights_m, known[part], settings, resolution_m=resolution_m, into=inside)
    return SlopeMap(*result)


def probability_below(limit: F32 | float, mean: F32, sigma: F32 | float) -> F32:
    """Return P(value < limit) of Gaussian values; without noise 1 up to the limit, else 0.

    The normal distribution is approximated within 2e-4 by Bowling, Khasawneh, Kaewkuekool and
    Cho, "A logistic approximation to the cumulative normal distribution", JIEM 2009.
    """
    z = (np.float32(limit) - mean) / np.maximum(sigma, np.float32(1e-9))
    np.minimum(np.maximum(z, np.float32(-8.0), out=z), np.float32(8.0), out=z)
    exponent = z * (np.float32(-1.5976) - np.float32(0.07056) * z * z)
    result: F32 = np.float32(1.0) / (np.float32(1.0) + np.exp(exponent))
    return result


def _bounds(known: NDArray[np.bool_]) -> tuple[slice, slice] | None:
    """Return the rectangle of all known cells, None where there is none."""
    rows, cols = (np.flatnonzero(known.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return None
    return slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)


def _judge(
    heights_m: F32,
    known: NDArray[np.bool_],
    settings: SlopeSettings,
    *,
    resolution_m: float,
    into: F32,
) -> None:
    """Write slope, roughness and P(safe) of a grid into (3, rows, cols).

    It goes by bands of rows, with the rows around that count for them, so that what is made on
    the way stays in the processor's cache.
    """
    rows = heights_m.shape[0]
    flat = _weights(settings.baseline_m / resolution_m)
    half = flat.size // 2
    height, halo = max(BAND_ROWS, 4 * half), 2 * half
    for first in range(0, rows, height):
        last = min(rows, first + height)
        around = slice(max(0, first - halo), min(rows, last + halo))
        ground, told = _ground(heights_m[around], known[around], half, settings)
        inner = slice(first - around.start, last - around.start)
        moments = _moments(heights_m[around], ground, flat)[:, inner]
        cells = np.flatnonzero(told[inner])
        fit = _fit(moments.reshape(9, -1).take(cells, axis=1), flat)
        good = np.compress(fit.good, cells)
        values = _judged(fit, heights_m[first:last].take(good), settings, resolution_m=resolution_m)
        band = np.full((3, moments[0].size), np.nan, np.float32)
        for layer, found in zip(band, values):
            layer[good] = found
        into[:, first:last] = band.reshape(3, last - first, -1)


def _weights(side: float) -> F32:
    """Return the weights of the cells across a patch; the outermost count as far as they reach in.

    So the patch has the side that is asked for, in cells, though that is no odd number.
    """
    side = max(side, MIN_SIDE)
    half = math.ceil((side - 1.0) / 2.0)
    result = np.ones(2 * half + 1, np.float32)
    result[0] = result[-1] = 0.5 * (side - (2 * half - 1))
    return result


def _judged(
    fit: _Fit, height_m: F32, settings: SlopeSettings, *, resolution_m: float
) -> tuple[F32, F32, F32]:
    """Return slope, roughness and P(safe) of the cells whose plane is good."""
    gradient, plane_m, gradient_variance, height_variance = (
        np.compress(fit.good, values)
        for values in (fit.gradient, fit.height_m, fit.gradient_variance, fit.height_variance)
    )
    gradient = gradient / np.float32(resolution_m)
    departure_m = np.abs(height_m - plane_m)
    sigma_m = np.float32(settings.height_sigma_m)
    gradient_sigma = np.sqrt(gradient_variance) * np.float32(sigma_m / resolution_m)
    departure_sigma_m = np.sqrt(np.float32(1.0) + height_variance) * sigma_m
    p_safe = probability_below(settings.max_gradient, gradient, gradient_sigma)
    p_safe *= probability_below(settings.max_roughness_m, departure_m, departure_sigma_m)
    return np.degrees(np.arctan(gradient)), departure_m, p_safe


def _ground(
    height_m: F32, known: NDArray[np.bool_], half: int, settings: SlopeSettings
) -> tuple[U8, NDArray[np.bool_]]:
    """Return which cells planes are fitted to, and around which known cells enough is known."""
    side = 2 * half + 1
    weights = known.view(np.uint8)
    count, total = (
        cv2.boxFilter(
            layer, cv2.CV_32F, (side, side), normalize=False, borderType=cv2.BORDER_CONSTANT
        )
        for layer in (weights, height_m)
    )
    above_m = height_m - total / np.maximum(count, np.float32(1.0))
    limit_m = (
        PROTRUDING_SHARE * settings.max_roughness_m + PROTRUDING_SIGMAS * settings.height_sigma_m
    )
    ground = known & (above_m < limit_m)
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

    Heights are taken to be as sure as the weights say, so that variances are not understated.
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
