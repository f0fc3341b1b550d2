"""What a stereo camera would have measured instead of the true depth."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from terrain_seg_ros.core.types import F32

DISPARITY_SIGMA_PX = 0.25
WINDOW_SIGMA_PX = 1.0
"""Neighbouring disparities share most of their matching window, and so their noise."""
EDGE_PX = 1.0
"""A jump of disparity between neighbours that hides ground from one of both cameras."""
EDGE_REACH_PX = 3
HOLE_SHARE, HOLE_SIGMA_PX = 0.02, 2.0
"""Share of pixels that match nothing, in patches of about this size."""
LEAST_DISPARITY_PX = 1.0


@dataclass(frozen=True)
class StereoNoise:
    """A stereo camera of focal length `focal_px` and `baseline_m`; both cameras are alike."""

    focal_px: float
    baseline_m: float

    @property
    def range_sigma_per_m2(self) -> float:
        """Return the deviation of a depth over its square, 1/m."""
        return DISPARITY_SIGMA_PX / (self.focal_px * self.baseline_m)

    def measure(self, depth_m: F32, *, seed: int) -> F32:
        """Return what is measured of true depths (h, w): noisy, NaN in holes and at edges.

        Disparities get Gaussian noise of `DISPARITY_SIGMA_PX` that neighbours share, edges of near
        things and patches without a match become holes, and so do disparities below a pixel.
        """
        random = np.random.Generator(np.random.PCG64((seed, 7)))
        disparity = self.focal_px * self.baseline_m / depth_m.astype(np.float64)
        known = np.isfinite(disparity) & (disparity >= LEAST_DISPARITY_PX)
        filled = np.where(known, disparity, 0.0).astype(np.float32)
        jump = cv2.dilate(filled, np.ones((3, 3))) - cv2.erode(filled, np.ones((3, 3)))
        reach = np.ones((EDGE_REACH_PX, EDGE_REACH_PX), np.uint8)
        edge = cv2.dilate((jump > EDGE_PX).astype(np.uint8), reach)
        patches = _smooth_noise(random, depth_m.shape, HOLE_SIGMA_PX)
        hole = patches > np.quantile(patches, 1.0 - HOLE_SHARE)
        noisy = disparity + DISPARITY_SIGMA_PX * _smooth_noise(
            random, depth_m.shape, WINDOW_SIGMA_PX
        )
        known &= (edge == 0) & ~hole & (noisy > 0.0)
        measured: F32 = np.full(depth_m.shape, np.nan, np.float32)
        measured[known] = self.focal_px * self.baseline_m / noisy[known]
        return measured


def _smooth_noise(random: np.random.Generator, shape: tuple[int, ...], sigma_px: float) -> F32:
    """Return Gaussian noise of deviation 1 that is smooth over some pixels."""
    white = random.standard_normal(shape, dtype=np.float32)
    smooth = cv2.GaussianBlur(white, (0, 0), sigma_px)
    noise: F32 = (smooth / max(float(smooth.std()), 1e-9)).astype(np.float32)
    return noise
