"""Augmentations of what a camera on the Moon or Mars does to an image."""

from __future__ import annotations

import math

import cv2
import numpy as np

from terrain_seg_ros.core.types import F32, U8
from terrain_training.augmentation.geometry import Pair


def light(
    image: U8,
    mask: U8,
    random: np.random.Generator,
    *,
    gamma: float,
    gain_min: float,
    gain_max: float,
    offset: float,
) -> Pair:
    """Bend by a gamma of e^-gamma to e^gamma, then change gain about the mean, and offset."""
    values = _unit(image)
    values = np.power(values, math.exp(random.uniform(-gamma, gamma)))
    mean = float(values.mean())
    values = (values - mean) * random.uniform(gain_min, gain_max) + mean
    return _bytes(values + random.uniform(-offset, offset)), mask


def exposure(image: U8, mask: U8, random: np.random.Generator, *, stops: float) -> Pair:
    """Expose longer or shorter by up to `stops` (factors of 2); what is too bright clips."""
    return _bytes(_unit(image) * 2.0 ** random.uniform(-stops, stops)), mask


def vignette(image: U8, mask: U8, random: np.random.Generator, *, strength: float) -> Pair:
    """Brighten one side and darken the other by up to `strength` of full scale."""
    height, width = mask.shape
    angle_rad = random.uniform(0.0, 2.0 * math.pi)
    down, across = np.mgrid[-1.0 : 1.0 : height * 1j, -1.0 : 1.0 : width * 1j]
    ramp = (across * math.cos(angle_rad) + down * math.sin(angle_rad)) * random.uniform(0, strength)
    return _bytes(_unit(image) + ramp[..., np.newaxis]), mask


def low_sun(image: U8, mask: U8, random: np.random.Generator, *, strength: float) -> Pair:
    """Shade as a sun near the horizon does: relief stands out, its far sides go dark.

    Brightness, blurred, serves as height; its slope along the sun's azimuth is added.
    """
    values = _unit(image)
    height = cv2.GaussianBlur(values.mean(axis=2), (0, 0), 2.0)
    angle_rad = random.uniform(0.0, 2.0 * math.pi)
    slope_x, slope_y = cv2.Sobel(height, cv2.CV_32F, 1, 0), cv2.Sobel(height, cv2.CV_32F, 0, 1)
    slope = slope_x * math.cos(angle_rad) + slope_y * math.sin(angle_rad)
    share = random.uniform(0.0, strength)
    shaded = values * (1.0 - 0.5 * share) + share * slope[..., np.newaxis]
    return _bytes(shaded), mask


def shadows(
    image: U8, mask: U8, random: np.random.Generator, *, count: int, darkness: float
) -> Pair:
    """Cast up to `count` shadows with soft edges, as masts and boulders out of view do."""
    height, width = mask.shape
    shade = np.zeros((height, width), dtype=np.float32)
    for _ in range(int(random.integers(1, count + 1))):
        centre = random.uniform(0.0, 1.0, 2) * (width, height)
        corners = int(random.integers(3, 7))
        angles = np.sort(random.uniform(0.0, 2.0 * math.pi, corners))
        reach = random.uniform(0.05, 0.35, corners)[:, np.newaxis] * max(height, width)
        points = centre + reach * np.column_stack([np.cos(angles), np.sin(angles)])
        cv2.fillPoly(shade, [np.rint(points).astype(np.int32)], 1.0)
    soft = cv2.GaussianBlur(shade, (0, 0), random.uniform(0.5, 2.0))
    kept = 1.0 - soft * random.uniform(0.3, 1.0) * darkness
    return _bytes(_unit(image) * kept[..., np.newaxis]), mask


def noise(image: U8, mask: U8, random: np.random.Generator, *, read: float, shot: float) -> Pair:
    """Add read noise, and shot noise that grows with the root of brightness (full scale 1)."""
    values = _unit(image)
    sigma = random.uniform(0.1, 1.0) * np.sqrt(read**2 + shot**2 * values)
    return _bytes(values + sigma * random.standard_normal(values.shape, dtype=np.float32)), mask


def blur(
    image: U8, mask: U8, random: np.random.Generator, *, sigma_px: float, motion_px: float
) -> Pair:
    """Blur out of focus, or half of the time along a line, as motion does."""
    if random.random() < 0.5:
        blurred = cv2.GaussianBlur(image, (0, 0), random.uniform(0.3, max(0.31, sigma_px)))
    else:
        length = max(1, round(random.uniform(1.0, max(1.0, motion_px))))
        kernel = np.zeros((2 * length + 1, 2 * length + 1), dtype=np.float32)
        angle_rad = random.uniform(0.0, math.pi)
        step = (round(length * math.cos(angle_rad)), round(length * math.sin(angle_rad)))
        first, last = (length - step[0], length - step[1]), (length + step[0], length + step[1])
        cv2.line(kernel, first, last, 1.0)
        blurred = cv2.filter2D(image, -1, kernel / kernel.sum())
    return np.asarray(blurred, dtype=np.uint8).reshape(image.shape), mask


def jpeg(
    image: U8, mask: U8, random: np.random.Generator, *, quality_min: int, quality_max: int
) -> Pair:
    """Compress as JPEG, with a quality (1 to 100) between two."""
    if image.shape[2] == 3:
        image = image[..., ::-1].copy()
    quality = int(random.integers(quality_min, quality_max + 1))
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED), dtype=np.uint8)
    if image.shape[2] == 3:
        decoded = decoded[..., ::-1].copy()
    return decoded.reshape(image.shape), mask


def dust(image: U8, mask: U8, random: np.random.Generator, *, haze: float, specks: int) -> Pair:
    """Veil the image as dust in the air does, and put specks as dust on the lens does."""
    values = _unit(image)
    share = random.uniform(0.0, haze)
    values = values * (1.0 - share) + share * random.uniform(0.4, 0.8)
    layer = np.zeros(mask.shape, dtype=np.float32)
    for _ in range(int(random.integers(0, specks + 1))):
        place = (int(random.integers(mask.shape[1])), int(random.integers(mask.shape[0])))
        cv2.circle(layer, place, int(random.integers(1, 4)), random.uniform(0.1, 0.5), -1)
    soft = cv2.GaussianBlur(layer, (0, 0), 1.5)
    return _bytes(values * (1.0 - soft[..., np.newaxis])), mask


def bayer(image: U8, mask: U8, _random: np.random.Generator) -> Pair:
    """See colour through a Bayer pattern (RGGB), demosaiced bilinearly; grey images stay."""
    if image.shape[2] == 1:
        return image, mask
    mosaic = image[..., 1].copy()
    mosaic[0::2, 0::2] = image[0::2, 0::2, 0]
    mosaic[1::2, 1::2] = image[1::2, 1::2, 2]
    # OpenCV names a pattern by the second row's second and third pixel: RGGB is its "BayerBG".
    return np.asarray(cv2.cvtColor(mosaic, cv2.COLOR_BayerBG2RGB), dtype=np.uint8), mask


def mono(image: U8, mask: U8, _random: np.random.Generator) -> Pair:
    """See without colour, as a grey camera does."""
    if image.shape[2] == 1:
        return image, mask
    grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    return np.repeat(np.asarray(grey, dtype=np.uint8)[..., np.newaxis], 3, axis=2), mask


def _unit(image: U8) -> F32:
    values: F32 = np.asarray(image, dtype=np.float32) / np.float32(255.0)
    return values


def _bytes(values: F32) -> U8:
    return np.asarray(np.clip(values * 255.0 + 0.5, 0, 255), dtype=np.uint8)
