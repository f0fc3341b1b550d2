"""Objects that rise above the ground, and the ground hidden behind them.

In the image, an object that stands on a plane covers the ground along straight lines away from the
camera's foot, the point of the plane below the camera. Whatever its shape, its pixels have their
true direction from there, and the nearest pixel in each direction is the object's foot (central
projection preserves the plane through a vertical line and the camera). Everything behind the foot
is the object itself or its view shadow. How much of that is the object cannot be seen; its depth
is assumed to be its width times a ratio.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.ground.ground_view import GroundView
from terrain_seg_ros.core.ground.standing_objects import find_objects, look_from_foot
from terrain_seg_ros.core.hazard_rule import HazardRule
from terrain_seg_ros.core.kernel import kernel
from terrain_seg_ros.core.settings import list_setting, setting, settings
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import F32, F64, U8, Reason

AUTO = "auto"
"""Selects the classes whose hazard reaches the threshold."""
CELL_REACH = 1.6
"""Two pixels of one cell are at most a diagonal apart, and some pixels are slightly narrower."""
MAX_REACH_PX = 48
"""Largest distance around an object in which other pixels of its cells are searched."""
BESIDE_SAMPLES = 2.0
"""Adjacent pixels are adjacent in space if they are at most this many ground samples apart."""
_OBSERVED, _HIDDEN = np.uint8(Reason.OBSERVED), np.uint8(Reason.HIDDEN)
_NEAR, _RIM, _OBJECT = np.uint8(1), np.uint8(2), np.uint8(3)
_NO_CELL = np.int64(-(2**62))
_PLACED = np.array(
    [
        code not in {Reason.TOO_FAR, Reason.OUTSIDE_VIEW, Reason.NO_DEPTH}
        for code in range(len(Reason))
    ]
)
"""Whether a pixel with a reason has a ground point within the limits, by the reason's code."""

Index = NDArray[np.intp]
Flags = NDArray[np.bool_]


@settings
@dataclass(frozen=True)
class ShadowSettings:
    """Which classes stand out of the ground, and how deep such objects are assumed to be."""

    protruding_classes: Annotated[
        tuple[str, ...],
        list_setting(
            "Classes that stand out of the ground and hide what is behind them. [auto]: the "
            "classes whose hazard reaches cost.hazard_threshold."
        ),
    ]
    rock_depth_ratio: Annotated[
        float,
        setting(
            "Assumed depth of a protruding object as a multiple of its visible width. Pixels of "
            "the object that lie farther back are not observed.",
            low=0.0,
            high=100.0,
            dynamic=True,
        ),
    ]

    def __post_init__(self) -> None:
        """Check that `auto` stands alone."""
        if AUTO in self.protruding_classes and len(self.protruding_classes) > 1:
            raise ConfigError(
                f"ground.protruding_classes is {list(self.protruding_classes)}; name classes, or "
                f"{AUTO!r} alone"
            )

    def table(self, taxonomy: Taxonomy, *, hazard_threshold: float) -> U8:
        """Return (256,): 1 for the ids of protruding classes, else 0.

        Raises:
            ConfigError: a name is not a class of the model.
        """
        table: U8 = np.zeros(256, dtype=np.uint8)
        if self.protruding_classes == (AUTO,):
            table[: len(taxonomy)] = HazardRule.of(taxonomy, hazard_threshold).hazardous_classes()
            return table
        for name in filter(None, self.protruding_classes):
            if name not in taxonomy.names:
                raise ConfigError(
                    f"ground.protruding_classes names {name!r}, but the model's classes are "
                    f"{list(taxonomy.names)}"
                )
            table[taxonomy.names.index(name)] = 1
        return table


def hide_shadows(
    view: GroundView,
    protruding: U8,
    *,
    camera_m: F64,
    depth_ratio: float | None,
    cell_m: float,
) -> GroundView:
    """Return the view with ground behind objects marked HIDDEN.

    An object consists of pixels of protruding classes in adjacent directions whose feet are at
    about the same distance. A rock and another one behind it are therefore two objects, even if
    they are one region of the mask. Pixels of an object beyond its depth are HIDDEN. For any kind
    of ground, so are:

    * the pixels around an object, which may show it in part, unless they were measured to lie far
      behind it. Fill points also enter the object at the pixels in front of it and beside it,
      because its foot may lie between two pixels;
    * ground pixels in the cells that contain pixels of an object, because the visible part of a
      cell on which an object stands, or which it hides, does not represent the whole cell.

    Args:
        view: the ground points; its reasons are those of ground and image.
        protruding: (h, w), 1 for pixels of a protruding class, else 0.
        camera_m: (3,) the camera's position in the grid's frame.
        depth_ratio: depth of an object, as a share of its visible width; None if the ground was
            measured, so that the position of every pixel is known.
        cell_m: side of a cell of the grid.
    """
    seen = look_from_foot(view, protruding, view.grid_R_plane.T @ (camera_m - view.anchor_m))
    if not seen.pixel.size:
        return view
    standing, shown = find_objects(seen, protruding, depth_ratio)
    reach_px = min(math.ceil(CELL_REACH * cell_m / float(seen.width_m.min())), MAX_REACH_PX)
    box = np.ones((2 * reach_px + 1, 2 * reach_px + 1), dtype=np.uint8)
    near = np.flatnonzero(np.asarray(cv2.dilate(standing, box), dtype=np.uint8).view(np.bool_))
    plane = view.plane_x_m, view.plane_y_m, view.ground_sample_m
    part, reason = _hide_objects(
        view.reason, standing, near, seen.pixel, shown, *plane, depth_ratio is None
    )
    fill_m = np.stack([view.fill_x_m, view.fill_y_m])
    frame = np.array([*(view.anchor_m[:2] / cell_m % 1.0), cell_m])
    foot_m = seen.foot_m if depth_ratio is None else np.empty(0)
    _hide_cells(
        reason, view.fill_pixel, fill_m, part, near, view.local_x_m, view.local_y_m, frame, foot_m
    )
    owner, other = _beside(reason, part, seen.pixel, shown, *plane, cell_m, seen.foot_m)
    return replace(
        view,
        reason=reason,
        fill_pixel=np.concatenate([view.fill_pixel, owner]),
        fill_x_m=np.concatenate([fill_m[0], view.local_x_m.reshape(-1).take(other)]),
        fill_y_m=np.concatenate([fill_m[1], view.local_y_m.reshape(-1).take(other)]),
    )


@kernel(
    "uint8[:, ::1], uint8[:, ::1], int64[::1], int64[::1], boolean[::1], float32[:, ::1], "
    "float32[:, ::1], float32[:, ::1], boolean"
)
def _hide_objects(  # noqa: PLR0917
    old_reason: U8,
    standing: U8,
    near: Index,
    pixel: Index,
    shown: Flags,
    x_m: F32,
    y_m: F32,
    sample_m: F32,
    is_measured: bool,
) -> tuple[U8, U8]:
    """Hide what objects hide in the image: their own pixels that are not `shown`, and their rim.

    Returns:
        Which pixels (h, w) are `near` objects, in their rim, or their own; and the new reasons.
    """
    part, reason, (height, width) = np.zeros_like(standing), old_reason.copy(), standing.shape
    parts, reasons, stands = part.reshape(-1), reason.reshape(-1), standing.reshape(-1)
    for place in range(pixel.size):
        at = pixel[place]
        if stands[at] and not shown[place] and reasons[at] == _OBSERVED:
            reasons[at] = _HIDDEN
    for at in near:
        parts[at] = _OBJECT if stands[at] else _NEAR
    for at in near:
        if not stands[at]:
            continue
        row, col = at // width, at % width
        for beside_row in range(max(row - 1, 0), min(row + 2, height)):
            for beside_col in range(max(col - 1, 0), min(col + 2, width)):
                beside = beside_row, beside_col
                if part[beside] != _NEAR:
                    continue
                apart_m = math.hypot(x_m[beside] - x_m[row, col], y_m[beside] - y_m[row, col])
                joined_m = BESIDE_SAMPLES * np.fmax(sample_m[beside], sample_m[row, col])
                if not is_measured or apart_m <= joined_m:
                    part[beside] = _RIM
                    reason[beside] = _HIDDEN if reason[beside] == _OBSERVED else reason[beside]
    return part, reason


@kernel(
    "uint8[:, ::1], int64[::1], float32[:, ::1], uint8[:, ::1], int64[::1], float32[:, ::1], "
    "float32[:, ::1], float64[::1], float64[::1]",
    writes=("reason", "fill_m"),
)
def _hide_cells(  # noqa: PLR0917
    reason: U8,
    fill_pixel: Index,
    fill_m: F32,
    part: U8,
    near: Index,
    x_m: F32,
    y_m: F32,
    frame: F64,
    foot_m: F64,
) -> None:
    """Hide ground in the cells that hold points of objects or of their rim.

    Only pixels `near` an object in the image are examined. Fill points are hidden by setting them
    to NaN. If the ground was measured, `foot_m` (2,) is the camera's foot, else it is empty: pixels
    show only the near side of objects, which are assumed to extend half a cell behind it.
    """
    parts, reasons, count = part.reshape(-1), reason.reshape(-1), near.size + fill_pixel.size
    xs_m, ys_m = x_m.reshape(-1), y_m.reshape(-1)
    cells, takes = np.empty(count, dtype=np.int64), np.zeros(count, dtype=np.bool_)
    for point in range(count):
        at = near[point] if point < near.size else fill_pixel[point - near.size]
        takes[point] = parts[at] >= _RIM and _PLACED[reasons[at]]
    taken = np.full(2 ** math.ceil(math.log2(4 * takes.sum() + 4)), _NO_CELL, dtype=np.int64)
    for point in range(count):
        at, fill = near[min(point, near.size - 1)], point - near.size
        x, y = xs_m[at], ys_m[at]
        if fill >= 0:
            at, x, y = fill_pixel[fill], fill_m[0, fill], fill_m[1, fill]
        if not parts[at]:
            continue
        cells[point] = _cell_of(x, y, frame)
        if takes[point]:
            taken[_place_of(taken, cells[point])] = cells[point]
        if takes[point] and foot_m.size:
            away_x, away_y = x - np.float32(foot_m[0]), y - np.float32(foot_m[1])
            away = max(np.float32(math.hypot(away_x, away_y)), np.float32(frame[2]))
            share = np.float32(0.5 * frame[2]) / away
            behind = _cell_of(x + share * away_x, y + share * away_y, frame)
            taken[_place_of(taken, behind)] = behind
    for point in range(count):
        at, fill = near[min(point, near.size - 1)], point - near.size
        at = at if fill < 0 else fill_pixel[fill]
        is_free = parts[at] and not takes[point] and (fill >= 0 or reasons[at] == _OBSERVED)
        if not is_free or taken[_place_of(taken, cells[point])] == _NO_CELL:
            continue
        if fill < 0:
            reasons[at] = _HIDDEN
        else:
            fill_m[0, fill] = np.nan


@kernel("float32, float32, float64[::1]")
def _cell_of(x_m: float, y_m: float, frame: F64) -> int:
    """Return the number of the grid's cell at a local point: its row << 32, plus its column.

    `frame` (3,) is the place of the anchor in its cell, 0 to 1, and the side of a cell in metres.
    """
    per_m = np.float32(1.0 / frame[2])
    row = np.int64(np.floor(y_m * per_m + np.float32(frame[1])))
    col = np.int64(np.floor(x_m * per_m + np.float32(frame[0])))
    cell: int = (row << 32) + col
    return cell


@kernel("int64[::1], int64")
def _place_of(table: Index, cell: int) -> int:
    """Return the place of a cell in a table of 2^n places, or the free place where it belongs."""
    last = table.size - 1
    place = (cell + 1021 * (cell >> 32)) & last
    while table[place] != _NO_CELL and table[place] != cell:
        place = (place + 1) & last
    return place


@kernel(
    "uint8[:, ::1], uint8[:, ::1], int64[::1], boolean[::1], float32[:, ::1], float32[:, ::1], "
    "float32[:, ::1], float64, float64[::1]"
)
def _beside(  # noqa: PLR0917
    reason: U8,
    part: U8,
    pixel: Index,
    shown: Flags,
    x_m: F32,
    y_m: F32,
    sample_m: F32,
    cell_m: float,
    foot_m: F64,
) -> tuple[Index, Index]:
    """Return observed pixels of objects and, for each, a pixel of the rim beside it.

    The foot of an object may be at the ground point of an adjacent pixel that is not farther than
    the pixel that shows the object. Pixels coarser than a cell need no such points, because their
    own fill points reach half way.
    """
    height, width = part.shape
    owner, other = np.empty((2, 4 * pixel.size), np.int64)
    found = 0
    for step_row, step_col in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        for place in range(pixel.size):
            row, col = pixel[place] // width, pixel[place] % width
            beside = (row + step_row, col + step_col)
            if not (0 <= beside[0] < height and 0 <= beside[1] < width and part[beside] == _RIM):
                continue
            is_seen = part[row, col] == _OBJECT and reason[row, col] == _OBSERVED
            apart_m = math.hypot(x_m[beside] - x_m[row, col], y_m[beside] - y_m[row, col])
            beyond_m = math.hypot(x_m[beside] - foot_m[0], y_m[beside] - foot_m[1])
            beyond_m -= math.hypot(x_m[row, col] - foot_m[0], y_m[row, col] - foot_m[1])
            is_fine = sample_m[beside] <= cell_m and apart_m <= BESIDE_SAMPLES * sample_m[row, col]
            if shown[place] and is_seen and is_fine and beyond_m <= 0.5 * sample_m[row, col]:
                owner[found], other[found] = pixel[place], beside[0] * width + beside[1]
                found += 1
    return owner[:found].copy(), other[:found].copy()
