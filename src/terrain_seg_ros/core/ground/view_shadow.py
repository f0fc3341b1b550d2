"""What stands out of the ground and hides what lies behind it.

Seen from a camera, an object that stands on a plane covers the ground along straight lines that
start at the point below the camera. Whatever the object's shape, its pixels have their true
direction from that point, and the nearest pixel in each direction is the object's foot, because
central projection preserves the vertical plane through the camera. Everything behind the foot is
the object itself and its view shadow. How much of it is the object cannot be seen; its depth is
assumed to be its width times a ratio.
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
from terrain_seg_ros.core.ground.standing_things import find_things, look_from_foot
from terrain_seg_ros.core.hazard_rule import HazardRule
from terrain_seg_ros.core.settings import list_setting, setting, settings
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import F32, F64, U8, Reason

AUTO = "auto"
"""Stands for the classes whose hazard reaches the threshold."""
MIN_PIXELS = 3
"""A smaller thing is as likely an error of the network: it counts as ground of its class."""
CELL_REACH = 1.6
"""Two pixels of one cell lie at most a diagonal apart, and some pixels are a little narrower."""
MAX_REACH_PX = 48
"""Farther than this the pixels of a cell are not looked for around a thing."""
MAX_BOX_CELLS = 4_000_000
"""Cells are looked up in a table of so many, and searched for where there are more."""
EXACT_BELOW = 2.0**24
"""Whole numbers up to this are exact in float32."""
BESIDE_SAMPLES = 2.0
"""Pixels side by side lie side by side in space where they are no more ground samples apart."""
_AROUND = tuple((rows, cols) for rows in (-1, 0, 1) for cols in (-1, 0, 1) if rows or cols)
_OBSERVED = np.uint8(Reason.OBSERVED)
_PLACED = np.array(
    [
        code not in {Reason.TOO_FAR, Reason.OUTSIDE_VIEW, Reason.NO_DEPTH}
        for code in range(len(Reason))
    ]
)
"""Whether a pixel with a reason lies on ground that is near enough, by the reason's code."""
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
        """Return (256,): 1 for the ids of the classes that stand out, else 0.

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
    """Return the view with the pixels that objects hide marked HIDDEN, and with the objects' feet.

    An object is a set of pixels of protruding classes in adjacent directions whose feet are at
    about the same distance, so that a rock and another one behind it are two objects even if the
    mask shows one region. Pixels of an object beyond its depth are HIDDEN. Whatever the ground is,
    the following pixels are HIDDEN too:

    * the pixels around an object, which may show a part of it, unless they were measured to lie far
      behind it. Those in front of it and beside it also show it (fill points), because its foot may
      lie between two pixels;
    * pixels of ground in cells that contain pixels of an object: no part of a cell that an object
      stands on or hides is representative of the cell.

    Args:
        view: where the pixels lie; its reasons are those of ground and image.
        protruding: (h, w), 1 where something stands out of the ground, else 0.
        camera_m: (3,) the camera's position in the grid's frame.
        depth_ratio: depth of a thing, as a share of its width in view; None where the ground was
            measured, so that every pixel lies where it is.
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
        things = find_things(seen, far)
        speckle[things.pixel] = things.pixel_count < MIN_PIXELS
        if depth_ratio is not None:
            shown[things.pixel] = things.within(depth_ratio)
    standing = protruding.copy()
    standing.reshape(-1)[pixel[speckle]] = 0
    rim = (cv2.dilate(standing, _SQUARE) - standing).view(np.bool_)
    if depth_ratio is None:
        rim = _joined_rim(view, standing, rim)
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


def _joined_rim(view: GroundView, standing: U8, rim: Flags) -> Flags:
    """Return the pixels around things that lie beside them in space too, not far behind them."""
    height, width = rim.shape
    pixel = np.flatnonzero(rim)
    row, col = np.divmod(pixel, width)
    beside = np.zeros(pixel.size, dtype=np.bool_)
    for rows, cols in _AROUND:
        other = np.clip(row + rows, 0, height - 1) * width + np.clip(col + cols, 0, width - 1)
        apart_m = np.hypot(
            *(
                axis_m.reshape(-1).take(other) - axis_m.reshape(-1).take(pixel)
                for axis_m in (view.plane_x_m, view.plane_y_m)
            )
        )
        sample_m = view.ground_sample_m.reshape(-1)
        near = apart_m <= BESIDE_SAMPLES * np.fmax(sample_m.take(other), sample_m.take(pixel))
        beside |= near & (standing.reshape(-1).take(other) != 0)
    joined = np.zeros(rim.size, dtype=np.bool_)
    joined[pixel[beside]] = True
    return joined.reshape(rim.shape)


def _observed(reason: U8, some: Flags) -> Index:
    return np.flatnonzero(some.reshape(-1) & (reason.reshape(-1) == _OBSERVED))


class _Cells(NamedTuple):
    """Hold the side of a cell and the width of the narrowest pixel of a thing.

    Where the ground was measured `foot_m` (2,) is the camera's foot: pixels show but the near side
    of things, which go on behind it for half a cell at least.
    """

    side_m: float
    narrowest_m: float
    foot_m: F64 | None


def _clear_cells(view: GroundView, standing: U8, rim: Flags, cells: _Cells) -> GroundView:
    """Return the view without ground in the cells that things and what is beside them touch.

    Only pixels as near to a thing in the image as a cell is wide are looked at. Their reason is
    written into the view's array, which must be its own; fill points get no place (NaN).
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
    """Return a number for the grid's cell of each point, from 0."""
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
    """Return which points lie in the cells of some of them."""
    count = int(cell.max(initial=0)) + 1
    if count > MAX_BOX_CELLS:
        return np.isin(cell, cell[given])
    table = np.zeros(count, dtype=np.bool_)
    table[cell.take(given)] = True
    return table.take(cell)


def _with_rim(view: GroundView, feet: Index, rim: Flags, cell_m: float, foot_m: F64) -> GroundView:
    """Return the view with fill points that show things also on the ground before and beside them.

    The ground of a pixel beside a thing, no farther than the pixel that shows it, may be where
    its foot is. Pixels coarser than a cell need none: their own fill reaches half way.

    Args:
        view: where the pixels lie.
        feet: (N,) pixels that show a thing and are observed.
        rim: (h, w) pixels around things.
        cell_m: side of a cell.
        foot_m: (2,) the camera's foot in the plane's frame.
    """
    height, width = rim.shape
    framed = np.zeros((height + 2, width + 2), dtype=np.bool_)
    framed[1:-1, 1:-1] = rim
    place = feet + 2 * (feet // width) + width + 3
    owners, others = [], []
    for step, framed_step in ((width, width + 2), (-width, -width - 2), (1, 1), (-1, -1)):
        found = np.flatnonzero(framed.reshape(-1).take(place + framed_step))
        owners.append(feet[found])
        others.append(feet[found] + step)
    owner, other = np.concatenate(owners), np.concatenate(others)
    fine = view.ground_sample_m.reshape(-1).take(other) <= cell_m
    owner, other = owner[fine], other[fine]
    sample_m = view.ground_sample_m.reshape(-1).take(owner)
    (x_m, y_m), (other_x_m, other_y_m) = (
        [part.reshape(-1).take(some) for part in (view.plane_x_m, view.plane_y_m)]
        for some in (owner, other)
    )
    beyond_m = np.hypot(other_x_m - foot_m[0], other_y_m - foot_m[1])
    beyond_m -= np.hypot(x_m - foot_m[0], y_m - foot_m[1])
    good = np.hypot(other_x_m - x_m, other_y_m - y_m) <= BESIDE_SAMPLES * sample_m
    good &= beyond_m <= 0.5 * sample_m
    owner, other = owner[good], other[good]
    return replace(
        view,
        fill_pixel=np.concatenate([view.fill_pixel, owner]),
        fill_x_m=np.concatenate([view.fill_x_m, view.local_x_m.reshape(-1).take(other)]),
        fill_y_m=np.concatenate([view.fill_y_m, view.local_y_m.reshape(-1).take(other)]),
    )
