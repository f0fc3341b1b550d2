"""Many pictures of a folder on one sheet, each with its labels if wanted."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import U8

GAP_PX = 4
IGNORED_RGB = (255, 0, 255)
LABEL_SHARE = 0.45
"""Opacity of labels over the picture."""


def contact_sheet(
    folder: Path, stems: list[str], *, side_px: int, columns: int, taxonomy: Taxonomy | None
) -> U8:
    """Return a sheet (H, W, 3), RGB, of `images` of a folder.

    Args:
        folder: with `images` and `masks`.
        stems: of the pictures, in rows.
        side_px: of each on the sheet.
        columns: pictures in a row.
        taxonomy: its colours are laid over half of the picture's copy below; None leaves that out.
    """
    tiles = []
    for stem in stems:
        tile = _scaled(read_image(folder / "images" / f"{stem}.png"), side_px, cv2.INTER_CUBIC)
        if taxonomy is not None:
            colours = _coloured(read_labels(folder / "masks" / f"{stem}.png"), taxonomy)
            colours = _scaled(colours, side_px, cv2.INTER_NEAREST)
            mixed = LABEL_SHARE * colours + (1.0 - LABEL_SHARE) * tile
            tile = np.vstack([tile, np.rint(mixed).astype(np.uint8)])
        tiles.append(np.pad(tile, ((0, GAP_PX), (0, GAP_PX), (0, 0)), constant_values=255))
    while len(tiles) % columns:
        tiles.append(np.full_like(tiles[0], 255))
    rows = [np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]
    return np.vstack(rows)


def read_image(path: Path) -> U8:
    """Return a picture (H, W, 3), RGB.

    Raises:
        ConfigError: it is not there or cannot be read.
    """
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ConfigError(f"'{path}' cannot be read as a picture; is the set complete?")
    return np.ascontiguousarray(image[..., ::-1]).astype(np.uint8)


def read_labels(path: Path) -> U8:
    """Return class ids (H, W).

    Raises:
        ConfigError: it is not there or cannot be read.
    """
    labels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if labels is None:
        raise ConfigError(f"'{path}' cannot be read as a mask; is the set complete?")
    return labels.astype(np.uint8)


def _scaled(image: U8, side_px: int, how: int) -> U8:
    scaled = cv2.resize(image, (side_px, side_px), interpolation=how)
    return scaled.astype(np.uint8)


def _coloured(labels: U8, taxonomy: Taxonomy) -> U8:
    table = np.zeros((256, 3), np.uint8)
    table[IGNORE] = IGNORED_RGB
    for item in taxonomy:
        table[item.id] = item.color_rgb
    coloured: U8 = table[labels]
    return coloured
