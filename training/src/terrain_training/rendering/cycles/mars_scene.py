"""Cycles' materials and sky of Mars; runs in Blender's Python only."""

from __future__ import annotations

from typing import Any

import bpy

from terrain_seg_ros.core.types import F64
from terrain_training.rendering.cycles.mars_views import Colour, MarsLook
from terrain_training.rendering.cycles.materials import Graph, martian
from terrain_training.rendering.cycles.views import LookStyle

ZENITH, GLOW, GLOW_RAD, HORIZON_RISE = 0.6, 0.45, 0.35, 4.0
"""Brightness of the zenith and of the sun's aureole over the horizon's, and how both fall off."""
MEAN_OF_SKY = 0.72
"""About the mean of that over the upper half, weighted by the cosine."""


def mars_materials(look: LookStyle, mars: MarsLook) -> tuple[Any, Any]:
    """Return the materials of the ground and of rocks."""
    soil = martian(
        "soil",
        albedo=look.albedo,
        tints=(
            mars.soil_tint,
            _scaled(mars.bedrock_tint, mars.bedrock_albedo),
            _scaled(mars.sand_tint, mars.sand_albedo),
        ),
        bump_m=look.bump_m,
        scale=70.0,
    )
    rock = martian(
        "rock",
        albedo=look.albedo * look.rock_albedo,
        tints=(look.rock_tint,),
        bump_m=look.rock_bump_m,
        scale=26.0,
        dust=(look.dust, _scaled(mars.soil_tint, 1.0 / look.rock_albedo)),
    )
    return soil, rock


def horizon_light(look: LookStyle, mars: MarsLook, sun: F64) -> tuple[float, float, float]:
    """Return the light of the sky at the horizon as the picture shows it, red, green, blue."""
    level = look.albedo * (max(float(sun[2]), 0.05) + mars.ambient) * mars.sky_seen
    return _scaled(mars.sky_tint, level)


def light_sky(world: Any, look: LookStyle, mars: MarsLook, sun: F64) -> None:
    """Let a dusty sky light the scene, and stand behind it as bright as the picture shows it."""
    world.use_nodes = True
    graph = Graph(world.node_tree)
    away = graph.node("ShaderNodeTexCoord").outputs["Generated"]
    up = graph.math("MAXIMUM", graph.dot(away, (0.0, 0.0, 1.0)), 0.0)
    rise = graph.math("EXPONENT", graph.math("MULTIPLY", up, -HORIZON_RISE))
    level = graph.math("MULTIPLY_ADD", rise, 1.0 - ZENITH, ZENITH)
    near = graph.dot(away, (float(sun[0]), float(sun[1]), float(sun[2])))
    apart = graph.math("ARCCOSINE", graph.math("MINIMUM", near, 0.999999))
    glow = graph.math("EXPONENT", graph.math("MULTIPLY", apart, -1.0 / GLOW_RAD))
    level = graph.math("MULTIPLY_ADD", glow, GLOW, level)
    seen = graph.node("ShaderNodeLightPath").outputs["Is Camera Ray"]
    shown = horizon_light(look, mars, sun)
    lights = _scaled(mars.sky_tint, mars.ambient / MEAN_OF_SKY)
    colour = graph.node("ShaderNodeVectorMath", operation="SCALE")
    graph.link(graph.mix(seen, lights, shown), colour.inputs[0])
    graph.link(level, colour.inputs["Scale"])
    background = graph.node("ShaderNodeBackground")
    graph.link(colour.outputs[0], background.inputs["Color"])
    graph.link(background.outputs[0], graph.node("ShaderNodeOutputWorld").inputs["Surface"])
    world.cycles.sampling_method = "MANUAL"
    world.cycles.sample_map_resolution = 64
    bpy.context.view_layer.update()


def _scaled(colour: Colour, factor: float) -> Colour:
    red, green, blue = colour
    return red * factor, green * factor, blue * factor
