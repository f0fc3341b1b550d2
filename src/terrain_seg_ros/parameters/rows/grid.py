"""Rows of the fused grid and its cost."""

from __future__ import annotations

from terrain_seg_ros.parameters.row import ParameterSpec, choice, flag, integer, number

GRID = (
    number("grid.resolution_m", "Side of a cell.", unit="m", low=0.001, high=100.0),
    number("grid.size_m", "Side of the square grid.", unit="m", low=0.1, high=10000.0),
    number(
        "grid.max_evidence",
        "Evidence that a cell holds at most (one view gives up to 1); smaller forgets faster.",
        low=0.01,
        high=1e6,
        dynamic=True,
    ),
    number(
        "grid.decay_s",
        "Time constant of forgetting; 0 never forgets.",
        unit="s",
        low=0.0,
        high=1e6,
        dynamic=True,
    ),
    number(
        "grid.decay_m",
        "Distance travelled after which evidence has faded to 1/e; 0 never forgets.",
        unit="m",
        low=0.0,
        high=1e6,
        dynamic=True,
    ),
    choice(
        "grid.fusion",
        "How views are fused: sums of probabilities (dirichlet), or of their logarithms "
        "(log_odds), by which views that agree grow bolder.",
        "dirichlet",
        "log_odds",
    ),
    flag(
        "grid.keep_hazards",
        "A hazard stays, however old, until its ground is seen anew well enough or leaves the "
        "grid; and a view that shows one cuts what older views said for the ground.",
        dynamic=True,
    ),
    number(
        "grid.max_speed_mps",
        "A vehicle that seems faster between two images has jumped: the grid begins anew; 0 "
        "switches the check off.",
        unit="mps",
        low=0.0,
        high=1e6,
        dynamic=True,
    ),
    number(
        "grid.min_hazard_share",
        "Share of a cell's pixels that must be hazardous for these alone to decide.",
        low=0.001,
        high=1.0,
        dynamic=True,
    ),
    number(
        "grid.half_weight_range_m",
        "Distance at which a view counts half.",
        unit="m",
        low=0.1,
        high=1e6,
        dynamic=True,
    ),
    number(
        "cost.hazard_threshold",
        "Cells of at least this hazard are lethal.",
        low=0.001,
        high=1.0,
        dynamic=True,
    ),
    number(
        "cost.min_evidence",
        "Cells of less evidence are not observed.",
        low=0.001,
        high=1e6,
        dynamic=True,
    ),
    flag("cost.graded", "Give costs 1 to 98 below the threshold, not only 0.", dynamic=True),
    number(
        "observability.min_confidence",
        "Pixels of less confidence are not observed.",
        low=0.0,
        high=1.0,
        dynamic=True,
    ),
    integer(
        "observability.shadow_level",
        "Pixels this dark or darker are not observed; 0 takes only black ones.",
        low=0,
        high=254,
        dynamic=True,
    ),
    integer(
        "observability.saturation_level",
        "Pixels this bright or brighter are not observed.",
        low=1,
        high=255,
        dynamic=True,
    ),
    ParameterSpec(
        "observability.not_ground_classes",
        "texts",
        "Classes that are no ground, such as sky: their pixels are not observed. Names that the "
        "model lacks do no harm.",
    ),
    number(
        "hazard.<class>",
        "Hazard of a class of the model, by name; the model's card holds the rest.",
        low=0.0,
        high=1.0,
        dynamic=True,
    ),
    number(
        "slope.max_slope_deg",
        "Measured ground steeper than this over slope.baseline_m is a hazard.",
        unit="deg",
        low=0.1,
        high=90.0,
        dynamic=True,
    ),
    number(
        "slope.max_roughness_m",
        "Measured ground that leaves the plane through slope.baseline_m by more is a hazard.",
        unit="m",
        low=0.001,
        high=1000.0,
        dynamic=True,
    ),
    number(
        "slope.baseline_m",
        "Side of the patch of ground that slope and roughness are of: the vehicle's stance.",
        unit="m",
        low=0.01,
        high=1000.0,
        dynamic=True,
    ),
    number(
        "slope.height_sigma_m",
        "Standard deviation of measured heights, for the probability that ground is safe.",
        unit="m",
        low=0.0,
        high=1000.0,
        dynamic=True,
    ),
    number(
        "watchdog.stale_after_s",
        "Without a good image for this long the grid turns unknown, but for hazards that are "
        "kept; 0 switches it off.",
        unit="s",
        low=0.0,
        high=1e6,
        dynamic=True,
    ),
)
