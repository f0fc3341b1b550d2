"""The stance of a lander with four footpads at any azimuth, computed from elevation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.grid.elevation_to_slope import SlopeSettings, probability_below
from terrain_seg_ros.core.types import F32

MIN_UNDER_KNOWN_SHARE = 0.8
"""Smallest known share of the ground below the lander."""
PLANE_VARIANCE_MAX = 3.0
"""Largest variance, within the circle of the pads, of a plane through three pads.

In units of the variance of one height.
"""
MAX_AZIMUTHS = 24
_AROUND = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
_TINY = np.float32(1e-6)


@dataclass(frozen=True)
class FootpadStance:
    """The stance of a lander at M places, the worst over all azimuths.

    All are (M,) float32, NaN where too little is known. `roughness_m` is the largest height of the
    ground between the pads above the plane on which they stand.
    """

    slope_deg: F32
    roughness_m: F32
    p_safe: F32


class _Planes(NamedTuple):
    """The planes (M, P) on which pads may stand: height at the centre, and gradient.

    `variance` is that of the gradient in the steepest direction, in units of one height's.
    """

    height_m: F32
    gradient_x: F32
    gradient_y: F32
    gradient: F32
    variance: F32


def elevation_to_footpads(
    elevation_m: F32,
    rows: NDArray[np.intp],
    cols: NDArray[np.intp],
    settings: SlopeSettings,
    *,
    resolution_m: float,
) -> FootpadStance:
    """Return slope, roughness and P(safe) of a lander that stands on the given cells.

    Four pads stand on a circle of diameter `baseline_m`, each on the highest of the nine cells
    below it. A rigid lander rests on three of them: on the higher of the two diagonals and on one
    of the other two pads. The worst over both cases and over all azimuths, in steps of about a
    cell, counts. After ALHAT: Ivanov, Huertas, Johnson, "Probabilistic Hazard Detection for
    Autonomous Safe Landing", AIAA GNC 2013 (doi 10.2514/6.2013-5019): the noise of the heights is
    Gaussian and independent, P(safe) = P(slope in limits) P(roughness in limits).

    Args:
        elevation_m: (rows, cols), metres above any level, NaN where unknown.
        rows: (M,) rows of the cells below the lander's centre.
        cols: (M,) columns of these cells.
        settings: limits, diameter and noise.
        resolution_m: side of a cell.
    """
    reach = 0.5 * settings.baseline_m / resolution_m
    planes = _planes(elevation_m, rows, cols, reach, resolution_m=resolution_m)
    roughness_m = _highest(elevation_m, rows, cols, planes, reach, resolution_m=resolution_m)
    sigma_m = np.float32(settings.height_sigma_m)
    p_safe = probability_below(
        settings.max_gradient, planes.gradient, np.sqrt(planes.variance) * sigma_m
    )
    departure_sigma_m = sigma_m * np.float32(math.sqrt(1.0 + PLANE_VARIANCE_MAX))
    p_safe *= probability_below(settings.max_roughness_m, roughness_m, departure_sigma_m)
    return FootpadStance(
        np.degrees(np.arctan(planes.gradient.max(axis=1))),
        np.maximum(roughness_m.max(axis=1), np.float32(0.0)),
        p_safe.min(axis=1),
    )


def _heights(elevation_m: F32, rows: NDArray[np.intp], cols: NDArray[np.intp]) -> F32:
    """Return the heights of cells, NaN outside the grid."""
    inside = (rows >= 0) & (rows < elevation_m.shape[0])
    inside &= (cols >= 0) & (cols < elevation_m.shape[1])
    found: F32 = elevation_m[np.where(inside, rows, 0), np.where(inside, cols, 0)]
    return np.where(inside, found, np.float32(np.nan))


def _planes(
    elevation_m: F32,
    rows: NDArray[np.intp],
    cols: NDArray[np.intp],
    reach: float,
    *,
    resolution_m: float,
) -> _Planes:
    """Return the planes for all azimuths and both cases; NaN if a pad's ground is unknown."""
    count = min(MAX_AZIMUTHS, max(4, math.ceil(0.5 * math.pi * reach)))
    azimuth_rad = np.arange(count, dtype=np.float64) * (0.5 * math.pi / count)
    around_rad = azimuth_rad + 0.5 * math.pi * np.arange(4)[:, None]
    east, north = (
        np.rint(reach * axis).astype(np.intp) for axis in (np.cos(around_rad), np.sin(around_rad))
    )
    rows, cols = rows[:, None, None] + north, cols[:, None, None] + east
    pads = _heights(elevation_m, rows, cols)
    for step_rows, step_cols in _AROUND:
        pads = np.fmax(pads, _heights(elevation_m, rows + step_rows, cols + step_cols))
    a, b, c, d = np.moveaxis(pads, 1, 0)
    first, second = (a + c) / 2, (b + d) / 2
    is_first = first >= second
    middle_m = np.where(is_first, first, second)
    radius_m = np.float32(reach * resolution_m)
    flat = np.where(is_first, a - c, b - d) / (2 * radius_m)
    rocked = (
        np.stack(
            [
                np.where(is_first, b - first, a - second),
                np.where(is_first, first - d, second - c),
            ]
        )
        / radius_m
    )
    along = np.where(is_first, flat, rocked)
    across = np.where(is_first, rocked, flat)
    return _turned(middle_m, along, across, is_first, azimuth_rad, radius_m=radius_m)


def _turned(
    middle_m: F32,
    along: F32,
    across: F32,
    is_first: NDArray[np.bool_],
    azimuth_rad: NDArray[np.float64],
    *,
    radius_m: np.float32,
) -> _Planes:
    """Return planes from gradients (2, M, A) along a lander's first diagonal and across it."""
    cosine, sine = np.cos(azimuth_rad).astype(np.float32), np.sin(azimuth_rad).astype(np.float32)
    squared = along * along + across * across
    # The variances of (a - c) / 2R and of (b - (a + c) / 2) / R.
    of_flat, of_rocked = np.float32(0.5 / radius_m**2), np.float32(1.5 / radius_m**2)
    of_along = np.where(is_first, of_flat, of_rocked)
    of_across = np.where(is_first, of_rocked, of_flat)
    variance = along * along * of_along + across * across * of_across
    variance = (variance + _TINY * (of_flat + of_rocked) / 2) / (squared + _TINY)

    def by_place(values: F32) -> F32:
        joined: F32 = np.concatenate([*values], axis=1)
        return joined

    return _Planes(
        by_place(np.stack([middle_m, middle_m])),
        by_place(along * cosine - across * sine),
        by_place(along * sine + across * cosine),
        by_place(np.sqrt(squared)),
        by_place(variance),
    )


def _highest(
    elevation_m: F32,
    rows: NDArray[np.intp],
    cols: NDArray[np.intp],
    planes: _Planes,
    reach: float,
    *,
    resolution_m: float,
) -> F32:
    """Return (M, P) the largest height of the ground below the lander above each plane."""
    half = math.floor(reach)
    north, east = np.mgrid[-half : half + 1, -half : half + 1]
    inside = north * north + east * east <= reach * reach
    north, east = north[inside], east[inside]
    result = np.empty(planes.height_m.shape, np.float32)
    at_m = np.stack([east * resolution_m, north * resolution_m]).astype(np.float32)
    for index, (row, col) in enumerate(zip(rows, cols)):
        ground_m = _heights(elevation_m, row + north, col + east)
        known = np.isfinite(ground_m)
        if known.mean() < MIN_UNDER_KNOWN_SHARE:
            result[index] = np.nan
            continue
        slopes = np.stack([planes.gradient_x[index], planes.gradient_y[index]], axis=1)
        above_m = ground_m[known] - slopes @ at_m[:, known]
        result[index] = above_m.max(axis=1) - planes.height_m[index]
    return result
