"""Offscreen rendering of images and ground truth of a world by MuJoCo."""

from __future__ import annotations

import math
from types import TracebackType

import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.types import F32, F64, U8, Transform
from terrain_seg_ros.sim.ground_tiles import LEVEL_STEPS, ground_tiles, levels_to_draw
from terrain_seg_ros.sim.opengl import load_mujoco
from terrain_seg_ros.sim.scene_look import look_of
from terrain_seg_ros.sim.scene_model import FAR_M, MIN_SHADOW_REACH_M, NEAR_M, build_model
from terrain_seg_ros.worlds.cast_rays import RayCast, pixel_rays
from terrain_seg_ros.worlds.world import ROCK, SKY, World

HIDDEN_GROUP = 5
"""A geom group that MuJoCo's default options hide."""
MIN_ROCK_PX = {"image": 2.0, "truth": 1.0}
"""Smallest rocks that are drawn; an image takes three render passes, truth one."""
MAX_POSTS = 2001
"""Most posts along a side of the world; takes about a gigabyte of memory."""
MAX_SHADOW_LENGTH = 4.0
"""Longest shadow, in heights, cast into the view by rocks outside; longer ones may be missing."""


class MujocoScene:
    """A renderer of one world; use it in a `with` statement, from one thread."""

    def __init__(self, world: World, cameras: tuple[CameraModel, ...]) -> None:
        """Build the scene.

        Args:
            world: the world.
            cameras: all cameras that will be used.

        Raises:
            ConfigError: OpenGL is not available, a camera is not supported, or the world is too
                large.
        """
        for camera in cameras:
            check_camera(camera)
        posts = world.ground_m.shape[0]
        if posts > MAX_POSTS:
            raise ConfigError(
                f"world has {posts} posts along a side, the simulator draws at most {MAX_POSTS}; "
                "make it smaller or raise its spacing"
            )
        self._mujoco = load_mujoco()
        self.world = world
        width_px, height_px = (
            max(getattr(camera, name) for camera in cameras) for name in ("width_px", "height_px")
        )
        self._scene_model = build_model(
            world, ground_tiles(world), width_px=width_px, height_px=height_px
        )
        model = self._scene_model.model
        self._data = self._mujoco.MjData(model)
        self._mujoco.mj_forward(model, self._data)
        self._gl = self._mujoco.GLContext(width_px, height_px)
        self._gl.make_current()
        scale = self._mujoco.mjtFontScale.mjFONTSCALE_100.value
        self._context = self._mujoco.MjrContext(model, scale)
        offscreen = self._mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value
        self._mujoco.mjr_setBuffer(offscreen, self._context)
        self._context.readDepthMap = self._mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        self._option = self._mujoco.MjvOption()
        self._view = self._mujoco.MjvCamera()
        self._scene = self._mujoco.MjvScene(model, maxgeom=model.ngeom + 8)
        slope = math.tan(world.sun.elevation_rad)
        self._shadow_length = min(MAX_SHADOW_LENGTH, 1.0 / max(slope, 1e-3))

    def __enter__(self) -> MujocoScene:
        """Return the scene."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Free the OpenGL resources."""
        self.close()

    def close(self) -> None:
        """Free the OpenGL resources; the scene cannot be used afterwards."""
        if self._gl is not None:
            self._gl.make_current()
            self._context.free()
            self._gl.free()
        self._gl = None

    def image(self, camera: CameraModel, world_T_camera: Transform) -> U8:
        """Return the image (H, W, 3) RGB of a camera.

        Args:
            camera: one of the cameras passed to the constructor.
            world_T_camera: the pose of the optical frame.
        """
        self._look(camera, world_T_camera, min_rock_px=MIN_ROCK_PX["image"])
        flags, kinds = self._scene.flags, self._mujoco.mjtRndFlag
        flags[kinds.mjRND_SHADOW] = flags[kinds.mjRND_SKYBOX] = 1
        flags[kinds.mjRND_FOG] = look_of(self.world.body).haze_m > 0.0
        flags[kinds.mjRND_SEGMENT] = flags[kinds.mjRND_IDCOLOR] = 0
        picture, _ = self._draw(camera)
        return picture

    def truth(self, camera: CameraModel, world_T_camera: Transform) -> RayCast:
        """Return class, depth and rock of every pixel of a camera, as `cast_rays` does.

        Args:
            camera: one of the cameras passed to the constructor.
            world_T_camera: the pose of the optical frame.
        """
        self._look(camera, world_T_camera, min_rock_px=MIN_ROCK_PX["truth"])
        flags, kinds = self._scene.flags, self._mujoco.mjtRndFlag
        flags[kinds.mjRND_SHADOW] = flags[kinds.mjRND_SKYBOX] = flags[kinds.mjRND_FOG] = 0
        flags[kinds.mjRND_SEGMENT] = flags[kinds.mjRND_IDCOLOR] = 1
        colours, stored = self._draw(camera)
        codes = colours.astype(np.int32) @ np.array([1, 256, 65536], dtype=np.int32)
        geoms = np.array([-1, *(g.objid for g in self._scene.geoms[: self._scene.ngeom])])
        geom = geoms[codes]
        met = geom >= 0
        depth_m = np.where(met, _metres(stored), np.nan).astype(np.float32)
        first = self._scene_model.first_rock
        rock = np.where(geom >= first, geom - first, -1).astype(np.int32)
        mask = self._classes(camera, world_T_camera, depth_m)
        mask[~met] = SKY
        mask[rock >= 0] = ROCK
        return RayCast(mask, depth_m, rock, pixel_rays(camera, None), world_T_camera)

    def _look(self, camera: CameraModel, world_T_camera: Transform, *, min_rock_px: float) -> None:
        """Select the geoms in view and set the camera."""
        eye_m, rotation = world_T_camera.translation_m, world_T_camera.rotation
        self._choose_geoms(camera, world_T_camera, min_rock_px)
        self._place_sun(camera, world_T_camera)
        self._mujoco.mjv_updateScene(
            self._scene_model.model,
            self._data,
            self._option,
            None,
            self._view,
            self._mujoco.mjtCatBit.mjCAT_ALL.value,
            self._scene,
        )
        for eye in self._scene.camera:
            eye.pos, eye.forward, eye.up = eye_m, rotation[:, 2], -rotation[:, 1]
            eye.orthographic, eye.frustum_center = 0, 0.0
            eye.frustum_near, eye.frustum_far = NEAR_M, FAR_M
            eye.frustum_top = NEAR_M * (camera.cy_px + 0.5) / camera.fy_px
            eye.frustum_bottom = -NEAR_M * (camera.height_px - 0.5 - camera.cy_px) / camera.fy_px

    def _place_sun(self, camera: CameraModel, world_T_camera: Transform) -> None:
        """Centre the shadow map on the ground in the middle of the view."""
        eye_m, ahead = world_T_camera.translation_m, world_T_camera.rotation[:, 2]
        below_m = float(self.world.ground_height_m(eye_m[0], eye_m[1]))
        height_m = max(0.1, float(eye_m[2]) - (below_m if math.isfinite(below_m) else 0.0))
        wide = math.hypot(camera.width_px, camera.height_px) / (2.0 * camera.fx_px)
        reach_m = max(MIN_SHADOW_REACH_M, height_m * wide)
        middle_m = eye_m + ahead * min(height_m / max(-ahead[2], 1e-3), max(height_m, 10.0))
        middle_m[2] = eye_m[2] - height_m
        self._context.shadowClip = reach_m
        self._data.light_xpos[0] = middle_m + self.world.sun.direction() * 2.0 * reach_m

    def _choose_geoms(
        self, camera: CameraModel, world_T_camera: Transform, min_rock_px: float
    ) -> None:
        built, eye_m = self._scene_model, world_T_camera.translation_m
        planes = view_planes(camera, world_T_camera)
        group = built.model.geom_group
        group[:] = HIDDEN_GROUP
        for index, level in enumerate(levels_to_draw(built.tiles, eye_m, planes, end_m=FAR_M)):
            if level is not None:
                group[index * len(LEVEL_STEPS) + level] = 0
        rocks = self.world.rocks
        if not len(rocks):
            return
        places = np.stack([rocks.x_m, rocks.y_m, rocks.z_m], axis=1)
        reach_m = np.maximum(np.maximum(rocks.a_m, rocks.b_m), rocks.c_m)
        shaded_m = reach_m * (1.0 + self._shadow_length)
        distance_m = np.maximum(np.linalg.norm(places - eye_m, axis=1), 1e-6)
        drawn = 2.0 * reach_m * camera.fx_px >= min_rock_px * distance_m
        side = places @ planes[:, :3].T + planes[:, 3]
        drawn &= (side >= -shaded_m[:, np.newaxis]).all(axis=1)
        group[built.first_rock + np.flatnonzero(drawn)] = 0

    def _draw(self, camera: CameraModel) -> tuple[U8, F32]:
        """Return colours (H, W, 3) and raw depth (H, W), row 0 at the top."""
        self._gl.make_current()
        shape = (camera.height_px, camera.width_px)
        colours, depth = np.empty((*shape, 3), np.uint8), np.empty(shape, np.float32)
        view = self._mujoco.MjrRect(0, 0, camera.width_px, camera.height_px)
        self._mujoco.mjr_render(view, self._scene, self._context)
        self._mujoco.mjr_readPixels(colours, depth, view, self._context)
        return np.ascontiguousarray(colours[::-1]), depth[::-1]

    def _classes(self, camera: CameraModel, world_T_camera: Transform, depth_m: F32) -> U8:
        """Return the class (H, W) of the ground at the pixels; arbitrary where nothing is hit."""
        world = self.world
        if (world.classes == world.classes[0, 0]).all():
            return np.full(depth_m.shape, world.classes[0, 0], dtype=np.uint8)
        right = ((np.arange(camera.width_px) - camera.cx_px) / camera.fx_px).astype(np.float32)
        down = ((np.arange(camera.height_px) - camera.cy_px) / camera.fy_px).astype(np.float32)
        rotation = world_T_camera.rotation.astype(np.float32)
        depth_m = np.nan_to_num(depth_m)
        posts = []
        for axis in (0, 1):
            ray = rotation[axis, 0] * right + (
                rotation[axis, 1] * down + rotation[axis, 2]
            )[:, np.newaxis]  # fmt: skip
            start_m = np.float32(world_T_camera.translation_m[axis] + world.half_side_m)
            place = (ray * depth_m + start_m) * np.float32(1.0 / world.spacing_m)
            index = np.rint(place).astype(np.int32)
            posts.append(np.clip(index, 0, world.classes.shape[0] - 1, out=index))
        found: U8 = world.classes[posts[1], posts[0]]
        return found


def check_camera(camera: CameraModel) -> None:
    """Check that MuJoCo can render a camera.

    Raises:
        ConfigError: the lens has distortion, pixels are not square, or the principal point is not
            in the middle column.
    """
    if camera.distortion_model != "none":
        raise ConfigError(
            f"the simulator does not support lens distortion, but the camera has "
            f"{camera.distortion_model!r}; use `terrain-seg score`, which casts rays, instead"
        )
    square = math.isclose(camera.fx_px, camera.fy_px, rel_tol=1e-9)
    if not square or not math.isclose(camera.cx_px, 0.5 * (camera.width_px - 1), abs_tol=1e-9):
        raise ConfigError(
            f"camera has focal lengths {camera.fx_px} and {camera.fy_px} px and its principal "
            f"point at column {camera.cx_px}; the simulator requires square pixels and the "
            "principal point in the middle column"
        )


def view_planes(camera: CameraModel, world_T_camera: Transform) -> F64:
    """Return the five planes (5, 4) around a camera's view, normals inward and of unit length.

    A point p of the world's frame is in view if n . p + d >= 0 for all of them.
    """
    left, right = camera.cx_px + 0.5, camera.width_px - 0.5 - camera.cx_px
    top, bottom = camera.cy_px + 0.5, camera.height_px - 0.5 - camera.cy_px
    normals = np.array(
        [
            [camera.fx_px, 0.0, left],
            [-camera.fx_px, 0.0, right],
            [0.0, camera.fy_px, top],
            [0.0, -camera.fy_px, bottom],
            [0.0, 0.0, 1.0],
        ]
    )
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    turned = normals @ world_T_camera.rotation.T
    return np.column_stack([turned, -turned @ world_T_camera.translation_m])


def _metres(stored: F32) -> F32:
    """Convert MuJoCo's raw depth, 0 for the farthest, to metres along the optical axis."""
    near, far = np.float32(NEAR_M), np.float32(FAR_M)
    metres: F32 = near * far / (near + stored * (far - near))
    return metres
