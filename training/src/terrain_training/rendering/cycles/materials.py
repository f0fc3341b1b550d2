"""Cycles' materials of soil, rocks and vehicles; runs in Blender's Python only."""

from __future__ import annotations

from typing import Any

import bpy

from terrain_seg_ros.worlds.photometry import (
    LIMB_DARKENING,
    PHASE_DECAY_RAD,
    SURGE,
    SURGE_WIDTH,
)

LABEL = "label"
VEHICLE_LABEL = -1.0
ROCK_LAMBERT = 0.35
"""Share of a rock's light that follows Lambert's law: rocks are less porous than soil."""
DEGREES = 57.29577951308232
VEHICLE = {
    "gold": ((1.0, 0.62, 0.22), 1.0, 0.28, 6.0),
    "grey": ((0.4, 0.4, 0.41), 0.2, 0.5, 0.0),
    "dark": ((0.03, 0.03, 0.035), 0.0, 0.5, 0.0),
    "panel": ((0.02, 0.025, 0.06), 0.2, 0.15, 0.0),
    "white": ((0.75, 0.74, 0.7), 0.0, 0.55, 0.0),
}
"""Colour, metallic, roughness, and scale of creases (0 for none), by material."""


class Graph:
    """Build the nodes of a material or of the sky: methods return the socket of a result."""

    def __init__(self, tree: Any) -> None:
        """Empty a tree of nodes."""
        self._tree = tree
        self._tree.nodes.clear()

    def node(self, kind: str, **settings: Any) -> Any:
        """Return a new node with attributes set."""
        made = self._tree.nodes.new(kind)
        for name, value in settings.items():
            setattr(made, name, value)
        return made

    def link(self, output: Any, into: Any) -> None:
        """Connect two sockets, or set the value of one."""
        if isinstance(output, (int, float, tuple)):
            into.default_value = output
        else:
            self._tree.links.new(output, into)

    def math(self, operation: str, *values: Any) -> Any:
        """Return a scalar operation of sockets and numbers."""
        made = self.node("ShaderNodeMath", operation=operation)
        for number, value in enumerate(values):
            self.link(value, made.inputs[number])
        return made.outputs[0]

    def dot(self, one: Any, other: Any) -> Any:
        """Return the dot product of two vectors."""
        made = self.node("ShaderNodeVectorMath", operation="DOT_PRODUCT")
        self.link(one, made.inputs[0])
        self.link(other, made.inputs[1])
        return made.outputs["Value"]

    def mix(self, share: Any, one: Any, other: Any) -> Any:
        """Return a vector between two."""
        made = self.node("ShaderNodeMix", data_type="VECTOR")
        self.link(share, made.inputs[0])
        self.link(one, made.inputs[4])
        self.link(other, made.inputs[5])
        return made.outputs[1]

    def noise(self, scale: float, detail: float, roughness: float) -> Any:
        """Return fractal noise, 0 to 1, in the world's coordinates."""
        place = self.node("ShaderNodeNewGeometry").outputs["Position"]
        made = self.node("ShaderNodeTexNoise")
        self.link(place, made.inputs["Vector"])
        for name, value in (("Scale", scale), ("Detail", detail), ("Roughness", roughness)):
            made.inputs[name].default_value = value
        return made.outputs["Fac"]

    def attribute(self, name: str) -> Any:
        """Return a number that the mesh holds at its points or faces."""
        made = self.node("ShaderNodeAttribute", attribute_name=name)
        made.attribute_type = "GEOMETRY"
        return made.outputs["Fac"]

    def write_label(self, value: Any) -> None:
        """Let the label pass show a value."""
        made = self.node("ShaderNodeOutputAOV")
        made.aov_name = LABEL
        self.link(value, made.inputs["Value"])

    def finish(self, shader: Any) -> None:
        """Use a shader as the surface of a material."""
        self.link(shader, self.node("ShaderNodeOutputMaterial").inputs["Surface"])


def new_material(name: str) -> tuple[Any, Graph]:
    """Return an empty material and its nodes."""
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    return material, Graph(material.node_tree)


def regolith(
    name: str,
    *,
    albedo: float,
    tint: tuple[float, float, float],
    sun: tuple[float, float, float],
    bump_m: float,
    scale: float,
    lambert: float = 0.0,
    dust: tuple[float, tuple[float, float, float]] | None = None,
) -> Any:
    """Return soil or rock that reflects as `worlds.photometry.lunar_reflectance`.

    Cycles multiplies a diffuse surface's colour by the cosine of incidence, so the colour is that
    law over this cosine; it depends on the sun's direction, which is the same everywhere.

    Args:
        name: of the material.
        albedo: of soil or rock.
        tint: multiplies the albedo, red, green, blue.
        sun: unit vector to it.
        bump_m: height of relief finer than the mesh.
        scale: of that relief, features a metre.
        lambert: share that follows Lambert's law instead.
        dust: share of dust on what faces up, and the dust's colour; None for soil.
    """
    material, graph = new_material(name)
    geometry = graph.node("ShaderNodeNewGeometry")
    fine = graph.noise(scale, 2.0, 0.65)
    bump = graph.node("ShaderNodeBump")
    bump.inputs["Distance"].default_value = bump_m
    graph.link(fine, bump.inputs["Height"])
    factor = _lunar_factor(graph, bump.outputs["Normal"], geometry.outputs["Incoming"], sun)
    factor = graph.math("MULTIPLY_ADD", factor, 1.0 - lambert, lambert)
    grain = graph.math("MULTIPLY_ADD", fine, 0.5, 0.75)
    tone = graph.math("MULTIPLY", graph.attribute("tone"), grain)
    level = graph.math("MULTIPLY", graph.math("MULTIPLY", factor, tone), albedo)
    colour: Any = tint
    if dust is not None:
        colour = _dusty(graph, geometry.outputs["Normal"], tint, dust)
    tinted = graph.node("ShaderNodeVectorMath", operation="SCALE")
    graph.link(colour, tinted.inputs[0])
    graph.link(level, tinted.inputs["Scale"])
    surface = graph.node("ShaderNodeBsdfDiffuse")
    graph.link(tinted.outputs[0], surface.inputs["Color"])
    graph.link(bump.outputs["Normal"], surface.inputs["Normal"])
    graph.write_label(graph.attribute(LABEL))
    graph.finish(surface.outputs[0])
    return material


def martian(
    name: str,
    *,
    albedo: float,
    tints: tuple[tuple[float, float, float], ...],
    bump_m: float,
    scale: float,
    dust: tuple[float, tuple[float, float, float]] | None = None,
) -> Any:
    """Return soil with bedrock and sand, or a rock: rough, without the Moon's surge.

    Args:
        name: of the material.
        albedo: of soil or rock.
        tints: multiply the albedo, red, green, blue: of a rock; or of soil, bedrock and sand, of
            which the mesh holds the shares.
        bump_m: height of relief finer than the mesh.
        scale: of that relief, features a metre.
        dust: share of dust on what faces up, and the dust's colour; None for soil.
    """
    material, graph = new_material(name)
    fine = graph.noise(scale, 3.0, 0.65)
    bump = graph.node("ShaderNodeBump")
    bump.inputs["Distance"].default_value = bump_m
    graph.link(fine, bump.inputs["Height"])
    colour: Any = tints[0]
    if dust is not None:
        colour = _dusty(graph, graph.node("ShaderNodeNewGeometry").outputs["Normal"], colour, dust)
    for kind, tint in zip(("bedrock", "sand"), tints[1:], strict=False):
        colour = graph.mix(graph.attribute(kind), colour, tint)
    grain = graph.math("MULTIPLY_ADD", fine, 0.4, 0.8)
    level = graph.math("MULTIPLY", graph.math("MULTIPLY", graph.attribute("tone"), grain), albedo)
    tinted = graph.node("ShaderNodeVectorMath", operation="SCALE")
    graph.link(colour, tinted.inputs[0])
    graph.link(level, tinted.inputs["Scale"])
    surface = graph.node("ShaderNodeBsdfDiffuse")
    surface.inputs["Roughness"].default_value = 0.8
    graph.link(tinted.outputs[0], surface.inputs["Color"])
    graph.link(bump.outputs["Normal"], surface.inputs["Normal"])
    graph.write_label(graph.attribute(LABEL))
    graph.finish(surface.outputs[0])
    return material


def _lunar_factor(graph: Graph, normal: Any, viewer: Any, sun: tuple[float, float, float]) -> Any:
    """Return lunar reflectance of albedo 1 over the cosine of incidence."""
    mu0 = graph.math("MAXIMUM", graph.dot(normal, sun), 0.0)
    mu = graph.math("MAXIMUM", graph.dot(normal, viewer), 0.02)
    phase = graph.math("ARCCOSINE", graph.math("MINIMUM", graph.dot(viewer, sun), 0.999999))
    degrees = graph.math("MULTIPLY", phase, DEGREES)
    limb: Any = LIMB_DARKENING[-1]
    for factor in reversed(LIMB_DARKENING[:-1]):
        limb = graph.math("MULTIPLY_ADD", degrees, limb, factor)
    limb = graph.math("MINIMUM", graph.math("MAXIMUM", limb, 0.0), 1.0)
    # The small sum keeps grazing surfaces from outshining all else: their slopes are below a pixel.
    seeliger = graph.math("DIVIDE", 2.0, graph.math("ADD", graph.math("ADD", mu0, mu), 0.03))
    mixed = graph.math("MULTIPLY_ADD", graph.math("SUBTRACT", seeliger, 1.0), limb, 1.0)
    half = graph.math("TANGENT", graph.math("MINIMUM", graph.math("MULTIPLY", phase, 0.5), 1.5))
    surge = graph.math("DIVIDE", SURGE, graph.math("MULTIPLY_ADD", half, 1.0 / SURGE_WIDTH, 1.0))
    decay = graph.math("EXPONENT", graph.math("MULTIPLY", phase, -1.0 / PHASE_DECAY_RAD))
    return graph.math("MULTIPLY", mixed, graph.math("MULTIPLY_ADD", surge, decay, decay))


def _dusty(
    graph: Graph,
    normal: Any,
    tint: tuple[float, float, float],
    dust: tuple[float, tuple[float, float, float]],
) -> Any:
    """Return a rock's colour, with soil on what faces up."""
    share, soil = dust
    up = graph.dot(normal, (0.0, 0.0, 1.0))
    patches = graph.math("MULTIPLY_ADD", graph.noise(14.0, 2.0, 0.6), 1.2, -0.9)
    cover = graph.math("SUBTRACT", graph.math("ADD", up, patches), 0.35)
    cover = graph.math(
        "MULTIPLY", graph.math("MINIMUM", graph.math("MAXIMUM", cover, 0.0), 1.0), share
    )
    return graph.mix(cover, tint, soil)


def vehicle_material(name: str) -> Any:
    """Return one of `VEHICLE`."""
    colour, metallic, roughness, creases = VEHICLE[name]
    material, graph = new_material(name)
    surface = graph.node("ShaderNodeBsdfPrincipled")
    surface.inputs["Base Color"].default_value = (*colour, 1.0)
    surface.inputs["Metallic"].default_value = metallic
    surface.inputs["Roughness"].default_value = roughness
    if creases > 0.0:
        bump = graph.node("ShaderNodeBump")
        bump.inputs["Distance"].default_value = 0.05
        graph.link(graph.noise(creases, 3.0, 0.5), bump.inputs["Height"])
        graph.link(bump.outputs["Normal"], surface.inputs["Normal"])
    if name == "panel":
        _draw_cells(graph, surface)
    graph.write_label(VEHICLE_LABEL)
    graph.finish(surface.outputs[0])
    return material


def _draw_cells(graph: Graph, surface: Any) -> None:
    """Draw the bright gaps between solar cells."""
    brick = graph.node("ShaderNodeTexBrick", offset=0.0)
    graph.link(graph.node("ShaderNodeTexCoord").outputs["Object"], brick.inputs["Vector"])
    graph.link((0.02, 0.025, 0.06, 1.0), brick.inputs["Color1"])
    graph.link((0.015, 0.02, 0.05, 1.0), brick.inputs["Color2"])
    graph.link((0.1, 0.09, 0.07, 1.0), brick.inputs["Mortar"])
    for name, value in (("Scale", 12.0), ("Mortar Size", 0.02)):
        brick.inputs[name].default_value = value
    graph.link(brick.outputs["Color"], surface.inputs["Base Color"])
