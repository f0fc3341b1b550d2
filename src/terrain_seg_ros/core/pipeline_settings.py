"""The settings of all stages of the pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.grid.cost_to_safe_map import FootprintSettings
from terrain_seg_ros.core.grid.elevation_to_slope import SlopeSettings
from terrain_seg_ros.core.grid.grid_settings import GridSettings
from terrain_seg_ros.core.grid.grid_to_cost import CostSettings
from terrain_seg_ros.core.grid.grid_to_speed import SpeedSettings
from terrain_seg_ros.core.ground.mask_to_ground import GroundSettings
from terrain_seg_ros.core.ground.view_shadow import ShadowSettings
from terrain_seg_ros.core.image.observability import ObservabilitySettings
from terrain_seg_ros.core.landing.cost_to_landing_sites import LandingSettings


@dataclass(frozen=True)
class PipelineSettings:
    """Hold the settings of all stages; `hazards` overrides the card's by class name."""

    ground: GroundSettings
    shadow: ShadowSettings
    grid: GridSettings
    cost: CostSettings
    observability: ObservabilitySettings
    slope: SlopeSettings
    footprint: FootprintSettings
    landing: LandingSettings
    speed: SpeedSettings
    hazards: Mapping[str, float]

    def __post_init__(self) -> None:
        """Check what concerns two stages."""
        if self.cost.min_evidence > self.grid.max_evidence:
            raise ConfigError(
                f"min_evidence is {self.cost.min_evidence} but max_evidence is "
                f"{self.grid.max_evidence}: no cell could ever be observed; lower the first"
            )
