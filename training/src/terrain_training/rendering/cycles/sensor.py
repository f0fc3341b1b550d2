"""What a camera makes of the light that falls on it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from terrain_seg_ros.core.errors import GeometryError
from terrain_seg_ros.core.types import F32, U8

GREY = np.array([0.299, 0.587, 0.114], np.float32)
WHITE = 255.0
MIN_LIT_SHARE = 0.02
"""A picture with fewer lit pixels is exposed for what there is at most."""


@dataclass(frozen=True)
class SensorSettings:
    """Hold a camera's response.

    `exposure` is the median brightness (0 to 1, linear) that lit ground gets, `gamma` the exponent
    from linear to stored values and `toe` the linear share cut off as black. `gains` are of red,
    green and blue. `blur_px` is the sigma of lens and pixel, `sharpen` the gain of a mask that
    sharpens afterwards. `vignetting` is the share of light that the corner lacks. `glare` is the
    share of light that scatters all over the picture. `shot` and `read` are deviations of noise at
    white and at black. `quality` is of JPEG, 0 for none.
    """

    exposure: float
    gamma: float
    toe: float
    gains: tuple[float, float, float]
    grey: bool
    blur_px: float
    sharpen: float
    vignetting: float
    glare: float
    glare_px: float
    shot: float
    read: float
    hot_pixels: float
    quality: int


def choose_sensor(random: np.random.Generator, *, grey: bool) -> SensorSettings:
    """Return a camera; `grey` makes one without colours likely."""
    warm, green = random.normal(0.0, 0.03), random.normal(0.0, 0.012)
    read = random.uniform(0.001, 0.005)
    gamma, stored = random.uniform(1.15, 2.1), random.uniform(0.38, 0.58)
    return SensorSettings(
        exposure=stored**gamma,
        gamma=gamma,
        toe=random.uniform(0.0, 0.006) + float(random.choice([0.0, 3.0], p=[0.3, 0.7])) * read,
        gains=(1.0 + warm, 1.0 + green, 1.0 - warm),
        grey=bool(random.random() < (0.6 if grey else 0.12)),
        blur_px=random.uniform(0.2, 0.6),
        sharpen=float(random.choice([0.0, random.uniform(0.3, 1.6)], p=[0.25, 0.75])),
        vignetting=random.uniform(0.0, 0.25),
        glare=float(random.choice([0.0, random.uniform(0.0, 0.03), random.uniform(0.03, 0.12)])),
        glare_px=random.uniform(0.05, 0.4),
        shot=random.uniform(0.004, 0.02),
        read=read,
        hot_pixels=float(random.choice([0.0, 0.0, 3e-5, 2e-4])),
        quality=int(random.choice([0, 0, *range(70, 98, 3)])),
    )


def expose(light_hwc: F32, lit: F32, settings: SensorSettings, *, seed: int) -> U8:
    """Return the picture (H, W, 3) of RGB that a camera stores.

    Args:
        light_hwc: linear light (H, W, 3).
        lit: (H, W), 1 where the ground is in the sun; the exposure is chosen by these pixels.
        settings: of the camera.
        seed: of the noise.
    """
    random = np.random.default_rng(seed)
    light: F32 = np.nan_to_num(np.maximum(light_hwc, 0.0)).astype(np.float32)
    light = light * np.float32(settings.exposure / _brightness(light, lit))
    light = light * np.array(settings.gains, np.float32) * _vignette(light.shape, settings)
    light = _scatter(light, settings)
    light = cv2.GaussianBlur(light, (0, 0), settings.blur_px).astype(np.float32)
    if settings.grey:
        light = np.repeat((light @ GREY)[..., np.newaxis], 3, axis=-1)
    noise = random.standard_normal(light.shape[:2] + ((1,) if settings.grey else (3,)))
    deviation = np.sqrt(settings.shot**2 * np.maximum(light, 0.0) + settings.read**2)
    light = light + (deviation * noise).astype(np.float32)
    hot = random.uniform(size=light.shape[:2]) < settings.hot_pixels
    light[hot] += random.uniform(0.2, 1.0, (int(hot.sum()), 1)).astype(np.float32)
    stored = np.clip(light - settings.toe, 0.0, 1.0) ** (1.0 / settings.gamma)
    if settings.sharpen > 0.0:
        soft = cv2.GaussianBlur(stored, (0, 0), 1.0)
        stored = stored + settings.sharpen * (stored - soft)
    picture: U8 = np.rint(np.clip(stored, 0.0, 1.0) * WHITE).astype(np.uint8)
    return _compress(picture, settings.quality)


def _brightness(light: F32, lit: F32) -> float:
    """Return the median light of lit ground, or of the brightest pixels where little is lit."""
    grey = light @ GREY
    chosen = grey[lit > 0]
    if chosen.size < MIN_LIT_SHARE * grey.size:
        chosen = grey[grey >= np.quantile(grey, 0.95)]
    return max(float(np.median(chosen)), 1e-9)


def _vignette(shape: tuple[int, ...], settings: SensorSettings) -> F32:
    rows, cols = np.linspace(-1.0, 1.0, shape[0]), np.linspace(-1.0, 1.0, shape[1])
    corner = 0.5 * (rows[:, np.newaxis] ** 2 + cols[np.newaxis] ** 2)
    return np.asarray(1.0 - settings.vignetting * corner, np.float32)[..., np.newaxis]


def _scatter(light: F32, settings: SensorSettings) -> F32:
    """Return light of which a share is spread wide, half of it evenly."""
    if settings.glare == 0.0:
        return light
    bright = np.minimum(light, 1.5)
    wide = cv2.GaussianBlur(bright, (0, 0), settings.glare_px * light.shape[1])
    spread = 0.5 * wide + 0.5 * bright.mean(axis=(0, 1))
    mixed: F32 = ((1.0 - settings.glare) * light + settings.glare * spread).astype(np.float32)
    return mixed


def _compress(picture: U8, quality: int) -> U8:
    if quality == 0:
        return picture
    done, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise GeometryError(f"OpenCV cannot encode an image of shape {picture.shape} as JPEG")
    again = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
    return np.ascontiguousarray(again[..., ::-1]).astype(np.uint8)
