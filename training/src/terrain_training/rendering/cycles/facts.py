"""What each pixel of a render truly shows, kept beside it so that labels can be made anew."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.types import F32, F64, U8, Transform
from terrain_seg_ros.worlds.world import World
from terrain_training.rendering.cycles.arrays import I32, I64, Bool
from terrain_training.rendering.cycles.relief import true_half_side_m

GROUND, ROCK, SKY, VEHICLE = range(4)
"""Values of `surface`."""
SKY_DEPTH_M = 8500.0
"""Beyond it there is nothing: Cycles writes a huge depth for the sky."""
NO_SLOPE = 255
NO_CLASS = 255
NO_ROCK = -1
MIN_SUNLIGHT = 1e-6


@dataclass(frozen=True)
class Facts:
    """Hold what the middle of each pixel (H, W) shows.

    `surface` is GROUND, ROCK, SKY or VEHICLE. `rock` is the row of the table of rocks, NO_ROCK
    elsewhere; `diameter_m` (N,) is that table with the mean horizontal diameter, and `world_rock`
    (N,) is the rock's index in the world, or a number from `FIRST_PEBBLE` on for a pebble below
    the world's smallest rock. `depth_m` is along the optical axis, NaN for sky, `shadow` says that
    no sunlight arrives, and `slope_deg` is the slope of the world's ground, NO_SLOPE elsewhere.
    `ground` is the class of the world's ground that the pixel shows, or that lies under its rock;
    NO_CLASS off the world's own ground and where all ground is of one class; None is NO_CLASS
    everywhere.
    """

    surface: U8
    rock: I32
    depth_m: F32
    shadow: Bool
    slope_deg: U8
    diameter_m: F32
    world_rock: I64
    ground: U8 | None = None


def facts_of_passes(
    label: F32,
    depth_m: F32,
    direct: F32,
    *,
    rock_diameter_m: F64,
    rock_index: I64,
) -> Facts:
    """Return facts, without slopes, of passes (H, W).

    Args:
        label: 0 for ground, row of `rock_diameter_m` + 1 for a rock, -1 for a vehicle.
        depth_m: along the optical axis, huge for the sky.
        direct: sunlight that arrives.
        rock_diameter_m: (N,) of all rocks that were drawn.
        rock_index: (N,) of these in the world.
    """
    number = np.rint(label).astype(np.int64)
    sky = ~(depth_m < SKY_DEPTH_M)
    surface = np.full(label.shape, GROUND, np.uint8)
    surface[number > 0] = ROCK
    surface[number < 0] = VEHICLE
    surface[sky] = SKY
    seen, rock = np.unique(number[surface == ROCK], return_inverse=True)
    rows = np.full(label.shape, NO_ROCK, np.int32)
    rows[surface == ROCK] = rock.ravel()
    return Facts(
        surface=surface,
        rock=rows,
        depth_m=np.where(sky, np.nan, depth_m).astype(np.float32),
        shadow=(direct <= MIN_SUNLIGHT) & ~sky,
        slope_deg=np.full(label.shape, NO_SLOPE, np.uint8),
        diameter_m=rock_diameter_m[seen - 1].astype(np.float32),
        world_rock=rock_index[seen - 1].astype(np.int64),
    )


def points_world(facts: Facts, camera: CameraModel, world_T_camera: Transform) -> F64:
    """Return the points (H, W, 3) that pixels show, in the world's frame; NaN for sky."""
    rows, cols = np.indices(facts.depth_m.shape)
    depth = facts.depth_m.astype(np.float64)
    x = (cols - camera.cx_px) / camera.fx_px * depth
    y = (rows - camera.cy_px) / camera.fy_px * depth
    points: F64 = np.stack([x, y, depth], axis=-1) @ world_T_camera.rotation.T
    return points + world_T_camera.translation_m


def slopes_deg(
    facts: Facts, world: World, camera: CameraModel, world_T_camera: Transform, *, baseline_m: float
) -> U8:
    """Return the slope of the world's ground (H, W) over a baseline.

    It is NO_SLOPE off the ground and where far hills replace the world's ground.
    """
    slope: U8 = np.full(facts.surface.shape, NO_SLOPE, np.uint8)
    ground = facts.surface == GROUND
    points = points_world(facts, camera, world_T_camera)[ground]
    x, y, half = points[:, 0], points[:, 1], 0.5 * max(baseline_m, 2.0 * world.spacing_m)
    rise_x = world.ground_height_m(x + half, y) - world.ground_height_m(x - half, y)
    rise_y = world.ground_height_m(x, y + half) - world.ground_height_m(x, y - half)
    angle = np.degrees(np.arctan(np.hypot(rise_x, rise_y) / (2.0 * half)))
    hills = np.maximum(np.abs(x), np.abs(y)) > true_half_side_m(world) - half
    slope[ground] = np.where(hills | np.isnan(angle), NO_SLOPE, np.rint(np.nan_to_num(angle)))
    return slope


def facts_to_bytes(facts: Facts) -> bytes:
    """Return a compressed NumPy archive of facts; depths are rounded to half precision."""
    file = io.BytesIO()
    ground: Any = {} if facts.ground is None else {"ground": facts.ground}
    np.savez_compressed(
        file,
        surface=facts.surface,
        rock=(facts.rock + 1).astype(np.uint16),
        depth_m=facts.depth_m.astype(np.float16),
        shadow=np.packbits(facts.shadow),
        slope_deg=facts.slope_deg,
        diameter_m=facts.diameter_m,
        world_rock=facts.world_rock.astype(np.int32),
        **ground,
    )
    return file.getvalue()


def read_facts(path: Path) -> Facts:
    """Return the facts of a file.

    Raises:
        ConfigError: it is not there or not whole.
    """
    try:
        with np.load(path) as file:
            surface = file["surface"]
            shadow = np.unpackbits(file["shadow"], count=surface.size)
            return Facts(
                surface=surface,
                rock=file["rock"].astype(np.int32) - 1,
                depth_m=file["depth_m"].astype(np.float32),
                shadow=shadow.reshape(surface.shape).astype(bool),
                slope_deg=file["slope_deg"],
                diameter_m=file["diameter_m"],
                world_rock=file["world_rock"].astype(np.int64),
                ground=file.get("ground"),
            )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ConfigError(
            f"{path} cannot be read as facts of a render ({error}); delete it and its picture, "
            "then render again with the same command"
        ) from error
