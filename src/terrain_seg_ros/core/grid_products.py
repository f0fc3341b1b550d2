"""Outputs derived from the grid: safe map, layers, landing sites and speed limits."""

from __future__ import annotations

from dataclasses import dataclass, replace

from terrain_seg_ros.core.grid.cost_to_safe_map import cost_to_safe_map
from terrain_seg_ros.core.grid.costs import I8
from terrain_seg_ros.core.grid.grid_to_layers import grid_to_layers
from terrain_seg_ros.core.grid.grid_to_speed import grid_to_speed
from terrain_seg_ros.core.grid.rolling_grid import RollingGrid
from terrain_seg_ros.core.landing.cost_to_landing_sites import Position
from terrain_seg_ros.core.landing.site_selector import LandingChoice, LandingSiteSelector
from terrain_seg_ros.core.pipeline_settings import PipelineSettings
from terrain_seg_ros.core.types import F32, GridSnapshot


@dataclass(frozen=True)
class GridProducts:
    """The outputs derived from one grid; every snapshot passed in must be its newest.

    `percents` are speed limits (K,) by class id, in percent; `heading_rad` is the vehicle's
    heading at the newest view, None before the first view.
    """

    grid: RollingGrid
    settings: PipelineSettings
    percents: F32
    site_selector: LandingSiteSelector
    heading_rad: float | None

    def safe_map(self, snapshot: GridSnapshot) -> I8:
        """Return where the centre of the vehicle may be placed: 0 safe, 100 unsafe, -1 unknown.

        A footprint that is not a circle has the vehicle's heading at the newest view.
        """
        return cost_to_safe_map(
            snapshot.cost,
            self.settings.footprint,
            resolution_m=snapshot.resolution_m,
            heading_rad=self.heading_rad,
        )

    def grid_layers(self, snapshot: GridSnapshot) -> dict[str, F32]:
        """Return all layers of the grid by name."""
        return grid_to_layers(self.grid, snapshot)

    def landing_sites(self, snapshot: GridSnapshot, vehicle: Position) -> LandingChoice:
        """Return landing sites, ranked for a vehicle at x and y.

        Raises:
            GeometryError: the position is not finite.
        """
        settings = self.settings
        return self.site_selector.select(
            replace(snapshot, age_s=self.grid.evidence.age_s(snapshot.stamp_ns)),
            settings.landing,
            clearance_m=settings.footprint.clearance_m,
            slope=settings.slope,
            vehicle=vehicle,
        )

    def speed_limits(self, snapshot: GridSnapshot) -> I8:
        """Return speed limits in percent, 0 where there is no limit."""
        unobserved = self.settings.speed.unobserved_percent
        return grid_to_speed(self.grid, snapshot, self.percents, unobserved_percent=unobserved)
