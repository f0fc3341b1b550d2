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
from typing import Annotated, NamedTuple

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
MIN_PIXELS = 3
"""A smaller object is likely an error of the network and counts as ground of its class."""
CELL_REACH = 1.6
"""Two pixels of one cell are at most a diagonal apart, and some pixels are slightly narrower."""
MAX_REACH_PX = 48
"""Largest distance around an object in which other pixels of its cells are searched."""
MAX_BOX_CELLS = 4_000_000
"""Size of the lookup table of cells; more cells are searched by sorting."""
EXACT_BELOW = 2.0**24
"""Integers up to this are exact in float32."""
BESIDE_SAMPLES = 2.0
"""Adjacent pixels are adjacent in space if they are at most this many ground samples apart."""
_OBSERVED = np.uint8(Reason.OBSERVED)
_PLACED = np.array(
    [
        code not in {Reason.TOO_FAR, Reason.OUTSIDE_VIEW, Reason.NO_DEPTH}
        for code in range(len(Reason))
    ]
)
"""Whether a pixel with a reason has a ground point within the limits, by the reason's code."""
_SQUARE = np.ones((3, 3), dtype=np.uint8)

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
    pixel = np.flatnonzero(protruding.view(np.bool_))
    pixel = pixel[np.isfinite(view.range_m.reshape(-1).take(pixel))]
    if not pixel.size:
        return view
    seen = look_from_foot(view, pixel, view.grid_R_plane.T @ (camera_m - view.anchor_m))
    far = np.flatnonzero(~seen.steep)
    shown, speckle = np.ones(pixel.size, dtype=np.bool_), np.zeros(pixel.size, dtype=np.bool_)
    if far.size:
        objects = find_objects(seen, far)
        speckle[objects.pixel] = objects.pixel_count < MIN_PIXELS
        if depth_ratio is not None:
            shown[objects.pixel] = objects.within(depth_ratio)
    standing = protruding.copy()
    standing.reshape(-1)[pixel[speckle]] = 0
    rim = (cv2.dilate(standing, _SQUARE) - standing).view(np.bool_)
    if depth_ratio is None:
        rim = _joined_rim(view.plane_x_m, view.plane_y_m, view.ground_sample_m, standing, rim)
    reason = view.reason.copy()
    flat = reason.reshape(-1)
    hidden = pixel[~(shown | speckle)]
    for some in (hidden[flat[hidden] == Reason.OBSERVED], _observed(flat, rim)):
        flat[some] = Reason.HIDDEN
    narrowest_m = float(seen.width_m.min())
    view = _clear_cells(
        replace(view, reason=reason),
        standing,
        rim,
        _Cells(cell_m, narrowest_m, None if depth_ratio is not None else seen.foot_m),
    )
    feet = pixel[shown & ~speckle]
    return _with_rim(view, feet[flat[feet] == Reason.OBSERVED], rim, cell_m, seen.foot_m)


@kernel("float32[:, ::1], float32[:, ::1], float32[:, ::1], uint8[:, ::1], boolean[:, ::1]")
def _joined_rim(x_m: F32, y_m: F32, sample_m: F32, standing: U8, rim: Flags) -> Flags:
    """Return the pixels around objects that are close to them in space, not far behind them."""
    height, width = rim.shape
    joined = np.zeros(rim.shape, dtype=np.bool_)
    for row, col in zip(*np.nonzero(rim)):
        for other_row in range(max(row - 1, 0), min(row + 2, height)):
            for other_col in range(max(col - 1, 0), min(col + 2, width)):
                if not standing[other_row, other_col]:
                    continue
                apart_m = math.hypot(
                    x_m[other_row, other_col] - x_m[row, col],
                    y_m[other_row, other_col] - y_m[row, col],
                )
                coarser_m = np.fmax(sample_m[other_row, other_col], sample_m[row, col])
                joined[row, col] |= apart_m <= BESIDE_SAMPLES * coarser_m
    return joined


def _observed(reason: U8, some: Flags) -> Index:
    return np.flatnonzero(some.reshape(-1) & (reason.reshape(-1) == _OBSERVED))


class _Cells(NamedTuple):
    """The side of a cell and the width of the narrowest pixel of an object.

    If the ground was measured, `foot_m` (2,) is the camera's foot: pixels show only the near side
    of objects, which are assumed to extend at least half a cell behind it.
    """

    side_m: float
    narrowest_m: float
    foot_m: F64 | None


def _clear_cells(view: GroundView, standing: U8, rim: Flags, cells: _Cells) -> GroundView:
    """Return the view without ground in the cells touched by objects and by the pixels around them.

    Only pixels within the width of a cell around an object in the image are examined. Their reason
    is written into the view's array, which must not be shared; fill points are set to NaN.
    """
    reach_px = min(math.ceil(CELL_REACH * cells.side_m / cells.narrowest_m), MAX_REACH_PX)
    box = np.ones((2 * reach_px + 1, 2 * reach_px + 1), dtype=np.uint8)
    around = cv2.dilate(standing, box).view(np.bool_).reshape(-1)
    flat = view.reason.reshape(-1)
    touches = (standing.view(np.bool_) | rim).reshape(-1)
    touches &= _PLACED.take(flat)
    fill = np.flatnonzero(around.take(view.fill_pixel))
    pixel = np.flatnonzero(around & ((flat == _OBSERVED) | touches))
    x_m = np.concatenate([view.local_x_m.reshape(-1).take(pixel), view.fill_x_m.take(fill)])
    y_m = np.concatenate([view.local_y_m.reshape(-1).take(pixel), view.fill_y_m.take(fill)])
    taken = touches.take(np.concatenate([pixel, view.fill_pixel.take(fill)]))
    given = np.flatnonzero(taken)
    if cells.foot_m is not None:
        behind_m = _behind(x_m.take(given), y_m.take(given), cells)
        given = np.concatenate([given, np.arange(given.size) + x_m.size])
        x_m, y_m = np.concatenate([x_m, behind_m[0]]), np.concatenate([y_m, behind_m[1]])
    cell = _cells(view, x_m, y_m, cells.side_m)
    shared = np.flatnonzero(_among(cell, given)[: taken.size] & ~taken)
    split = int(np.searchsorted(shared, pixel.size))
    flat[pixel.take(shared[:split])] = Reason.HIDDEN
    fill_x_m = view.fill_x_m.copy()
    fill_x_m[fill[shared[split:] - pixel.size]] = np.nan
    return replace(view, fill_x_m=fill_x_m)


def _behind(x_m: F32, y_m: F32, cells: _Cells) -> tuple[F32, F32]:
    """Return points moved by half a cell away from the camera's foot."""
    foot_m = np.zeros(2) if cells.foot_m is None else cells.foot_m
    away_x_m, away_y_m = (
        axis_m - np.float32(origin_m) for axis_m, origin_m in zip((x_m, y_m), foot_m)
    )
    share = 0.5 * cells.side_m / np.maximum(np.hypot(away_x_m, away_y_m), cells.side_m)
    return x_m + share * away_x_m, y_m + share * away_y_m


def _cells(view: GroundView, x_m: F32, y_m: F32, cell_m: float) -> Index:
    """Return the index, from 0, of the grid's cell of each point."""
    rows, cols = (
        np.floor(local_m * np.float32(1.0 / cell_m) + np.float32(anchor_m / cell_m % 1.0))
        for local_m, anchor_m in ((y_m, view.anchor_m[1]), (x_m, view.anchor_m[0]))
    )
    rows -= rows.min(initial=np.inf)
    cols -= cols.min(initial=np.inf)
    side = int(cols.max(initial=0.0)) + 1
    exact = rows.max(initial=0.0) * side < EXACT_BELOW
    numbers = rows * np.float32(side) + cols if exact else rows.astype(np.float64) * side + cols
    return np.asarray(numbers.astype(np.intp))


def _among(cell: Index, given: Index) -> Flags:
    """Return which points share a cell with the `given` points."""
    count = int(cell.max(initial=0)) + 1
    if count > MAX_BOX_CELLS:
        return np.isin(cell, cell[given])
    table = np.zeros(count, dtype=np.bool_)
    table[cell.take(given)] = True
    return table.take(cell)


def _with_rim(view: GroundView, feet: Index, rim: Flags, cell_m: float, foot_m: F64) -> GroundView:
    """Return the view with fill points that extend objects to the ground in front and beside them.

    The foot of an object may be at the ground point of an adjacent pixel that is not farther than
    the pixel that shows the object. Pixels coarser than a cell need no such points, because their
    own fill points reach half way.

    Args:
        view: the ground points.
        feet: (N,) observed pixels that show an object.
        rim: (h, w) pixels around objects.
        cell_m: side of a cell.
        foot_m: (2,) the camera's foot in the plane's frame.
    """
    owner, other = _beside(
        feet, rim, view.plane_x_m, view.plane_y_m, view.ground_sample_m, cell_m, foot_m
    )
    return replace(
        view,
        fill_pixel=np.concatenate([view.fill_pixel, owner]),
        fill_x_m=np.concatenate([view.fill_x_m, view.local_x_m.reshape(-1).take(other)]),
        fill_y_m=np.concatenate([view.fill_y_m, view.local_y_m.reshape(-1).take(other)]),
    )


@kernel(
    "int64[::1], boolean[:, ::1], float32[:, ::1], float32[:, ::1], float32[:, ::1], float64, "
    "float64[::1]"
)
def _beside(  # noqa: PLR0917
    feet: Index, rim: Flags, x_m: F32, y_m: F32, sample_m: F32, cell_m: float, foot_m: F64
) -> tuple[Index, Index]:
    """Return pixels of objects and, for each, a pixel of the rim beside it that is not farther."""
    height, width = rim.shape
    owner, other = np.empty(4 * feet.size, np.int64), np.empty(4 * feet.size, np.int64)
    found = 0
    for step_row, step_col in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        for pixel in feet:
            row, col = pixel // width, pixel % width
            beside = (row + step_row, col + step_col)
            if not (0 <= beside[0] < height and 0 <= beside[1] < width) or not rim[beside]:
                continue
            apart_m = math.hypot(x_m[beside] - x_m[row, col], y_m[beside] - y_m[row, col])
            beyond_m = math.hypot(x_m[beside] - foot_m[0], y_m[beside] - foot_m[1])
            beyond_m -= math.hypot(x_m[row, col] - foot_m[0], y_m[row, col] - foot_m[1])
            is_fine = sample_m[beside] <= cell_m and apart_m <= BESIDE_SAMPLES * sample_m[row, col]
            if is_fine and beyond_m <= 0.5 * sample_m[row, col]:
                owner[found], other[found] = pixel, beside[0] * width + beside[1]
                found += 1
    return owner[:found].copy(), other[:found].copy()
