"""Masks of colours: exact tables, and the nearest colour of a palette."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.types import U8
from terrain_training.data.contract import BadSampleError

Colour = tuple[int, int, int]
_SHOWN = 6
BLUR_LEVELS = 48.0
"""How far JPEG moves a colour inside an area; along borders it mixes two."""
MAX_UNKNOWN_SHARE = 0.25
_ROWS = 65536
"""Pixels compared with a palette at once."""


class ColourTable:
    """Class ids by colour; every colour of a mask must be known."""

    def __init__(
        self, ids: Mapping[Colour, int], *, remedy: str = "check that --data is this data set"
    ) -> None:
        """Take the class id, or 255, of each colour, and what to do about colours of none.

        Raises:
            ConfigError: a colour or an id is out of range.
        """
        for colour, number in ids.items():
            if len(colour) != 3 or not all(0 <= c <= 255 for c in colour) or not 0 <= number <= 255:
                raise ConfigError(
                    f"colour {colour} for id {number}: expected 3 x 0..255 and 0..255"
                )
        self._remedy = remedy
        self._colours = np.array(list(ids), dtype=np.uint8)
        self._by_place = np.array(list(ids.values()), dtype=np.uint8)
        keys = np.array([_key_of(colour) for colour in ids], dtype=np.int64)
        order = np.argsort(keys)
        self._keys = keys[order]
        self._ids = np.array(list(ids.values()), dtype=np.uint8)[order]

    def decode(self, colours: U8, *, source: str) -> U8:
        """Return class ids (H, W) of a mask (H, W, 3), RGB.

        Raises:
            BadSampleError: it holds a colour that is not known.
        """
        keys = _keys(colours)
        place = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        unknown = self._keys[place] != keys
        if unknown.any():
            found, counts = np.unique(keys[unknown], return_counts=True)
            most = [_colour_of(int(key)) for key in found[np.argsort(-counts)][:_SHOWN]]
            raise BadSampleError(
                f"{source}: {unknown.mean():.1%} of the mask has colours that mean no class, such "
                f"as {most}; {self._remedy}"
            )
        return np.asarray(self._ids[place], dtype=np.uint8)

    def decode_blurred(self, colours: U8, *, source: str) -> U8:
        """Return class ids (H, W) of a mask that JPEG has changed: those of the nearest colours.

        Pixels between two colours, such as along borders, are 255: their class is unknown.

        Raises:
            BadSampleError: much of it is near no colour.
        """
        place = nearest_colour(colours, self._colours)
        away = colours.astype(np.float32) - self._colours[place]
        unknown = np.sqrt((away**2).sum(axis=2)) > BLUR_LEVELS
        if unknown.mean() > MAX_UNKNOWN_SHARE:
            raise BadSampleError(
                f"{source}: {unknown.mean():.1%} of the mask is near no class's colour, even "
                f"allowing for JPEG; {self._remedy}"
            )
        return np.where(unknown, np.uint8(IGNORE), self._by_place[place])


def nearest_colour(colours: U8, palette: U8) -> U8:
    """Return the index (H, W) of the nearest colour of a palette (K, 3), for blurred masks.

    JPEG blurs the borders of areas; the nearest colour survives that.
    """
    flat = colours.reshape(-1, 3)
    result = np.empty(len(flat), dtype=np.uint8)
    points = palette.astype(np.int32)
    for start in range(0, len(flat), _ROWS):
        part = flat[start : start + _ROWS].astype(np.int32)
        distance = ((part[:, np.newaxis] - points) ** 2).sum(axis=2)
        result[start : start + _ROWS] = distance.argmin(axis=1)
    return result.reshape(colours.shape[:2])


def _keys(colours: U8) -> NDArray[np.int64]:
    wide = colours.astype(np.int64)
    return np.asarray((wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2], dtype=np.int64)


def _key_of(colour: Sequence[int]) -> int:
    return (colour[0] << 16) | (colour[1] << 8) | colour[2]


def _colour_of(key: int) -> Colour:
    return (key >> 16, (key >> 8) & 255, key & 255)
