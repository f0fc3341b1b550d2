"""Fractal ground, sand ripples and bedrock plates."""

from __future__ import annotations

import math

import cv2
import numpy as np

from terrain_seg_ros.core.types import F32, F64

RIPPLE_INDEX = 17.0
"""Wavelength over height of wind ripples (Bagnold 1941; Lapotre et al. 2016 for Mars)."""


def post_places(count: int, spacing_m: float) -> F64:
    """Return the coordinates (n,) of posts along an axis, centred at 0."""
    places: F64 = (np.arange(count, dtype=np.float64) - 0.5 * (count - 1)) * spacing_m
    return places


def fractal_ground(
    rng: np.random.Generator, count: int, spacing_m: float, *, hurst: float, smooth_below_m: float
) -> F32:
    """Return self-affine ground (n, n) whose RMS deviation over 1 m is 1.

    The RMS deviation of heights at a distance L is L^hurst (Shepard et al. 2001), which corresponds
    to a power spectrum in two dimensions of wavenumber^-(2 hurst + 2). Below `smooth_below_m` the
    roughness is removed by a Gaussian filter. The longest wavelength is 1.5 times the side.
    """
    size = cv2.getOptimalDFTSize(count + count // 2)
    spectrum = np.fft.rfft2(rng.standard_normal((size, size), dtype=np.float32))
    across = np.fft.fftfreq(size, spacing_m)[:, np.newaxis]
    along = np.fft.rfftfreq(size, spacing_m)[np.newaxis, :]
    square = across * across + along * along
    square[0, 0] = 1.0
    sigma_m = 0.25 * smooth_below_m
    gain = square ** (-0.5 * (hurst + 1.0)) * np.exp(-2.0 * (math.pi * sigma_m) ** 2 * square)
    gain[0, 0] = 0.0
    field = np.fft.irfft2(spectrum * gain, (size, size))[:count, :count]
    lag = min(max(1, round(1.0 / spacing_m)), count - 1)
    steps = (field[lag:] - field[:-lag], field[:, lag:] - field[:, :-lag])
    rms = math.sqrt(sum(float(np.mean(step * step)) for step in steps) / 2.0)
    scale = (lag * spacing_m) ** hurst / rms if rms > 0.0 else 0.0
    return np.asarray((field - field.mean()) * scale, dtype=np.float32)


def smooth_noise(rng: np.random.Generator, count: int, spacing_m: float, *, length_m: float) -> F32:
    """Return noise (n, n) of mean 0 and standard deviation 1 that varies over about `length_m`."""
    coarse_m = 0.25 * length_m
    coarse = min(count, max(4, math.ceil((count - 1) * spacing_m / coarse_m) + 4))
    field = rng.standard_normal((coarse, coarse), dtype=np.float32)
    smooth = cv2.resize(
        cv2.GaussianBlur(field, (0, 0), 0.9), (count, count), interpolation=cv2.INTER_CUBIC
    )
    deviation = max(float(np.std(smooth)), 1e-9)
    return np.asarray((smooth - np.mean(smooth)) / deviation, dtype=np.float32)


def sand_ripples(rng: np.random.Generator, count: int, spacing_m: float, *, ripple_m: float) -> F32:
    """Return wind ripples (n, n) with crests about `ripple_m` apart, lowest points at 0.

    The lee side is the steeper one; crests are curved and finite. Large ripples on Mars are 1 to
    3 m apart (Lapotre et al. 2016).
    """
    places = post_places(count, spacing_m)
    angle = rng.uniform(0.0, math.pi)
    bend = smooth_noise(rng, count, spacing_m, length_m=6.0 * ripple_m)
    height = smooth_noise(rng, count, spacing_m, length_m=4.0 * ripple_m)
    phase = math.cos(angle) * places[np.newaxis, :] + math.sin(angle) * places[:, np.newaxis]
    phase = 2.0 * math.pi * phase / ripple_m + 1.5 * bend
    shape = 0.5 + 0.5 * np.sin(phase + 0.5 * np.sin(phase))
    strength = np.clip(0.75 + 0.25 * height, 0.2, 1.2)
    return np.asarray(shape * strength * ripple_m / RIPPLE_INDEX, dtype=np.float32)


def bedrock_plates(
    rng: np.random.Generator, count: int, spacing_m: float, *, plate_m: float
) -> tuple[F32, F32]:
    """Return the height (n, n) of broken plates, and the depth within cracks (n, n), 0 to 1.

    Plates are the Voronoi cells of random seeds, each slightly higher or lower.
    """
    side_m = (count - 1) * spacing_m
    seeds = max(4, round((side_m / plate_m) ** 2))
    free = np.ones((count, count), dtype=np.uint8)
    free[tuple(rng.integers(0, count, (2, seeds)))] = 0
    labels = cv2.distanceTransformWithLabels(free, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)[
        1
    ]
    wander = 0.15 * plate_m / spacing_m
    rows, cols = np.indices((count, count), dtype=np.float32)
    shift = [wander * smooth_noise(rng, count, spacing_m, length_m=0.6 * plate_m) for _ in range(2)]
    labels = cv2.remap(
        labels.astype(np.float32),
        cols + shift[0],
        rows + shift[1],
        cv2.INTER_NEAREST,
        borderMode=cv2.BORDER_REPLICATE,
    ).astype(np.int32)
    edge = np.zeros((count, count), dtype=np.float32)
    edge[:, 1:] = labels[:, 1:] != labels[:, :-1]
    edge[1:] = np.maximum(edge[1:], labels[1:] != labels[:-1])
    level = rng.normal(0.0, 0.012, int(labels.max()) + 1)[labels].astype(np.float32)
    reach = max(0.015 / spacing_m, 0.4)
    cracks = np.minimum(cv2.GaussianBlur(edge, (0, 0), reach) * 2.5 * reach, 1.0)
    height = cv2.GaussianBlur(level, (0, 0), reach) - 0.015 * cracks
    return np.asarray(height, dtype=np.float32), np.asarray(cracks, dtype=np.float32)
