"""Small pictures of samples, read again when they are shown: a survey keeps no pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from terrain_seg_ros.core.types import U8
from terrain_training.data.contract import Sample, Source

THUMBNAIL_PX = 224
"""So that two beside each other fill a third of a page."""


@dataclass(frozen=True)
class Thumbnail:
    """An image of at most `THUMBNAIL_PX` (h, w, 3) RGB, and its mask (h, w)."""

    image: U8
    mask: U8


def thumbnail_of(sample: Sample) -> Thumbnail:
    """Return a sample as a thumbnail."""
    height, width = sample.mask.shape
    factor = max(1.0, max(height, width) / THUMBNAIL_PX)
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    small = np.asarray(cv2.resize(sample.image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    shown = small if small.ndim == 3 else np.repeat(small[..., None], 3, axis=2)
    mask = cv2.resize(sample.mask, size, interpolation=cv2.INTER_NEAREST)
    return Thumbnail(shown, np.asarray(mask, dtype=np.uint8))


def load_thumbnails(source: Source, names: Iterable[str]) -> list[Thumbnail]:
    """Return samples as thumbnails, read from the source.

    Raises:
        BadSampleError: a sample cannot be read any more.
    """
    return [thumbnail_of(source.load(name)) for name in names]
