"""The map of one run: truth, ground reported safe, and the path."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.types import U8
from terrain_seg_ros.report.pictures import FREE_RGB, LETHAL_RGB, legend_strip

UNSEEN_RGB = (24, 26, 32)
SEEN_RGB = (96, 98, 104)
FALSE_RGB = (255, 0, 220)
PATH_RGB = (245, 245, 245)
LEGEND = [
    ("not seen", UNSEEN_RGB),
    ("seen", SEEN_RGB),
    ("true hazard", LETHAL_RGB),
    ("reported safe, is safe", FREE_RGB),
    ("reported safe, is unsafe", FALSE_RGB),
    ("path, or chosen site", PATH_RGB),
]
MIN_SIDE_PX = 600

Flags = NDArray[np.bool_]


class MapLayers(NamedTuple):
    """The layers of a map, (n, n) each, row 0 the lowest y.

    `hazard` marks true hazards, `seen` the ground seen in any view, `reported_safe` the cells that
    were reported safe for the vehicle's centre in any view, and `false_safe` those of them that are
    unsafe.
    """

    hazard: Flags
    seen: Flags
    reported_safe: Flags
    false_safe: Flags


def run_picture(
    layers: MapLayers,
    *,
    path_cells: Sequence[tuple[float, float]],
    site: tuple[float, float, float] | None = None,
) -> U8:
    """Return a map (rows, cols, 3) RGB, north (y) up, with its legend below.

    Args:
        layers: the layers of the run.
        path_cells: row and column of the vehicle over time.
        site: row, column and clear radius in cells of a landing site.
    """
    rows = layers.hazard.shape[0]
    colors = np.empty((*layers.hazard.shape, 3), dtype=np.uint8)
    colors[:] = UNSEEN_RGB
    for flags, rgb in (
        (layers.seen, SEEN_RGB),
        (layers.reported_safe, FREE_RGB),
        (layers.hazard, LETHAL_RGB),
        (layers.false_safe, FALSE_RGB),
    ):
        colors[flags] = rgb
    zoom = max(1, -(-MIN_SIDE_PX // rows))
    picture = np.ascontiguousarray(
        np.flipud(colors).repeat(zoom, axis=0).repeat(zoom, axis=1), dtype=np.uint8
    )
    places = [(col * zoom, (rows - row) * zoom) for row, col in path_cells]
    line = np.rint(np.array(places)).astype(np.int32).reshape(-1, 1, 2)
    cv2.polylines(picture, [line], isClosed=False, color=PATH_RGB, thickness=2)
    if site is not None:
        middle = (round(site[1] * zoom), round((rows - site[0]) * zoom))
        cv2.circle(picture, middle, round(site[2] * zoom), PATH_RGB, 2)
    return np.vstack([picture, legend_strip(LEGEND, width_px=picture.shape[1])])


def write_picture(path: Path, picture_rgb: U8) -> None:
    """Write an image as PNG.

    Raises:
        OSError: the file cannot be written.
    """
    encoded = cv2.imencode(".png", cv2.cvtColor(picture_rgb, cv2.COLOR_RGB2BGR))[1]
    path.write_bytes(encoded.tobytes())
