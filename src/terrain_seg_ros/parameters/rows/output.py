"""Rows of clouds and pictures."""

from __future__ import annotations

from terrain_seg_ros.parameters.row import flag, integer, number

OUTPUT = (
    flag("points_enable", "Offer the organised cloud `points`.", dynamic=True),
    integer(
        "points_decimation",
        "Every n-th row and column of the image becomes a point.",
        low=1,
        high=64,
        dynamic=True,
    ),
    *(
        number(
            f"hazard_points.{end}_height_m",
            f"Hazard points get at {what} this height; costmaps ignore others.",
            unit="m",
            low=-1000.0,
            high=1000.0,
            dynamic=True,
        )
        for end, what in (("min", "least"), ("max", "most"))
    ),
    number("overlay_alpha", "Weight of the colours in `overlay`.", low=0.0, high=1.0, dynamic=True),
)
