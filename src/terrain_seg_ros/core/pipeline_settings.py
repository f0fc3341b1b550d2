"""The settings of all stages of the pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

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
from terrain_seg_ros.core.settings import Prefix, item, setting, settings


@settings
@dataclass(frozen=True)
class PipelineSettings:
    """Stages from image to grid.

    `hazards` replaces those of the model's card, by class name.
    """

    ground: Annotated[GroundSettings, Prefix("ground")]
    shadow: Annotated[ShadowSettings, Prefix("ground")]
    grid: Annotated[GridSettings, Prefix("grid")]
    cost: Annotated[CostSettings, Prefix("cost")]
    observability: Annotated[ObservabilitySettings, Prefix("observability")]
    slope: Annotated[SlopeSettings, Prefix("slope")]
    footprint: Annotated[FootprintSettings, Prefix("footprint")]
    landing: Annotated[LandingSettings, Prefix("landing")]
    speed: SpeedSettings
    hazards: Annotated[
        Mapping[str, Annotated[float, item(0.0, 1.0)]],
        setting(
            "Hazard of a class of the model, by name; classes that are not set have the hazard of "
            "the model's card.",
            name="hazard.<class>",
            dynamic=True,
        ),
    ]

    def __post_init__(self) -> None:
        """Check what concerns two stages."""
        if self.cost.min_evidence > self.grid.max_evidence:
            raise ConfigError(
                f"cost.min_evidence is {self.cost.min_evidence} but grid.max_evidence is "
                f"{self.grid.max_evidence}: no cell could ever be observed; lower the first"
            )
