"""Samples of 16 bits to bytes: many cameras fill only 10, 12 or 14 of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.types import U8

FULL_BITS = 16
DETECTED_BITS = (10, 12, 14, FULL_BITS)
OUTLIER_SHARE = 1e-4
"""So many samples may be brighter than the range: hot pixels, and bits that were flipped."""
PICTURE_SPREAD = 64
"""Samples below 256 that differ by so much are a picture of eight bits, others are darkness."""


class SampleBits:
    """Decide how many bits of 16 a camera fills, once for all of its images.

    `image_bits` 0 detects them: the fewest of 10, 12, 14 and 16 that hold the brightest samples
    seen so far. A dark image so never changes the scale, a brighter one may, once per step
    upwards. Samples that fill eight bits or less count as such only if they show a picture;
    darkness stays dark, so that nothing is observed in it.
    """

    def __init__(self, image_bits: int = 0) -> None:
        """Start without evidence.

        Raises:
            ConfigError: the bits are out of range.
        """
        if image_bits and not 8 <= image_bits <= FULL_BITS:
            raise ConfigError(f"image_bits is {image_bits}, expected 8 to 16, or 0 to detect them")
        self._fixed = bool(image_bits)
        self._bits = image_bits
        self._is_dark = False

    @property
    def bits(self) -> int:
        """Return the bits in force, 0 as long as none were seen or given."""
        return self._bits

    @property
    def text(self) -> str:
        """Return what is assumed of the images' range, empty where there is nothing to tell."""
        if self._fixed or not (self._bits or self._is_dark):
            return ""
        if not self._bits:
            return (
                "16-bit images hold values below 256 without a picture: taken for darkness; if "
                "the camera fills 8 bits only, set image_bits to 8"
            )
        return (
            f"16-bit images fill {self._bits} bits, as detected by their values: they are scaled "
            f"by 1/{1 << (self._bits - 8)}; set image_bits if this is wrong"
        )

    def to_bytes(self, samples: NDArray[Any]) -> U8:
        """Return samples (H, W) or (H, W, C) of uint16 as uint8; brighter ones are 255."""
        if not self._fixed:
            self._look(samples)
        shift = (self._bits or FULL_BITS) - 8
        scaled: U8 = np.minimum(samples >> shift, 255).astype(np.uint8)
        return scaled

    def _look(self, samples: NDArray[Any]) -> None:
        """Raise the bits to what the samples fill."""
        brightest = int(samples.max(initial=0))
        if not brightest or (self._bits and brightest < 1 << self._bits):
            return
        allowed = int(OUTLIER_SHARE * samples.size)
        for bits in (8, *DETECTED_BITS):
            if bits < self._bits:
                continue
            if brightest < 1 << bits or np.count_nonzero(samples >= 1 << bits) <= allowed:
                break
        if bits == 8 and not self._bits:
            low, high = np.percentile(samples, [1.0, 99.0])
            self._is_dark = bool(high - low < PICTURE_SPREAD)
            bits = 0 if self._is_dark else bits
        self._bits = max(self._bits, bits)
