"""Settings of what is published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.settings import setting, settings

LEAST_DOWNLINK_BYTES = 4800
"""Smallest budget per minute of the downlink: landing sites and health fit a sixth of it."""


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
    downlink_bytes_per_min: Annotated[
        int,
        setting(
            "Bytes that the packets of `downlink` may have in any minute, 4800 or more; 0: it is "
            "not published.",
            low=0,
            high=10**9,
            name="downlink.budget_bytes_per_min",
        ),
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
        """Check that the limits of heights are in order, and that a packet fits the budget."""
        low_m, high_m = self.hazard_points_min_height_m, self.hazard_points_max_height_m
        if low_m > high_m:
            raise ConfigError(
                f"hazard_points.min_height_m {low_m} is above hazard_points.max_height_m {high_m}"
            )
        if 0 < self.downlink_bytes_per_min < LEAST_DOWNLINK_BYTES:
            raise ConfigError(
                f"downlink.budget_bytes_per_min is {self.downlink_bytes_per_min}, expected 0, or "
                f"{LEAST_DOWNLINK_BYTES} or more, as a packet has up to a sixth of it"
            )
