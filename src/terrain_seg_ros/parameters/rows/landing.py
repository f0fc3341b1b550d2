"""Rows of landing sites."""

from __future__ import annotations

from terrain_seg_ros.parameters.row import flag, integer, number

LANDING = (
    flag("landing.enable", "Look for landing sites and publish them."),
    integer(
        "landing.max_sites", "Sites that are published at most.", low=1, high=100, dynamic=True
    ),
    number(
        "landing.min_separation_m",
        "Distance between the middles of two sites.",
        unit="m",
        low=0.0,
        high=1000.0,
        dynamic=True,
    ),
    number(
        "landing.min_p_safe",
        "Sites whose mean probability of being safe is lower are not offered.",
        low=0.0,
        high=1.0,
        dynamic=True,
    ),
    number(
        "landing.full_margin_m",
        "Clear radius beyond the vehicle's need that scores fully.",
        unit="m",
        low=0.001,
        high=1000.0,
        dynamic=True,
    ),
    number(
        "landing.freshness_s",
        "Time constant with which the score of a site fades that is not seen.",
        unit="s",
        low=0.001,
        high=1e6,
        dynamic=True,
    ),
    number(
        "landing.max_divert_m",
        "Horizontal distance from the vehicle that scores nothing.",
        unit="m",
        low=0.001,
        high=1e6,
        dynamic=True,
    ),
    *(
        number(
            f"landing.{what}_weight",
            f"Weight of {text} in the score.",
            low=0.0,
            high=100.0,
            dynamic=True,
        )
        for what, text in (
            ("margin", "the clear radius"),
            ("safety", "the probability of being safe"),
            ("freshness", "having been seen lately"),
            ("divert", "being near"),
        )
    ),
    number(
        "landing.hysteresis",
        "Score by which another site must beat the chosen one, so that the choice is steady.",
        low=0.0,
        high=1.0,
        dynamic=True,
    ),
)
