"""A world as a MuJoCo model: tiles of ground, ellipsoid rocks, sun and sky."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from terrain_seg_ros.core.types import F32
from terrain_seg_ros.sim.ground_tiles import LEVEL_STEPS, Tile
from terrain_seg_ros.sim.opengl import load_mujoco
from terrain_seg_ros.sim.scene_look import (
    TEXTURE_PX,
    look_of,
    patch_texture,
    rock_texture,
    sun_strength,
)
from terrain_seg_ros.worlds.world import World

NEAR_M, FAR_M = 0.05, 400.0
SHADOW_MAP_PX = 2048
MIN_SHADOW_REACH_M = 12.0
"""Smallest half side of the square around the view in which shadows are drawn."""
SKIRT_M = 0.5
"""Depth of the skirt of a tile at its border."""
ROCK_SLICES, ROCK_STACKS = 16, 10
ROCK_BRIGHTNESS = (0.75, 1.0)


@dataclass(frozen=True)
class SceneModel:
    """A compiled model and the meaning of its geoms.

    Geom `tile * len(LEVEL_STEPS) + level` is a tile at a level; the rocks follow in the world's
    order, starting at `first_rock`.
    """

    model: Any
    tiles: tuple[Tile, ...]
    first_rock: int


def build_model(
    world: World, tiles: tuple[Tile, ...], *, width_px: int, height_px: int
) -> SceneModel:
    """Compile a world; the size is that of the largest image to be rendered."""
    mujoco = load_mujoco()
    text = _mjcf(world, tiles, width_px=width_px, height_px=height_px)
    model = mujoco.MjModel.from_xml_string(text)
    _fill_heights(model, tiles)
    _fill_textures(model, world, tiles)
    return SceneModel(model, tiles, first_rock=len(tiles) * len(LEVEL_STEPS))


def _mjcf(world: World, tiles: tuple[Tile, ...], *, width_px: int, height_px: int) -> str:
    look = look_of(world.body)
    fog_m = look.haze_m or FAR_M
    ambient = [look.ambient * part for part in look.sun_rgb]
    assets, geoms = [_texture("rock", kind="cube"), _material("rock"), _sky(world)], []
    for index, tile in enumerate(tiles):
        for level, patch in enumerate(tile.levels):
            name = f"tile{index}_{level}"
            rows, cols = patch.height_m.shape
            size = f"{patch.half_x_m:.9g} {patch.half_y_m:.9g} {patch.rise_m:.9g} {SKIRT_M}"
            assets += [_texture(name, kind="2d", side_px=_side_px(level)), _material(name)]
            assets.append(f'<hfield name="{name}" nrow="{rows}" ncol="{cols}" size="{size}"/>')
            geoms.append(
                f'<geom type="hfield" hfield="{name}" material="{name}" '
                f'pos="{patch.x_m:.9g} {patch.y_m:.9g} {patch.low_m:.9g}"/>'
            )
    geoms += _rocks(world)
    return f"""<mujoco>
<statistic extent="1" center="0 0 0" meansize="1"/>
<visual>
<global offwidth="{width_px}" offheight="{height_px}"/>
<quality shadowsize="{SHADOW_MAP_PX}" offsamples="0" numslices="{ROCK_SLICES}"
 numstacks="{ROCK_STACKS}"/>
<map znear="{NEAR_M}" zfar="{FAR_M}" shadowclip="{MIN_SHADOW_REACH_M}" fogstart="{0.02 * fog_m}"
 fogend="{fog_m}"/>
<headlight ambient="{_numbers(ambient)}" diffuse="0 0 0" specular="0 0 0"/>
<rgba fog="{_numbers(look.sky_rgb)} 1"/>
</visual>
<default><geom contype="0" conaffinity="0"/></default>
<asset>{"".join(assets)}</asset>
<worldbody>{_light(world)}{"".join(geoms)}</worldbody>
</mujoco>"""


def _texture(name: str, *, kind: str, side_px: int = TEXTURE_PX) -> str:
    size = f'width="{side_px}"' + (f' height="{side_px}"' if kind == "2d" else "")
    return f'<texture name="{name}" type="{kind}" builtin="flat" rgb1="1 1 1" {size}/>'


def _material(name: str) -> str:
    return f'<material name="{name}" texture="{name}" specular="0" shininess="0" reflectance="0"/>'


def _sky(world: World) -> str:
    look = look_of(world.body)
    return (
        f'<texture name="sky" type="skybox" builtin="gradient" rgb1="{_numbers(look.sky_rgb)}" '
        f'rgb2="{_numbers(look.zenith_rgb)}" width="256" height="1536"/>'
    )


def _light(world: World) -> str:
    look = look_of(world.body)
    diffuse = [sun_strength(world) * part for part in look.sun_rgb]
    return (
        f'<light directional="true" castshadow="true" dir="{_numbers(-world.sun.direction())}" '
        f'diffuse="{_numbers(diffuse)}" ambient="0 0 0" specular="0 0 0"/>'
    )


def _rocks(world: World) -> list[str]:
    rocks = world.rocks
    shine = np.random.default_rng([world.seed, 5]).uniform(*ROCK_BRIGHTNESS, size=len(rocks))
    return [
        f'<geom type="ellipsoid" size="{a:.9g} {b:.9g} {c:.9g}" pos="{x:.9g} {y:.9g} {z:.9g}" '
        f'quat="{math.cos(0.5 * yaw):.9g} 0 0 {math.sin(0.5 * yaw):.9g}" material="rock" '
        f'rgba="{s:.3f} {s:.3f} {s:.3f} 1"/>'
        for x, y, z, a, b, c, yaw, s in zip(
            rocks.x_m, rocks.y_m, rocks.z_m, rocks.a_m, rocks.b_m, rocks.c_m, rocks.yaw_rad, shine
        )
    ]


def _fill_heights(model: Any, tiles: tuple[Tile, ...]) -> None:
    patches = [patch for tile in tiles for patch in tile.levels]
    for index, patch in enumerate(patches):
        start = int(model.hfield_adr[index])
        share: F32 = (patch.height_m - np.float32(patch.low_m)) / np.float32(patch.rise_m)
        model.hfield_data[start : start + share.size] = share.ravel()


def _fill_textures(model: Any, world: World, tiles: tuple[Tile, ...]) -> None:
    pictures = {"rock": rock_texture(world)}
    for index, tile in enumerate(tiles):
        for level, patch in enumerate(tile.levels):
            pictures[f"tile{index}_{level}"] = patch_texture(world, patch, side_px=_side_px(level))
    for name, picture in pictures.items():
        start = int(model.texture(name).adr[0])
        model.tex_data[start : start + picture.size] = picture.ravel()


def _side_px(level: int) -> int:
    return TEXTURE_PX // LEVEL_STEPS[level]


def _numbers(values: Any) -> str:
    return " ".join(f"{float(value):.6g}" for value in values)
