"""Grids and settings that the tests of landing sites share."""

import numpy as np

from terrain_seg_ros.core.grid.elevation_to_slope import SlopeSettings
from terrain_seg_ros.core.landing.cost_to_landing_sites import (
    LandingSettings,
    cost_to_landing_sites,
)
from terrain_seg_ros.core.types import GridSnapshot, Reason

RESOLUTION_M = 0.5
CLEARANCE_M = 1.3
SLOPE = SlopeSettings(
    max_slope_deg=10.0,
    max_roughness_m=0.3,
    baseline_m=2.0,
    height_sigma_m=0.02,
    max_step_m=0.0,
    step_baseline_m=1.0,
)


def landing_settings(**changes):
    values = {
        "max_sites": 4,
        "min_separation_m": 3.0,
        "min_p_safe": 0.5,
        "full_margin_m": 2.0,
        "freshness_s": 5.0,
        "max_divert_m": 50.0,
        "margin_weight": 1.0,
        "safety_weight": 1.0,
        "freshness_weight": 0.5,
        "divert_weight": 0.5,
        "hysteresis": 0.1,
    }
    return LandingSettings(**{**values, **changes})


def snapshot(cost, *, hazard=None, elevation_m=None, age_s=None, origin=(0.0, 0.0)):
    """Return a grid of a cost; hazard 0 where it is free, 1 where lethal, unless given."""
    cost = np.ascontiguousarray(cost, dtype=np.int8)
    if hazard is None:
        hazard = np.where(cost == 100, 1.0, cost.clip(0) / 100.0)
    hazard = np.where(cost == -1, np.nan, hazard).astype(np.float32)
    return GridSnapshot(
        cost=cost,
        hazard=hazard,
        reason=np.where(cost == -1, Reason.OUTSIDE_VIEW, Reason.OBSERVED).astype(np.uint8),
        resolution_m=RESOLUTION_M,
        origin_x_m=origin[0],
        origin_y_m=origin[1],
        frame_id="odom",
        stamp_ns=5,
        elevation_m=elevation_m,
        age_s=age_s,
    )


def sites_of(grid, settings=None, *, vehicle=(3.1, 4.2), **options):
    return cost_to_landing_sites(
        grid,
        settings or landing_settings(),
        clearance_m=CLEARANCE_M,
        slope=SLOPE,
        vehicle=vehicle,
        **options,
    )


def free(rows=30, cols=30):
    return np.zeros((rows, cols), dtype=np.int8)
