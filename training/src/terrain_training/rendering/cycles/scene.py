"""One picture in Cycles: meshes in, light and labels out; runs in Blender's Python only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix, Vector

from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.types import F32, F64, Transform
from terrain_training.rendering.cycles.arrays import I32
from terrain_training.rendering.cycles.content import Content
from terrain_training.rendering.cycles.mars_scene import light_sky, mars_materials
from terrain_training.rendering.cycles.materials import (
    LABEL,
    ROCK_LAMBERT,
    regolith,
    vehicle_material,
)
from terrain_training.rendering.cycles.passes import Passes, read_pass
from terrain_training.rendering.cycles.views import View

SUN_ANGLE_RAD = math.radians(0.53)
EARTH_ANGLE_RAD = math.radians(1.9)
CLIP_M = 0.02, 9000.0
SENSOR_MM = 36.0
SAMPLES = 9


def render_passes(content: Content, view: View, folder: Path, *, samples: int = SAMPLES) -> Passes:
    """Render a picture and what each pixel's middle shows.

    Args:
        content: meshes.
        view: camera, sun and materials.
        folder: for Cycles' files, emptied of them afterwards.
        samples: of light for each pixel.
    """
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = _settings(view, samples)
    _add_content(content, view)
    _add_camera(scene, view.camera, view.world_T_camera)
    _add_sun("sun", view.sun.direction(), math.pi, SUN_ANGLE_RAD)
    if view.earthshine > 0.0:
        turn = view.seed % 360
        earth = np.array([0.6 * math.cos(turn), 0.6 * math.sin(turn), 0.8])
        _add_sun("earth", earth, math.pi * view.earthshine, EARTH_ANGLE_RAD)
    if view.mars is not None:
        light_sky(scene.world, view.look, view.mars, view.sun.direction())
    _write_passes(scene, folder, "light", ("Image",))
    bpy.ops.render.render()
    cycles = scene.cycles
    scene.world = bpy.data.worlds.new("dark")
    scene.world.color = (0.0, 0.0, 0.0)
    cycles.samples, cycles.max_bounces = 1, 0
    cycles.pixel_filter_type, cycles.filter_width = "BOX", 0.01
    _write_passes(scene, folder, "label", ("Depth", LABEL, "DiffDir"))
    bpy.ops.render.render()
    return Passes(
        light=read_pass(folder, "light_Image", 3),
        depth_m=read_pass(folder, "label_Depth", 1),
        label=read_pass(folder, f"label_{LABEL}", 1),
        direct=read_pass(folder, "label_DiffDir", 1),
    )


def _settings(view: View, samples: int) -> Any:
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    cycles = scene.cycles
    cycles.device, cycles.samples, cycles.use_adaptive_sampling = "CPU", samples, False
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 1, 1, 1
    cycles.use_denoising = False
    cycles.sample_clamp_indirect = 0.3
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.seed = view.seed % 2**20
    scene.render.threads_mode, scene.render.threads = "FIXED", 1
    scene.render.resolution_x = view.camera.width_px
    scene.render.resolution_y = view.camera.height_px
    scene.render.resolution_percentage = 100
    scene.render.pixel_aspect_x = max(view.camera.fy_px / view.camera.fx_px, 1.0)
    scene.render.pixel_aspect_y = max(view.camera.fx_px / view.camera.fy_px, 1.0)
    scene.render.use_persistent_data = True
    scene.view_settings.view_transform = "Raw"
    scene.world = bpy.data.worlds.new("sky")
    scene.world.use_nodes = True
    scene.world.node_tree.nodes["Background"].inputs["Color"].default_value = (0, 0, 0, 1)
    layer = scene.view_layers[0]
    layer.use_pass_z = layer.use_pass_diffuse_direct = True
    label = layer.aovs.add()
    label.name, label.type = LABEL, "VALUE"
    return scene


def _add_content(content: Content, view: View) -> None:
    sun = tuple(float(value) for value in view.sun.direction())
    soil, rock = _moon_materials(view, (sun[0], sun[1], sun[2]))
    if view.mars is not None:
        soil, rock = mars_materials(view.look, view.mars)
    ground = content.ground
    zero = np.zeros(len(ground.quads), np.float32)
    _add_mesh(
        "ground", ground.vertices(), ground.quads, soil,
        {
            "tone": ("POINT", ground.tone), LABEL: ("FACE", zero),
            **{name: ("POINT", share) for name, share in content.kinds.items()},
        },
    )  # fmt: skip
    for name, mesh in (("rocks", content.rocks), ("pebbles", content.pebbles)):
        labels = {"tone": ("FACE", mesh.tone), LABEL: ("FACE", mesh.index + 1)}
        _add_mesh(name, mesh.vertices, mesh.faces, rock, labels, smooth=False)
    for number, part in enumerate(content.parts):
        name = f"part {number}"
        material = bpy.data.materials.get(part.material) or vehicle_material(part.material)
        _add_mesh(name, part.vertices, part.faces, material, {}, smooth=False)


def _moon_materials(view: View, sun: tuple[float, float, float]) -> tuple[Any, Any]:
    """Return the materials of soil and rocks."""
    look = view.look
    small = view.kind != "lander"
    soil = regolith(
        "soil",
        albedo=look.albedo,
        tint=look.tint,
        sun=sun,
        bump_m=look.bump_m if small else 0.05,
        scale=70.0 if small else 3.0,
    )
    rock = regolith(
        "rock",
        albedo=look.albedo * look.rock_albedo,
        tint=look.rock_tint,
        sun=sun,
        bump_m=look.rock_bump_m,
        scale=22.0,
        lambert=ROCK_LAMBERT,
        dust=(look.dust, _scaled(look.tint, 1.0 / look.rock_albedo)),
    )
    return soil, rock


def _scaled(colour: tuple[float, float, float], factor: float) -> tuple[float, float, float]:
    red, green, blue = colour
    return red * factor, green * factor, blue * factor


def _add_mesh(
    name: str,
    vertices: F32,
    faces: I32,
    material: Any,
    attributes: Mapping[str, tuple[str, Any]],
    *,
    smooth: bool = True,
) -> None:
    if len(faces) == 0:
        return
    mesh = bpy.data.meshes.new(name)
    mesh.vertices.add(len(vertices))
    mesh.vertices.foreach_set("co", np.ascontiguousarray(vertices, np.float32).ravel())
    mesh.loops.add(faces.size)
    mesh.loops.foreach_set("vertex_index", np.ascontiguousarray(faces, np.int32).ravel())
    mesh.polygons.add(len(faces))
    starts = np.arange(0, faces.size, faces.shape[1], dtype=np.int32)
    mesh.polygons.foreach_set("loop_start", starts)
    for key, (domain, values) in attributes.items():
        made = mesh.attributes.new(key, "FLOAT", domain)
        made.data.foreach_set("value", np.ascontiguousarray(values, np.float32).ravel())
    mesh.update(calc_edges=False)
    mesh.polygons.foreach_set("use_smooth", np.full(len(faces), smooth))
    mesh.materials.append(material)
    bpy.context.scene.collection.objects.link(bpy.data.objects.new(name, mesh))


def _add_camera(scene: Any, camera: CameraModel, pose: Transform) -> None:
    data = bpy.data.cameras.new("camera")
    data.sensor_fit, data.sensor_width = "HORIZONTAL", SENSOR_MM
    data.lens = camera.fx_px * SENSOR_MM / camera.width_px
    data.clip_start, data.clip_end = CLIP_M
    placed = bpy.data.objects.new("camera", data)
    scene.collection.objects.link(placed)
    matrix = np.eye(4)
    # Blender's camera looks along -z with y up, an optical frame along z with y down.
    matrix[:3, :3] = pose.rotation @ np.diag([1.0, -1.0, -1.0])
    matrix[:3, 3] = pose.translation_m
    placed.matrix_world = Matrix(matrix.tolist())
    scene.camera = placed


def _add_sun(name: str, direction: F64, strength: float, angle_rad: float) -> None:
    data = bpy.data.lights.new(name, "SUN")
    data.energy, data.angle = strength, angle_rad
    placed = bpy.data.objects.new(name, data)
    placed.rotation_euler = Vector(direction.tolist()).to_track_quat("Z", "Y").to_euler()
    bpy.context.scene.collection.objects.link(placed)


def _write_passes(scene: Any, folder: Path, prefix: str, names: Sequence[str]) -> None:
    """Let the next render write passes into files that `read_pass` finds."""
    scene.use_nodes = True
    tree = scene.node_tree
    tree.nodes.clear()
    layers = tree.nodes.new("CompositorNodeRLayers")
    output = tree.nodes.new("CompositorNodeOutputFile")
    output.base_path = str(folder)
    output.format.file_format, output.format.color_depth = "OPEN_EXR", "32"
    output.file_slots.clear()
    for name in names:
        output.file_slots.new(f"{prefix}_{name}_")
        tree.links.new(layers.outputs[name], output.inputs[f"{prefix}_{name}_"])
