"""Settings of what is published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.settings import setting, settings


@settings
@dataclass(frozen=True)
class OutputSettings:
    """What is published."""

    points_enable: Annotated[
        bool, setting("Publish the organised cloud `points` while it is subscribed.", dynamic=True)
    ]
    points_decimation: Annotated[
        int,
        setting(
            "Every n-th row and column of the image becomes a point.", low=1, high=64, dynamic=True
        ),
    ]
    hazard_points_min_height_m: Annotated[
        float,
        setting(
            "Height that hazard points get at least; costmaps ignore points outside their limits.",
            low=-1000.0,
            high=1000.0,
            name="hazard_points.min_height_m",
            dynamic=True,
        ),
    ]
    hazard_points_max_height_m: Annotated[
        float,
        setting(
            "Height that hazard points get at most; costmaps ignore points outside their limits.",
            low=-1000.0,
            high=1000.0,
            name="hazard_points.max_height_m",
            dynamic=True,
        ),
    ]
    overlay_alpha: Annotated[
        float,
        setting("Opacity of the class colours in `overlay`.", low=0.0, high=1.0, dynamic=True),
    ]
    whole_grid_period_s: Annotated[
        float,
        setting(
            "Time between complete grids; in between `hazard_grid_updates` holds what changed. 0: "
            "every grid is complete.",
            low=0.0,
            high=60.0,
            name="grid.whole_period_s",
        ),
    ]
    filter_masks_max_rate_hz: Annotated[
        float,
        setting(
            "Highest rate of `keepout_mask` and `speed_mask`; 0: they are not published.",
            low=0.0,
            high=100.0,
            name="filter_masks.max_rate_hz",
        ),
    ]
    landing_enable: Annotated[
        bool, setting("Search for landing sites and publish them.", name="landing.enable")
    ]
    stale_after_s: Annotated[
        float,
        setting(
            "If no usable image arrives for this long, the grid becomes unknown, except for "
            "hazards that are kept; 0 disables the check.",
            low=0.0,
            high=1e6,
            name="watchdog.stale_after_s",
            dynamic=True,
        ),
    ]

    def __post_init__(self) -> None:
        """Check that the limits of heights are in order."""
        low_m, high_m = self.hazard_points_min_height_m, self.hazard_points_max_height_m
        if low_m > high_m:
            raise ConfigError(
                f"hazard_points.min_height_m {low_m} is above hazard_points.max_height_m {high_m}"
            )
