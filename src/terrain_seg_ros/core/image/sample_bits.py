"""Conversion of 16-bit samples to 8 bits; many cameras use only 10, 12 or 14 of the 16 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.types import U8

FULL_BITS = 16
DETECTED_BITS = (10, 12, 14, FULL_BITS)
OUTLIER_SHARE = 1e-4
"""Share of samples that may exceed the range, such as hot pixels and flipped bits."""
PICTURE_SPREAD = 64
"""Samples below 256 whose spread reaches this are an 8-bit image; others are darkness."""


class SampleBits:
    """The number of bits, out of 16, that a camera uses; shared by all of its images.

    With `image_bits` 0 it is detected: the smallest of 10, 12, 14 and 16 that covers the brightest
    samples seen so far. A dark image therefore never changes the scale; a brighter one may raise
    it. Samples of eight bits or less count as 8-bit only if they have contrast; darkness stays
    dark, so that nothing is observed in it.
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
        """Return the bits in use, 0 until they are set or detected."""
        return self._bits

    @property
    def text(self) -> str:
        """Return a notice about the assumed range of the images, empty if there is none."""
        if self._fixed or not (self._bits or self._is_dark):
            return ""
        if not self._bits:
            return (
                "16-bit images have values below 256 and no contrast: treated as darkness; if "
                "the camera uses only 8 bits, set image_bits to 8"
            )
        return (
            f"16-bit images use {self._bits} bits, as detected from their values: they are scaled "
            f"by 1/{1 << (self._bits - 8)}; set image_bits if this is wrong"
        )

    def to_bytes(self, samples: NDArray[Any]) -> U8:
        """Convert uint16 samples (H, W) or (H, W, C) to uint8; brighter ones become 255."""
        if not self._fixed:
            self._look(samples)
        shift = (self._bits or FULL_BITS) - 8
        scaled: U8 = np.minimum(samples >> shift, 255).astype(np.uint8)
        return scaled

    def _look(self, samples: NDArray[Any]) -> None:
        """Raise the number of bits to what the samples use."""
        brightest = int(samples.max(initial=0))
        if not brightest:
            self._is_dark = not self._bits
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
