"""The choice of one landing site, kept stable from grid to grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from terrain_seg_ros.core.errors import GeometryError
from terrain_seg_ros.core.grid.elevation_to_slope import SlopeSettings
from terrain_seg_ros.core.landing.cost_to_landing_sites import (
    LandingSettings,
    LandingSite,
    Position,
    cell_of,
    cost_to_landing_sites,
)
from terrain_seg_ros.core.types import GridSnapshot

SAME_WITHIN_CELLS = 1.5
"""A site that moves to a neighbouring cell keeps its identity, whatever the separation."""

_Find = Callable[[Sequence[Position], Position | None], tuple[LandingSite, ...]]


@dataclass(frozen=True)
class LandingChoice:
    """The sites of one grid: the chosen one first, the others best first.

    `is_selected`: the first one was selected by an operator. `is_selection_lost`: the site that an
    operator had selected is no longer offered.
    """

    sites: tuple[LandingSite, ...] = ()
    is_selected: bool = False
    is_selection_lost: bool = False


class LandingSiteSelector:
    """Numbers the sites and chooses one of them, both steadily; not thread-safe.

    A site keeps its number as long as it is offered. The chosen site is replaced if another one
    exceeds its score by the hysteresis, or if it is no longer offered; a site that an operator has
    selected is replaced in the latter case only.
    """

    def __init__(self) -> None:
        """Start without sites."""
        self._next_id = 1
        self.forget()

    def forget(self) -> None:
        """Forget the sites and the selection, such as when the grid is cleared."""
        self._choice = LandingChoice()
        self._selected: Position | None = None
        self._grid: GridSnapshot | None = None
        self._find: _Find | None = None

    def select(
        self,
        grid: GridSnapshot,
        settings: LandingSettings,
        *,
        clearance_m: float,
        slope: SlopeSettings,
        vehicle: Position,
    ) -> LandingChoice:
        """Return the sites of a grid; the arguments are those of `cost_to_landing_sites`.

        Raises:
            GeometryError: the vehicle's position is not finite.
        """

        def find(keep: Sequence[Position], pinned: Position | None) -> tuple[LandingSite, ...]:
            return cost_to_landing_sites(
                grid,
                settings,
                clearance_m=clearance_m,
                slope=slope,
                vehicle=vehicle,
                keep=keep,
                pinned=pinned,
            )

        self._grid, self._find = grid, find
        keep = [(site.x_m, site.y_m) for site in self._choice.sites]
        found = find(keep, self._selected)
        near_m = max(0.5 * settings.min_separation_m, SAME_WITHIN_CELLS * grid.resolution_m)
        sites = self._numbered(found, near_m)
        is_lost = self._choice.is_selection_lost
        if self._selected is not None and not (sites and self._holds(sites[0], self._selected)):
            self._selected, is_lost = None, True
        if self._selected is None:
            sites = self._chosen_first(sites, settings.hysteresis)
        self._choice = LandingChoice(tuple(sites), self._selected is not None, is_lost)
        return self._choice

    def select_best(self) -> LandingSite:
        """Select the chosen site, so that it is kept until it is unsafe, and return it.

        Raises:
            GeometryError: there is no site.
        """
        if not self._choice.sites:
            raise GeometryError("there is no landing site to select; wait until one is offered")
        site = self._choice.sites[0]
        self._take(site)
        return site

    def select_at(self, position: Position) -> LandingSite:
        """Select the site that contains a position, or a new one there; it is kept until unsafe.

        Raises:
            GeometryError: there is no safe site at the position.
        """
        if not all(map(math.isfinite, position)):
            raise GeometryError(
                f"landing site at {position} is not a valid position; give finite x and y in metres"
            )
        inside = [
            site
            for site in self._choice.sites
            if math.dist((site.x_m, site.y_m), position) <= site.clear_radius_m
        ]
        if inside:
            site = min(inside, key=lambda site: math.dist((site.x_m, site.y_m), position))
        else:
            site = self._new_site_at(position)
        self._take(site)
        return site

    def release(self) -> None:
        """Cancel the operator's selection; the site is chosen by score again."""
        self._selected = None
        self._choice = replace(self._choice, is_selected=False, is_selection_lost=False)

    def _new_site_at(self, position: Position) -> LandingSite:
        found = self._find((), position) if self._find is not None else ()
        if not (found and self._holds(found[0], position)):
            raise GeometryError(
                f"no safe landing site at ({position[0]:.2f}, {position[1]:.2f}): too close to a "
                "hazard or to ground that is not observed; choose another position"
            )
        self._next_id += 1
        return replace(found[0], site_id=self._next_id - 1)

    def _take(self, site: LandingSite) -> None:
        self._selected = (site.x_m, site.y_m)
        others = [other for other in self._choice.sites if other.site_id != site.site_id]
        self._choice = LandingChoice((site, *others), is_selected=True)

    def _holds(self, site: LandingSite, position: Position) -> bool:
        grid = self._grid
        return grid is not None and cell_of(grid, (site.x_m, site.y_m)) == cell_of(grid, position)

    def _chosen_first(self, sites: list[LandingSite], hysteresis: float) -> list[LandingSite]:
        """Return the sites with the previous choice first, unless another beats it sufficiently."""
        before = self._choice.sites[0].site_id if self._choice.sites else 0
        for index, site in enumerate(sites):
            if site.site_id == before and sites[0].score - site.score <= hysteresis:
                return [site, *sites[:index], *sites[index + 1 :]]
        return sites

    def _numbered(self, found: Sequence[LandingSite], near_m: float) -> list[LandingSite]:
        """Return the sites with the numbers of nearby previous sites, or with new numbers."""
        pairs = sorted(
            (math.dist((new.x_m, new.y_m), (old.x_m, old.y_m)), index, old.site_id)
            for index, new in enumerate(found)
            for old in self._choice.sites
        )
        ids: dict[int, int] = {}
        for apart_m, index, site_id in pairs:
            if apart_m <= near_m and index not in ids and site_id not in ids.values():
                ids[index] = site_id
        for index in range(len(found)):
            if index not in ids:
                ids[index] = self._next_id
                self._next_id += 1
        return [replace(site, site_id=ids[index]) for index, site in enumerate(found)]
