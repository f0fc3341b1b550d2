"""Draw shapes into a mask of class ids."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from terrain_seg_ros.core.types import U8
from terrain_training.data.contract import BadSampleError
from terrain_training.preparation.entry import Shape

TOLERANCE_PX = 2.0
"""How far a corner may lie outside of the image without being named."""
_MAX_PX = 1e6


def draw_shapes(
    shapes: Sequence[Shape], size: tuple[int, int], ids: Mapping[str, int], *, rest: int
) -> tuple[U8, list[str]]:
    """Return the mask (H, W) of an image, and what is wrong with its shapes.

    Large shapes are drawn first, so that a rock on the ground stays visible. Parts outside of the
    image are cut off; a shape whose corners are no numbers, or that lies outside, is left out.

    Args:
        shapes: of the image.
        size: (height, width) of the image, px.
        ids: class id by label.
        rest: id of what no shape covers.

    Raises:
        BadSampleError: a mask is of another size than the image.
    """
    mask: U8 = np.full(size, rest, dtype=np.uint8)
    problems: list[str] = []
    areas: list[tuple[int, Shape]] = []
    for shape in shapes:
        inside, problem = _inside(shape, size)
        area = int(inside.sum())
        if area:
            areas.append((area, shape))
        if problem or not area:
            problems.append(f"{shape.source} ({shape.label}) {problem or 'has no area'}")
    for _, shape in sorted(areas, key=lambda item: -item[0]):
        mask[_inside(shape, size)[0] > 0] = ids[shape.label]  # drawn again: one in memory at a time
    return mask, problems


def _inside(shape: Shape, size: tuple[int, int]) -> tuple[U8, str]:
    """Return the pixels (H, W) of a shape, and what is wrong with it."""
    height_px, width_px = size
    if shape.runs is not None:
        if shape.runs.size != size:
            raise BadSampleError(
                f"{shape.source} is {shape.runs.size[1]} x {shape.runs.size[0]} px, its image "
                f"{width_px} x {height_px} px; correct the file"
            )
        return shape.runs.mask(), ""
    area: U8 = np.zeros(size, dtype=np.uint8)
    problem = ""
    for flat in shape.polygons:
        if len(flat) < 6 or len(flat) % 2:
            problem = f"has a polygon of {len(flat)} numbers, expected x, y of 3 corners or more"
            continue
        if not all(math.isfinite(value) and abs(value) <= _MAX_PX for value in flat):
            problem = "has a corner that is not a position in a picture; the polygon is left out"
            continue
        points = np.array(flat).reshape(-1, 2)
        beyond = max(-points.min(), *(points.max(axis=0) - (width_px, height_px)))
        if beyond > TOLERANCE_PX:
            problem = (
                f"reaches {beyond:.0f} px out of its image of {width_px} x {height_px} px; what "
                "lies outside is cut off"
            )
        cv2.fillPoly(area, [np.rint(points).astype(np.int32)], 1)
    return area, problem
