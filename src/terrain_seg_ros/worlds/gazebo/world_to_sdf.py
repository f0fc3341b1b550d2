"""Export of a world to a folder for Gazebo Harmonic: SDF, meshes and textures."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, indent

import cv2
import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.worlds.gazebo.ground_mesh import obj_text, texture, triangles
from terrain_seg_ros.worlds.gazebo.sdf_element import SDF_VERSION, add, add_label, add_plugin
from terrain_seg_ros.worlds.gazebo.sdf_vehicle import add_lander, add_rover
from terrain_seg_ros.worlds.generate import generate_world
from terrain_seg_ros.worlds.settings import default_settings
from terrain_seg_ros.worlds.world import ROCK, WORLD_TAXONOMY, Body, World

VEHICLES = ("rover", "lander", "none")
SIDE_M, SPACING_M = 40.0, 0.2
MIN_ROCK_M = 0.2
"""Smaller rocks, of which there are thousands, slow Gazebo down."""
GRAVITY_MPS2 = {Body.MOON: 1.62, Body.MARS: 3.71}
TINT = {Body.MOON: (1.0, 0.98, 0.95), Body.MARS: (1.25, 0.85, 0.6)}
BACKGROUND = {Body.MOON: (0.0, 0.0, 0.0), Body.MARS: (0.76, 0.62, 0.47)}
AMBIENT = {Body.MOON: 0.02, Body.MARS: 0.3}
BRIGHTNESS = {Body.MOON: 5.2, Body.MARS: 2.5}
"""Brightens the dark albedo of real soil in the sun to the middle of the image's range."""
DISPLAY_GAMMA = 2.2
"""Power that makes linear light of a colour as seen: Gazebo does it for textures alone."""
SUN_MARK_M = 1000.0
"""Height of the mark that Gazebo draws at a light's place, out of sight of all cameras."""
START_CLEARANCE_M = 0.15
START_ROOM_M = 1.5
DESCENT_START_M = 60.0


def label_of(class_id: int) -> int:
    """Return the label of a class: its id plus one, since Gazebo reserves 0 for no label (sky)."""
    return class_id + 1


def gazebo_world(
    body: Body,
    seed: int,
    *,
    side_m: float = SIDE_M,
    spacing_m: float = SPACING_M,
    min_rock_m: float = MIN_ROCK_M,
) -> World:
    """Return the world of a seed without rocks of less than `min_rock_m` mean diameter."""
    settings = replace(default_settings(body), min_rock_m=min_rock_m)
    return generate_world(body, seed, side_m=side_m, spacing_m=spacing_m, settings=settings)


def write_sdf(world: World, folder: Path, *, vehicle: str = "rover") -> Path:
    """Write a world with its meshes and textures, and return the path of the SDF file.

    Args:
        world: the world; its frame becomes Gazebo's world frame.
        folder: the output folder, which is created if absent.
        vehicle: rover, lander or none.

    Raises:
        ConfigError: the vehicle is unknown.
    """
    if vehicle not in VEHICLES:
        raise ConfigError(f"vehicle is {vehicle!r}, expected one of {', '.join(VEHICLES)}")
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{world.body.value}_{world.seed}"
    root = Element("sdf", version=SDF_VERSION)
    element = add(root, "world", name=name)
    _add_surroundings(element, world)
    _add_terrain(element, world, folder)
    if vehicle == "rover":
        x_m, y_m = start_place(world)
        add_rover(element, x_m, y_m, _highest(world, x_m, y_m) + START_CLEARANCE_M)
    elif vehicle == "lander":
        add_lander(element, 0.0, 0.0, float(world.ground_m.max()) + DESCENT_START_M)
    indent(root)
    path = folder / f"{name}.sdf"
    ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)
    return path


def start_place(world: World) -> tuple[float, float]:
    """Return the position closest to the centre with room for a rover between the rocks.

    Raises:
        ConfigError: there is no such position.
    """
    reach_m = world.half_side_m - START_ROOM_M
    steps = np.arange(-math.floor(max(reach_m, 0.0) / 0.5), math.floor(max(reach_m, 0.0) / 0.5) + 1)
    x, y = (part.ravel() * 0.5 for part in np.meshgrid(steps, steps))
    for index in np.argsort(np.hypot(x, y), kind="stable"):
        away = np.hypot(world.rocks.x_m - x[index], world.rocks.y_m - y[index])
        if np.all(away > START_ROOM_M + 0.5 * world.rocks.diameter_m):
            return float(x[index]), float(y[index])
    raise ConfigError(
        f"a world of {2.0 * world.half_side_m:.1f} m with {len(world.rocks)} rocks has no room "
        "for a rover; make it larger, omit small rocks, or set the vehicle to none"
    )


def _highest(world: World, x_m: float, y_m: float) -> float:
    near = np.linspace(-START_ROOM_M, START_ROOM_M, 31)
    return float(np.nanmax(world.ground_height_m((x_m + near)[np.newaxis], (y_m + near)[:, None])))


def _add_surroundings(element: Element, world: World) -> None:
    physics = add(element, "physics", name="4ms", type="ignored")
    add(physics, "max_step_size", 0.004)
    add(physics, "real_time_factor", 1.0)
    add_plugin(element, "physics", "Physics")
    add_plugin(element, "user-commands", "UserCommands")
    add_plugin(element, "scene-broadcaster", "SceneBroadcaster")
    background = (*_linear(BACKGROUND[world.body]), 1.0)
    add_plugin(element, "sensors", "Sensors", render_engine="ogre2", background_color=background)
    add(element, "gravity", (0.0, 0.0, -GRAVITY_MPS2[world.body]))
    scene = add(element, "scene")
    add(scene, "ambient", (*(AMBIENT[world.body],) * 3, 1.0))
    add(scene, "background", background)
    add(scene, "shadows", True)
    sun = add(element, "light", name="sun", type="directional")
    add(sun, "pose", (0.0, 0.0, SUN_MARK_M, 0.0, 0.0, 0.0))
    add(sun, "cast_shadows", True)
    add(sun, "diffuse", (1.0, 1.0, 1.0, 1.0))
    add(sun, "specular", (0.0, 0.0, 0.0, 1.0))
    add(sun, "direction", tuple(-part for part in world.sun.direction().tolist()))


def _add_terrain(element: Element, world: World, folder: Path) -> None:
    """Add ground and rocks as one body, so that they are not checked for mutual collisions."""
    model = add(element, "model", name="terrain")
    add(model, "static", True)
    link = add(model, "link", name="terrain")
    corners, classes = triangles(world)
    _write(folder / "ground.obj", obj_text(world, corners))
    _add_mesh(add(link, "collision", name="ground"), "ground.obj")
    for class_id in np.unique(classes).tolist():
        name = WORLD_TAXONOMY.classes[class_id].name
        _write(folder / f"{name}.obj", obj_text(world, corners[classes == class_id]))
        visual = add(link, "visual", name=name)
        _add_mesh(visual, f"{name}.obj")
        _add_material(visual, world, float(world.albedo[world.classes == class_id].mean()), name)
        _write_texture(folder / f"{name}.png", world, class_id)
        add_label(visual, label_of(class_id))
    for index in range(len(world.rocks)):
        _add_rock(link, world, index)


def _add_rock(link: Element, world: World, index: int) -> None:
    rocks = world.rocks
    centre = (rocks.x_m[index], rocks.y_m[index], rocks.z_m[index])
    pose = tuple(float(part) for part in (*centre, 0.0, 0.0, rocks.yaw_rad[index]))
    radii = tuple(float(part[index]) for part in (rocks.a_m, rocks.b_m, rocks.c_m))
    for kind in ("collision", "visual"):
        part = add(link, kind, name=f"rock_{index}")
        add(part, "pose", pose)
        add(add(add(part, "geometry"), "ellipsoid"), "radii", radii)
    _add_material(part, world, float(world.albedo.mean()), None)
    add_label(part, label_of(ROCK))


def _add_mesh(parent: Element, file: str) -> None:
    add(add(add(parent, "geometry"), "mesh"), "uri", file)


def _add_material(visual: Element, world: World, albedo: float, name: str | None) -> None:
    material = add(visual, "material")
    colour = (1.0, 1.0, 1.0) if name else _linear(_colour(world, albedo))
    add(material, "ambient", (*colour, 1.0))
    add(material, "diffuse", (*colour, 1.0))
    add(material, "specular", (0.0, 0.0, 0.0, 1.0))
    if name:
        metal = add(add(material, "pbr"), "metal")
        add(metal, "albedo_map", f"{name}.png")
        add(metal, "roughness", 1.0)
        add(metal, "metalness", 0.0)


def _colour(world: World, albedo: float) -> tuple[float, float, float]:
    """Return red, green and blue as seen, as textures have them, 0 to 1."""
    brightness = BRIGHTNESS[world.body] * albedo
    red, green, blue = (min(1.0, brightness * part) for part in TINT[world.body])
    return red, green, blue


def _linear(colour: tuple[float, float, float]) -> tuple[float, float, float]:
    """Return a colour as seen as linear light, as materials and the sky have it."""
    red, green, blue = (part**DISPLAY_GAMMA for part in colour)
    return red, green, blue


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="ascii")


def _write_texture(path: Path, world: World, class_id: int) -> None:
    albedo = float(world.albedo[world.classes == class_id].mean())
    seed = world.seed * len(WORLD_TAXONOMY.classes) + class_id
    if not cv2.imwrite(str(path), texture(seed, _colour(world, albedo))):
        raise ConfigError(f"cannot write {str(path)!r}; check the folder and the free space")
