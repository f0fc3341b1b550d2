"""Images of worlds rendered in NumPy, for training and for scoring without OpenGL."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.image.image_to_tensor import TensorGeometry
from terrain_seg_ros.core.types import F32, F64, U8, UNLABELLED, Transform
from terrain_seg_ros.worlds.cast_rays import RayCast, cast_rays
from terrain_seg_ros.worlds.photometry import lunar_reflectance, martian_reflectance
from terrain_seg_ros.worlds.ray_rocks import rock_shapes
from terrain_seg_ros.worlds.render_settings import RenderSettings, default_camera
from terrain_seg_ros.worlds.sun_shadow import in_shadow
from terrain_seg_ros.worlds.texture import noise_tile, relief_tile
from terrain_seg_ros.worlds.world import BEDROCK, ROCK, SAND, SKY, SOIL, Body, World

FACETS = 12
FACET_SHARE = 0.9
"""Weight of the facet in the normal of a rock; the rest is that of the ellipsoid."""
FINE_TEXEL_M, COARSE_TEXEL_M, COARSE_TURN_RAD = 0.004, 0.0171, 0.6
PEBBLE_M, STONE_M = (0.015, 0.06), (0.04, 0.1)
LEAST_TEXTURE_SUN_RAD = 0.2
"""Lowest elevation of the sun for the texture; fine relief would saturate under a lower sun."""
SKY_HORIZON, SKY_ZENITH, SKY_GLOW, GLOW_RAD = 1.5, 0.9, 0.6, 0.4
"""Brightness of the dusty sky relative to that of level ground in the sun."""
TINTS = {
    Body.MOON: {ROCK: (1.0, 1.0, 1.0), SKY: (1.0, 1.0, 1.0)},
    Body.MARS: {
        SOIL: (1.0, 0.66, 0.44),
        BEDROCK: (1.0, 0.72, 0.53),
        SAND: (1.0, 0.7, 0.52),
        ROCK: (1.0, 0.76, 0.62),
        SKY: (1.0, 0.84, 0.66),
    },
}
MOON_TINT = (1.0, 0.96, 0.88)
Index = NDArray[np.intp]


@dataclass(frozen=True)
class _Hits:
    """Ray hits (N,): points, outward normals, directions to the viewer, distances."""

    points: F64
    normals: F64
    to_viewer: F64
    distance: F64
    footprint: F64
    mask: U8
    rock: NDArray[np.int32]


def render(
    world: World, cast: RayCast, *, settings: RenderSettings | None = None, seed: int = 0
) -> U8:
    """Render a ray cast to an image: (H, W) grey, or (H, W, 3) RGB if `colour` is set.

    Each pixel is one ray, so edges are aliased; `render_view` casts several rays per pixel.

    Args:
        world: the world in which the rays were cast.
        cast: the result for each pixel.
        settings: the properties of the image; None uses the defaults of the body's camera.
        seed: seed of the noise, different for each frame.

    Raises:
        ConfigError: the seed is negative.
    """
    settings = default_camera(world.body) if settings is None else settings
    return _expose(_shade(world, cast, settings), (world.seed, seed), settings)


def render_view(
    world: World,
    camera: CameraModel,
    world_T_camera: Transform,
    *,
    settings: RenderSettings | None = None,
    seed: int = 0,
) -> U8:
    """Render a camera view: (H, W) grey, or (H, W, 3) RGB if `colour` is set.

    The image shows the same ground and rocks as `cast_rays`, with cast shadows, and with a texture
    fixed to the ground, so that it is consistent from frame to frame. `samples` x `samples` rays
    are averaged per pixel.

    Args:
        world: the world.
        camera: the camera of the image as delivered.
        world_T_camera: the pose of the optical frame.
        settings: the properties of the image; None uses the defaults of the body's camera.
        seed: seed of the noise, different for each frame.

    Raises:
        ConfigError: the seed is negative.
        GeometryError: the camera is in a rock or under the ground.
    """
    settings = default_camera(world.body) if settings is None else settings
    count = settings.samples
    geometry = TensorGeometry(
        scale_x=1.0 / count,
        scale_y=1.0 / count,
        offset_x_px=0.0,
        offset_y_px=0.0,
        width_px=camera.width_px * count,
        height_px=camera.height_px * count,
        image_width_px=camera.width_px,
        image_height_px=camera.height_px,
    )
    cast = cast_rays(world, camera, world_T_camera, geometry=geometry)
    picture = _shade(world, cast, settings)
    size = (camera.width_px, camera.height_px)
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    return _expose(np.asarray(small, dtype=np.float32), (world.seed, seed), settings)


def _shade(world: World, cast: RayCast, settings: RenderSettings) -> F32:
    """Return brightness (H, W) or (H, W, 3), scaled so that the ground's mean is `exposure`."""
    light: F64 = np.zeros(cast.mask.shape, dtype=np.float64)
    met = np.flatnonzero((cast.mask.ravel() != SKY) & (cast.mask.ravel() != UNLABELLED))
    hits = _collect(world, cast, met)
    level = _level_light(world, settings)
    flat = light.reshape(-1)
    flat[met] = _surface_light(world, hits, settings)
    sky = cast.mask == SKY
    if world.body is Body.MARS:
        sun = world.sun.direction()
        glow = level * _sky_light(cast.rays[sky] @ cast.world_T_camera.rotation.T, sun)
        light[sky] = glow
        clear = np.exp(-hits.distance / settings.haze_m)
        flat[met] = flat[met] * clear + level * SKY_HORIZON * (1.0 - clear)
    mean = float(flat[met].mean()) if met.size else level
    light *= settings.exposure / max(mean, 1e-9)
    if not settings.colour:
        return light.astype(np.float32)
    tints = np.ones((256, 3), dtype=np.float32)
    tints[:] = MOON_TINT
    for index, tint in TINTS[world.body].items():
        tints[index] = tint
    return np.asarray(light[..., np.newaxis] * tints[cast.mask], dtype=np.float32)


def _collect(world: World, cast: RayCast, met: Index) -> _Hits:
    points = cast.points_world().reshape(-1, 3)[met]
    rock = cast.rock.reshape(-1)[met]
    away = points - cast.world_T_camera.translation_m
    distance = np.linalg.norm(away, axis=1)
    to_viewer = -away / distance[:, np.newaxis]
    normals = world.ground_normals(points[:, 0], points[:, 1])
    on_rock = np.flatnonzero(rock >= 0)
    if on_rock.size:
        normals[on_rock] = _rock_normals(world, points[on_rock], rock[on_rock])
    spread = _pixel_angle(cast)
    facing = np.maximum(np.einsum("ni,ni->n", normals, to_viewer), 0.05)
    return _Hits(
        points=points,
        normals=normals,
        to_viewer=to_viewer,
        distance=distance,
        footprint=distance * spread / np.sqrt(facing),
        mask=cast.mask.reshape(-1)[met],
        rock=rock,
    )


def _pixel_angle(cast: RayCast) -> float:
    """Return the typical angle between neighbouring pixels, in radians."""
    rays = cast.rays
    middle = rays[rays.shape[0] // 2]
    unit = middle / np.linalg.norm(middle, axis=1, keepdims=True)
    steps = np.linalg.norm(np.diff(unit, axis=0), axis=1)
    return float(np.nanmedian(steps)) if np.isfinite(steps).any() else 1e-3


def _rock_normals(world: World, points: F64, rock: NDArray[np.int32]) -> F64:
    """Return the normals of the ellipsoids of rocks, blended with those of random facets."""
    rocks = world.rocks
    seen, place = np.unique(rock, return_inverse=True)
    shapes = rock_shapes(rocks)[seen]
    centres = np.stack([rocks.x_m, rocks.y_m, rocks.z_m], axis=1)[seen]
    sphere = np.einsum("nij,nj->ni", shapes[place], points - centres[place])
    facets = np.stack(
        [
            np.random.Generator(np.random.PCG64((world.seed, int(index)))).standard_normal(
                (FACETS, 3)
            )
            for index in seen
        ]
    )
    facets /= np.linalg.norm(facets, axis=2, keepdims=True)
    nearest = np.einsum("nkj,nj->nk", facets[place], sphere).argmax(axis=1)
    bent = (1.0 - FACET_SHARE) * sphere + FACET_SHARE * facets[place, nearest]
    normals = np.einsum("nij,ni->nj", shapes[place], bent)
    unit: F64 = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    return unit


def _surface_light(world: World, hits: _Hits, settings: RenderSettings) -> F64:
    """Return the brightness (N,) of the hits, without haze."""
    sun = world.sun.direction()
    incidence = np.einsum("ni,i->n", hits.normals, sun)
    lit = incidence > 0.0
    facing = np.flatnonzero(lit)
    hidden = in_shadow(world, hits.points[facing], hits.normals[facing])
    lit[facing[hidden]] = False
    albedo = _albedo(world, hits)
    texture = _texture(world, hits, settings)
    sunny = np.where(lit, incidence, 0.0)
    if world.body is Body.MOON:
        emission = np.einsum("ni,ni->n", hits.normals, hits.to_viewer)
        phase = np.arccos(np.clip(hits.to_viewer @ sun, -1.0, 1.0))
        direct = lunar_reflectance(sunny, emission, phase)
        fill = settings.fill_share * np.full(len(sunny), sun[2])
    else:
        ambient = martian_reflectance(np.zeros(len(sunny)), settings.sky_share, hits.normals[:, 2])
        direct, fill = sunny, ambient + settings.fill_share * sun[2]
    shaded = np.where(lit, texture, 0.7 + 0.3 * texture)
    light: F64 = albedo * shaded * (direct + fill)
    return light


def _level_light(world: World, settings: RenderSettings) -> float:
    """Return the brightness of level soil of typical albedo in the sun."""
    albedo = float(np.median(world.albedo))
    return albedo * (float(world.sun.direction()[2]) + settings.sky_share)


def _albedo(world: World, hits: _Hits) -> F64:
    """Return the albedo of the hits; rocks have their own, with dust on top."""
    albedo = np.nan_to_num(
        world.at_posts(world.albedo, hits.points[:, 0], hits.points[:, 1]),
        nan=float(np.median(world.albedo)),
    )
    on_rock = np.flatnonzero(hits.rock >= 0)
    if on_rock.size:
        low, high = (1.1, 1.9) if world.body is Body.MOON else (0.7, 1.35)
        rng = np.random.Generator(np.random.PCG64((world.seed, 1)))
        own = rng.uniform(low, high, len(world.rocks))[hits.rock[on_rock]]
        base = float(np.median(world.albedo))
        dust = np.clip(hits.normals[on_rock, 2], 0.0, 1.0) ** 2
        dust *= 0.3 if world.body is Body.MARS else 0.1
        albedo[on_rock] = base * (own * (1.0 - dust) + dust)
    return albedo


def _texture(world: World, hits: _Hits, settings: RenderSettings) -> F64:
    """Return the brightness factor (N,) of fine relief, pebbles and grain."""
    factor: F64 = np.ones(hits.mask.size)
    azimuth = world.sun.azimuth_rad
    elevation = max(world.sun.elevation_rad, LEAST_TEXTURE_SUN_RAD)
    roughness = {SOIL: (1.0, 1.0), SAND: (0.35, 0.02), BEDROCK: (1.3, 0.1)}
    for index, (relief, stones) in roughness.items():
        part = np.flatnonzero(hits.mask == index)
        if not part.size:
            continue
        x, y, size = hits.points[part, 0], hits.points[part, 1], hits.footprint[part]
        slope = relief * settings.relief_slope
        fine, coarse = (
            relief_tile(
                index + 10 * turned,
                texel_m=COARSE_TEXEL_M if turned else FINE_TEXEL_M,
                rms_slope=0.5 * slope if turned else slope,
                pebbles_per_m2=stones * settings.pebbles_per_m2 * (0.06 if turned else 1.0),
                pebble_m=STONE_M if turned else PEBBLE_M,
                sun=(azimuth - COARSE_TURN_RAD * turned, elevation),
            )
            for turned in (False, True)
        )
        cos, sin = math.cos(COARSE_TURN_RAD), math.sin(COARSE_TURN_RAD)
        factor[part] = fine.sample(x, y, size)
        factor[part] *= coarse.sample(cos * x + sin * y, cos * y - sin * x, size)
    part = np.flatnonzero(hits.rock >= 0)
    if part.size:
        factor[part] = 1.0 + 0.18 * _rock_grain(hits, part)
    return np.maximum(factor, 0.0)


def _rock_grain(hits: _Hits, part: Index) -> F64:
    """Return noise (N,) on the surface of rocks, projected along the axis closest to the normal."""
    tile = noise_tile(7, texel_m=0.004, power=0.9)
    points, axis = hits.points[part], np.abs(hits.normals[part]).argmax(axis=1)
    shift = 0.37 * hits.rock[part]
    u = np.choose(axis, (points[:, 1], points[:, 0], points[:, 0])) + shift
    v = np.choose(axis, (points[:, 2], points[:, 2], points[:, 1])) + 1.7 * shift
    grain: F64 = tile.sample(u, v, hits.footprint[part]).astype(np.float64)
    return grain


def _sky_light(directions: F64, sun: F64) -> F64:
    """Return the brightness of the dusty sky, bright at the horizon and around the sun."""
    unit = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    up = np.clip(unit[:, 2], 0.0, 1.0)
    base = SKY_ZENITH + (SKY_HORIZON - SKY_ZENITH) * np.exp(-up / 0.25)
    away = np.arccos(np.clip(unit @ sun, -1.0, 1.0))
    light: F64 = base + SKY_GLOW * np.exp(-away / GLOW_RAD)
    return light


def _expose(picture: F32, seeds: tuple[int, int], settings: RenderSettings) -> U8:
    """Return the image as recorded by the sensor: blurred, noisy and quantised."""
    if settings.blur_px > 0.0:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), settings.blur_px), dtype=np.float32)
    if min(seeds) < 0:
        raise ConfigError(f"seeds of world and noise are {seeds}, expected 0 or more")
    rng = np.random.Generator(np.random.PCG64(seeds))
    # Half of the variance at half brightness is shot noise, which grows with brightness.
    deviation = settings.noise * np.sqrt(0.5 + np.clip(picture, 0.0, 1.0))
    noisy = picture + deviation * rng.standard_normal(picture.shape, dtype=np.float32)
    result: U8 = np.rint(np.clip(noisy, 0.0, 1.0) * 255.0).astype(np.uint8)
    return result
