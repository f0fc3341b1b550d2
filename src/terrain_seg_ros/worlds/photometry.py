"""Reflectance models of lunar and Martian ground."""

from __future__ import annotations

import numpy as np

from terrain_seg_ros.core.types import F64

LIMB_DARKENING = (1.0, -0.019, 2.42e-4, -1.46e-6)
"""McEwen's L as a cubic of the phase angle in degrees (McEwen 1996)."""
SURGE, SURGE_WIDTH = 0.4, 0.06
"""Height and angular width of the opposition surge (Hapke 1986), as for lunar soil."""
PHASE_DECAY_RAD = 1.5
"""Phase angle over which the disk of the Moon darkens by a factor of about e."""


def lunar_reflectance(incidence: F64, emission: F64, phase_rad: F64) -> F64:
    """Return the brightness of lunar soil of albedo 1 for sunlight of unit strength.

    The Lunar-Lambert law, 2 L mu0 / (mu0 + mu) + (1 - L) mu0 (McEwen 1991, 1996), times a phase
    function with an opposition surge (Hapke 1986).

    Args:
        incidence: cosine of the angle between normal and sun, negative on the night side.
        emission: cosine of the angle between normal and viewer.
        phase_rad: angle between sun and viewer.
    """
    mu0, mu = np.maximum(incidence, 0.0), np.maximum(emission, 1e-3)
    degrees = np.degrees(phase_rad)
    limb = sum(factor * degrees**power for power, factor in enumerate(LIMB_DARKENING))
    limb = np.clip(limb, 0.0, 1.0)
    surge = 1.0 + SURGE / (1.0 + np.tan(np.minimum(0.5 * phase_rad, 1.5)) / SURGE_WIDTH)
    bright: F64 = limb * 2.0 * mu0 / (mu0 + mu) + (1.0 - limb) * mu0
    return bright * surge * np.exp(-phase_rad / PHASE_DECAY_RAD)


def martian_reflectance(incidence: F64, sky_share: float, up: F64) -> F64:
    """Return the brightness of Martian soil of albedo 1 for sunlight of unit strength.

    Lambert's law for the sun, plus light from the dusty sky.

    Args:
        incidence: cosine of the angle between normal and sun.
        sky_share: light of the whole sky on level ground relative to that of the sun overhead.
        up: z of the normal.
    """
    bright: F64 = np.maximum(incidence, 0.0) + sky_share * (0.5 + 0.5 * up)
    return bright
