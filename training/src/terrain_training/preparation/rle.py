"""COCO's run lengths: columns of 0 and 1, counted from the first 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.types import U8

MAX_PIXELS = 100_000_000
MAX_TEXT = 16 * 2**20


@dataclass(frozen=True)
class RunLengths:
    """A mask of (height, width) pixels as counts of 0, 1, 0, ... down the columns."""

    size: tuple[int, int]
    counts: NDArray[np.int32]

    def mask(self) -> U8:
        """Return the mask (H, W) of 0 and 1."""
        bits = np.arange(len(self.counts), dtype=np.int64) % 2
        flat = np.repeat(bits.astype(np.uint8), self.counts)
        return np.ascontiguousarray(flat.reshape(self.size[1], self.size[0]).T)


def read_counts(counts: Any, size: Any, *, source: str) -> RunLengths:
    """Return checked run lengths.

    Args:
        counts: of 0, 1, 0, ... down the columns.
        size: [height, width].
        source: for messages.

    Raises:
        ConfigError: the size or a count is wrong, or they do not add up.
    """
    height_px, width_px = _size(size, source)
    good = isinstance(counts, list) and all(
        isinstance(n, int) and not isinstance(n, bool) and 0 <= n <= MAX_PIXELS for n in counts
    )
    if not good:
        raise ConfigError(f"{source}: RLE counts are not whole numbers from 0; correct the file")
    if sum(counts) != height_px * width_px:
        raise ConfigError(
            f"{source}: RLE counts cover {sum(counts)} pixels, but its size is {height_px} x "
            f"{width_px}; correct the file"
        )
    return RunLengths((height_px, width_px), np.array(counts, dtype=np.int32))


def read_text(text: str, size: Any, *, source: str) -> RunLengths:
    """Return compressed run lengths, as pycocotools writes them.

    Each number is in groups of five bits, least first, with a sign; from the fourth on, a number
    is the difference to the one two before it.

    Raises:
        ConfigError: as for `read_counts`, or the text is none.
    """
    if len(text) > MAX_TEXT:
        raise ConfigError(f"{source}: RLE text is longer than {MAX_TEXT}; correct the file")
    counts: list[int] = []
    value = shift = 0
    for character in text:
        code = ord(character) - 48
        if not 0 <= code < 64 or shift > 30:
            raise ConfigError(f"{source}: RLE text cannot be decoded; correct the file")
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    return read_counts(counts, size, source=source)


def _size(size: Any, source: str) -> tuple[int, int]:
    good = isinstance(size, list) and len(size) == 2 and all(isinstance(n, int) for n in size)
    if not good or min(size) < 1 or size[0] * size[1] > MAX_PIXELS:
        raise ConfigError(
            f"{source}: RLE size is {str(size)[:60]}, expected [height, width] of at most "
            f"{MAX_PIXELS} pixels"
        )
    return size[0], size[1]
