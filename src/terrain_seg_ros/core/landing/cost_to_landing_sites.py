"""From cost to landing sites: where the centre of a lander may touch down, best first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError, GeometryError
from terrain_seg_ros.core.grid.cost_to_safe_map import CELL_DIAGONAL, distance_cells
from terrain_seg_ros.core.grid.elevation_to_slope import SlopeSettings
from terrain_seg_ros.core.grid.rolling_grid import COST_LETHAL, COST_UNKNOWN
from terrain_seg_ros.core.landing.elevation_to_footpads import elevation_to_footpads
from terrain_seg_ros.core.settings import setting, settings
from terrain_seg_ros.core.types import F32, GridSnapshot

SPARE_PEAKS = 2
"""So many times the sites asked for are looked at, because pads may not stand on each of them."""
_WEIGHTS = ("margin_weight", "safety_weight", "freshness_weight", "divert_weight")

Position = tuple[float, float]
"""x and y in the grid's frame, metres."""


@settings
@dataclass(frozen=True)
class LandingSettings:
    """How landing sites are chosen.

    The score of a site is the weighted mean of four parts, 0 to 1: the clear radius beyond the
    vehicle's need over `full_margin_m`; P(safe); exp(-age / `freshness_s`); and nearness, 1 below
    the vehicle and 0 from `max_divert_m` on.
    """

    max_sites: Annotated[
        int, setting("Largest number of sites published.", low=1, high=100, dynamic=True)
    ]
    min_separation_m: Annotated[
        float,
        setting(
            "Smallest distance between the centres of two sites.",
            low=0.0,
            high=1000.0,
            dynamic=True,
        ),
    ]
    min_p_safe: Annotated[
        float,
        setting(
            "Sites with a lower mean probability of being safe are not offered.",
            low=0.0,
            high=1.0,
            dynamic=True,
        ),
    ]
    full_margin_m: Annotated[
        float,
        setting(
            "Clear radius beyond the vehicle's need that gets the full score.",
            low=0.001,
            high=1000.0,
            dynamic=True,
        ),
    ]
    freshness_s: Annotated[
        float,
        setting(
            "Time constant with which the score of a site that is not observed decays.",
            low=0.001,
            high=1e6,
            dynamic=True,
        ),
    ]
    max_divert_m: Annotated[
        float,
        setting(
            "Horizontal distance from the vehicle at which nearness scores 0.",
            low=0.001,
            high=1e6,
            dynamic=True,
        ),
    ]
    margin_weight: Annotated[
        float,
        setting(
            "Weight of the clear radius in the score.",
            low=0.0,
            high=100.0,
            dynamic=True,
        ),
    ]
    safety_weight: Annotated[
        float,
        setting(
            "Weight of the probability of being safe in the score.",
            low=0.0,
            high=100.0,
            dynamic=True,
        ),
    ]
    freshness_weight: Annotated[
        float,
        setting(
            "Weight of having been observed recently in the score.",
            low=0.0,
            high=100.0,
            dynamic=True,
        ),
    ]
    divert_weight: Annotated[
        float,
        setting(
            "Weight of being near in the score.",
            low=0.0,
            high=100.0,
            dynamic=True,
        ),
    ]
    hysteresis: Annotated[
        float,
        setting(
            "Score by which another site must exceed the chosen one to replace it.",
            low=0.0,
            high=1.0,
            dynamic=True,
        ),
    ]

    def __post_init__(self) -> None:
        """Check that a part of the score counts."""
        if not self.weight_sum > 0.0:
            names = ", ".join(f"landing.{name}" for name in _WEIGHTS)
            raise ConfigError(f"the weights {names} are all 0; raise one")

    @property
    def weight_sum(self) -> float:
        """Return the sum of the weights."""
        return float(sum(getattr(self, name) for name in _WEIGHTS))


@dataclass(frozen=True)
class LandingSite:
    """Hold one place to land, in the grid's frame.

    Everything within `clear_radius_m` of the cell around (x_m, y_m) is observed and free of
    hazards; `margin_m` of it is more than the vehicle needs. `z_m` is the median height of the
    ground, `slope_deg` and `roughness_m` are the worst for the footpads; None where no heights were
    measured. `p_safe` is 0 to 1. `age_s` is since the ground was last seen, of the cell that waits
    longest. `site_id` is 0 until a `LandingSiteSelector` numbers it.
    """

    x_m: float
    y_m: float
    z_m: float | None
    clear_radius_m: float
    margin_m: float
    p_safe: float
    age_s: float
    divert_m: float
    slope_deg: float | None
    roughness_m: float | None
    score: float
    site_id: int = 0


class _Field(NamedTuple):
    """Hold what is known of every cell of a part of the grid, each (rows, cols)."""

    is_clear: NDArray[np.bool_]
    clear_m: F32
    p_safe: F32
    age_s: F32
    divert_m: F32
    score: F32


def cost_to_landing_sites(
    grid: GridSnapshot,
    settings: LandingSettings,
    *,
    clearance_m: float,
    slope: SlopeSettings,
    vehicle: Position,
    keep: Sequence[Position] = (),
    pinned: Position | None = None,
) -> tuple[LandingSite, ...]:
    """Return the landing sites of a grid, best first.

    A site is a cell around which nothing within the clearance is a hazard or not observed, from
    any point of the cell to any point of the ground; what lies outside the grid is not observed.
    Of all such cells the best by score is taken, those nearer than the separation are suppressed,
    and so on. P(safe) is the mean of 1 - hazard within the clearance; where heights were measured
    it is multiplied by that of four footpads, and a site of which these cannot tell is not offered.

    Args:
        grid: cost, hazard, elevation and age.
        settings: limits and weights.
        clearance_m: distance that hazards must have from the vehicle's centre.
        slope: limits of the ground under the footpads.
        vehicle: current position.
        keep: current sites; a neighbour must exceed their score by the hysteresis to replace them.
        pinned: a site that comes first if it can be offered at all.

    Raises:
        GeometryError: the vehicle's position is not finite.
    """
    if not all(map(math.isfinite, vehicle)):
        raise GeometryError(f"vehicle is at {vehicle}; check its pose")
    seen = _observed_part(grid)
    if seen is None:
        return ()
    field = _field(seen, settings, clearance_m=clearance_m, vehicle=vehicle)
    allowed = field.is_clear & (field.p_safe >= np.float32(settings.min_p_safe))
    rank = np.where(allowed, field.score, np.float32(-np.inf))
    for position in keep:
        _raise(rank, cell_of(seen, position), settings.hysteresis)
    pin = cell_of(seen, pinned) if pinned is not None else None
    _raise(rank, pin, math.inf)
    separation = settings.min_separation_m / seen.resolution_m
    peaks = _peaks(rank, SPARE_PEAKS * settings.max_sites, separation)
    sites = _sites(seen, field, peaks, settings, clearance_m=clearance_m, slope=slope)
    sites.sort(key=lambda site: (cell_of(seen, (site.x_m, site.y_m)) != pin, -site.score))
    return tuple(sites[: settings.max_sites])


def cell_of(grid: GridSnapshot, position: Position) -> tuple[int, int] | None:
    """Return row and column of the cell that holds a position, None outside the grid."""
    col = math.floor((position[0] - grid.origin_x_m) / grid.resolution_m)
    row = math.floor((position[1] - grid.origin_y_m) / grid.resolution_m)
    inside = 0 <= row < grid.cost.shape[0] and 0 <= col < grid.cost.shape[1]
    return (row, col) if inside else None


def _observed_part(grid: GridSnapshot) -> GridSnapshot | None:
    """Return the smallest part of the grid with all observed cells, None where there are none."""
    seen = grid.cost != COST_UNKNOWN
    rows, cols = (np.flatnonzero(seen.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return None
    part = slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)
    return replace(
        grid,
        cost=grid.cost[part],
        hazard=grid.hazard[part],
        reason=grid.reason[part],
        origin_x_m=grid.origin_x_m + int(cols[0]) * grid.resolution_m,
        origin_y_m=grid.origin_y_m + int(rows[0]) * grid.resolution_m,
        elevation_m=None if grid.elevation_m is None else grid.elevation_m[part],
        age_s=None if grid.age_s is None else grid.age_s[part],
    )


def _field(
    grid: GridSnapshot, settings: LandingSettings, *, clearance_m: float, vehicle: Position
) -> _Field:
    """Return what speaks for each cell."""
    resolution_m = grid.resolution_m
    blocked = np.pad(
        (grid.cost == COST_LETHAL) | (grid.cost == COST_UNKNOWN), 1, constant_values=True
    )
    apart = distance_cells(blocked)[1:-1, 1:-1]
    clear_m = np.maximum((apart - np.float32(CELL_DIAGONAL)) * np.float32(resolution_m), 0.0)
    reach = clearance_m / resolution_m
    disc = _disc(reach)
    p_safe = np.fmax(np.float32(1.0) - grid.hazard, np.float32(0.0))
    kernel = disc.astype(np.float32) / np.float32(disc.sum())
    p_safe = cv2.filter2D(p_safe, -1, kernel, borderType=cv2.BORDER_CONSTANT)
    p_safe = np.clip(p_safe, 0.0, 1.0)
    age_s = np.zeros_like(p_safe)
    if grid.age_s is not None:
        around = np.ones(disc.shape, np.uint8)
        age_s = cv2.dilate(np.fmax(grid.age_s, np.float32(0.0)), around)
    rows, cols = grid.cost.shape
    across_m = grid.origin_x_m - vehicle[0] + (np.arange(cols) + 0.5) * resolution_m
    along_m = grid.origin_y_m - vehicle[1] + (np.arange(rows) + 0.5) * resolution_m
    divert_m = np.sqrt(
        np.square(across_m).astype(np.float32) + np.square(along_m).astype(np.float32)[:, None]
    )
    score = settings.safety_weight * p_safe
    score += settings.margin_weight * np.clip(
        (clear_m - np.float32(clearance_m)) / np.float32(settings.full_margin_m), 0.0, 1.0
    )
    score += settings.freshness_weight * np.exp(age_s / np.float32(-settings.freshness_s))
    score += settings.divert_weight * np.maximum(
        np.float32(1.0) - divert_m / np.float32(settings.max_divert_m), 0.0
    )
    score /= np.float32(settings.weight_sum)
    return _Field(apart >= reach + CELL_DIAGONAL, clear_m, p_safe, age_s, divert_m, score)


def _disc(reach: float) -> NDArray[np.bool_]:
    """Return which cells have their middle within so many cells of a cell's."""
    half = math.floor(reach)
    squares = np.square(np.arange(-half, half + 1))
    inside: NDArray[np.bool_] = squares + squares[:, None] <= reach * reach
    return inside


def _raise(rank: F32, cell: tuple[int, int] | None, by: float) -> None:
    if cell is not None and rank[cell] > -np.inf:
        rank[cell] += np.float32(by)


def _peaks(rank: F32, count: int, separation: float) -> list[tuple[int, int]]:
    """Return the best cells, each time without those nearer than the separation to one found."""
    left = rank.copy()
    half = max(0, math.ceil(separation) - 1)
    squares = np.square(np.arange(-half, half + 1))
    near = squares + squares[:, None] < separation * separation
    near[half, half] = True
    found: list[tuple[int, int]] = []
    while len(found) < count:
        row, col = divmod(int(left.argmax()), left.shape[1])
        if left[row, col] == -np.inf:
            break
        found.append((row, col))
        top, start = max(0, row - half), max(0, col - half)
        around = left[top : row + half + 1, start : col + half + 1]
        skip_rows, skip_cols = top - (row - half), start - (col - half)
        hit = near[skip_rows : skip_rows + around.shape[0], skip_cols : skip_cols + around.shape[1]]
        around[hit] = -np.inf
    return found


def _sites(
    grid: GridSnapshot,
    field: _Field,
    peaks: list[tuple[int, int]],
    settings: LandingSettings,
    *,
    clearance_m: float,
    slope: SlopeSettings,
) -> list[LandingSite]:
    """Return the peaks that the footpads can stand on, with all that is known of them."""
    if not peaks:
        return []
    rows, cols = np.array(peaks, dtype=np.intp).T
    nothing = np.full(len(peaks), np.nan, np.float32)
    heights_m, slope_deg, roughness_m = nothing, nothing, nothing
    p_safe = field.p_safe[rows, cols]
    elevation_m = grid.elevation_m
    if elevation_m is not None and np.isfinite(elevation_m).any():
        stance = elevation_to_footpads(
            elevation_m, rows, cols, slope, resolution_m=grid.resolution_m
        )
        slope_deg, roughness_m = stance.slope_deg, stance.roughness_m
        p_safe = p_safe * stance.p_safe
        heights_m = _heights(elevation_m, peaks, clearance_m / grid.resolution_m)
    result = []
    for index, cell in enumerate(peaks):
        if not p_safe[index] >= settings.min_p_safe:
            continue
        change = settings.safety_weight * (p_safe[index] - field.p_safe[cell]) / settings.weight_sum
        clear_m = float(field.clear_m[cell])
        result.append(
            LandingSite(
                x_m=grid.origin_x_m + (cell[1] + 0.5) * grid.resolution_m,
                y_m=grid.origin_y_m + (cell[0] + 0.5) * grid.resolution_m,
                z_m=_known(heights_m[index]),
                clear_radius_m=clear_m,
                margin_m=max(0.0, clear_m - clearance_m),
                p_safe=float(p_safe[index]),
                age_s=float(field.age_s[cell]),
                divert_m=float(field.divert_m[cell]),
                slope_deg=_known(slope_deg[index]),
                roughness_m=_known(roughness_m[index]),
                score=float(field.score[cell] + change),
            )
        )
    return result


def _known(value: np.float32) -> float | None:
    return float(value) if np.isfinite(value) else None


def _heights(elevation_m: F32, peaks: list[tuple[int, int]], reach: float) -> F32:
    """Return the median height within the clearance of each peak."""
    disc = _disc(reach)
    half = disc.shape[0] // 2
    result = np.full(len(peaks), np.nan, np.float32)
    for index, (row, col) in enumerate(peaks):
        ground_m = elevation_m[row - half : row + half + 1, col - half : col + half + 1][disc]
        known_m = ground_m[np.isfinite(ground_m)]
        if known_m.size:
            result[index] = np.median(known_m)
    return result
