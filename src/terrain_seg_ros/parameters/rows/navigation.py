"""Rows of what navigation is told."""

from __future__ import annotations

from terrain_seg_ros.parameters.row import ParameterSpec, number

NAVIGATION = (
    number(
        "footprint.radius_m",
        "Radius of a circle about base_frame that holds the vehicle, for `safe_map`.",
        unit="m",
        low=0.0,
        high=100.0,
        dynamic=True,
    ),
    ParameterSpec(
        "footprint.polygon_m",
        "floats",
        "Outline of the vehicle in base_frame, x and y of each corner in turn, at least three; "
        "`safe_map` then has the vehicle's heading, and landing sites the circle about base_frame "
        "that holds it. One number: the radius serves.",
        unit="m",
        low=-100.0,
        high=100.0,
        dynamic=True,
    ),
    number(
        "footprint.position_sigma_m",
        "Standard deviation of the vehicle's position; `safe_map` adds it to the radius.",
        unit="m",
        low=0.0,
        high=100.0,
        dynamic=True,
    ),
    number(
        "footprint.sigmas",
        "How many standard deviations `safe_map` adds.",
        low=0.0,
        high=10.0,
        dynamic=True,
    ),
    number(
        "grid.whole_period_s",
        "Time between whole grids; between them `hazard_grid_updates` says what changed. 0: all "
        "are whole.",
        unit="s",
        low=0.0,
        high=60.0,
    ),
    number(
        "filter_masks.max_rate_hz",
        "Rate of `keepout_mask` and `speed_mask`; 0 switches them off.",
        unit="Hz",
        low=0.0,
        high=100.0,
    ),
    number(
        "filter_masks.unobserved_speed_percent",
        "Speed limit on ground that is not observed; 100 is none.",
        unit="percent",
        low=1.0,
        high=100.0,
        dynamic=True,
    ),
    number(
        "speed_percent.<class>",
        "Speed limit on a class of the model, by name, for `speed_mask`; 100, or not set, is none.",
        low=1.0,
        high=100.0,
        dynamic=True,
    ),
)
