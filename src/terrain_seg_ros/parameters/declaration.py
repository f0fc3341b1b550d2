"""The one declaration of every parameter; values stand only in config/*.param.yaml."""

from __future__ import annotations

from terrain_seg_ros.parameters.row import ParameterSpec
from terrain_seg_ros.parameters.rows.grid import GRID
from terrain_seg_ros.parameters.rows.ground import DEPTH, GEOMETRY
from terrain_seg_ros.parameters.rows.inference import INFERENCE
from terrain_seg_ros.parameters.rows.input import INPUT
from terrain_seg_ros.parameters.rows.landing import LANDING
from terrain_seg_ros.parameters.rows.navigation import NAVIGATION
from terrain_seg_ros.parameters.rows.output import OUTPUT

DECLARATION: tuple[ParameterSpec, ...] = (
    INPUT + INFERENCE + GEOMETRY + DEPTH + GRID + NAVIGATION + LANDING + OUTPUT
)
"""Every parameter, in the order of the README's table."""
