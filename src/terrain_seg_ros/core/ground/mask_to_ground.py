"""Projection of the pixels of the network's mask onto the ground."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from terrain_seg_ros.core.errors import ConfigError, GeometryError
from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.geometry.pixel_rays import Pixels, RayStore, Reach, keep
from terrain_seg_ros.core.ground.ground_view import SAMPLED_PX, GroundView, Poses
from terrain_seg_ros.core.ground.height_map import HeightMap
from terrain_seg_ros.core.ground.known_shape import (
    DepthGround,
    Ground,
    HeightMapGround,
    RangeNoise,
)
from terrain_seg_ros.core.ground.measurement import (
    DepthImage,
    GroundMeasurement,
    GroundPoint,
    GroundResidual,
    depth_residual,
)
from terrain_seg_ros.core.ground.measurement_to_depth import measurement_to_depth
from terrain_seg_ros.core.ground.plane import Plane, PlaneGround
from terrain_seg_ros.core.image.image_to_tensor import TensorGeometry
from terrain_seg_ros.core.settings import setting, settings
from terrain_seg_ros.core.types import F32, Transform

Source = Literal["plane", "depth", "height_map"]


@settings
@dataclass(frozen=True)
class GroundSettings:
    """What the ground is, and how far it is trusted."""

    source: Annotated[
        Source,
        setting(
            "What the ground is: the plane of ground.plane, what depth.source measures (depth), or "
            "the file ground.height_map."
        ),
    ]
    plane: Annotated[
        Plane,
        setting(
            "Plane used as ground: the one through the wheels (vehicle_plane), a level one below "
            "the vehicle (gravity_plane), a level one in grid_frame (grid_plane), or a level one "
            "through the echo of depth.source range (range_plane)."
        ),
    ]
    base_frame: Annotated[
        str,
        setting(
            "Frame of the vehicle; its x-y plane lies where the wheels touch the ground.",
            name="base_frame",
        ),
    ]
    plane_height_m: Annotated[
        float,
        setting(
            "Height of the ground: along the z axis of base_frame from its origin; for "
            "gravity_plane vertically from that origin; for grid_plane in grid_frame. range_plane "
            "does not use it.",
            low=-1000.0,
            high=1000.0,
            dynamic=True,
        ),
    ]
    max_range_m: Annotated[
        float,
        setting(
            "Ground farther than this from the camera is not observed.",
            low=0.1,
            high=10000.0,
            dynamic=True,
        ),
    ]
    max_ground_sample_m: Annotated[
        float,
        setting(
            "Ground where neighbouring pixels lie farther apart than this is not observed.",
            low=0.001,
            high=1000.0,
            dynamic=True,
        ),
    ]
    range_sigma_m: Annotated[
        float,
        setting(
            "Standard deviation of what depth.source image or cloud measures, the part that does "
            "not grow with the range.",
            name="depth.range_sigma_m",
            low=0.0,
            high=1000.0,
            dynamic=True,
        ),
    ]
    range_sigma_per_m2: Annotated[
        float,
        setting(
            "Part of it that grows with the square of the range, 1/m. Of a stereo camera: the "
            "deviation of its disparity in pixels / (focal length in pixels x baseline in metres).",
            name="depth.range_sigma_per_m2",
            low=0.0,
            high=10.0,
            dynamic=True,
        ),
    ]

    max_depth_sample_m: Annotated[
        float,
        setting(
            "The same for ground whose depth is measured, if it is smaller: heights show a rock "
            "only where several pixels across it are measured.",
            name="depth.max_ground_sample_m",
            low=0.001,
            high=1000.0,
            dynamic=True,
        ),
    ]

    @property
    def trusted_sample_m(self) -> float:
        """Return the largest distance of neighbouring pixels on trusted ground."""
        if self.source == "depth":
            return min(self.max_ground_sample_m, self.max_depth_sample_m)
        return self.max_ground_sample_m

    def __post_init__(self) -> None:
        """Check that there is a frame."""
        if not self.base_frame.strip():
            raise ConfigError("base_frame is empty; set the vehicle's frame, such as 'base_link'")


class GroundProjector:
    """Projection of pixels onto the ground; caches what depends only on camera and mounting."""

    def __init__(
        self, settings: GroundSettings, *, cell_m: float, heights: HeightMap | None = None
    ) -> None:
        """Start with an empty cache; views are filled for cells of size `cell_m`.

        Raises:
            ConfigError: the ground source is a height map and none is given.
        """
        self._cell_m = cell_m
        self._heights = heights
        self._rays = RayStore()
        self._points: OrderedDict[Pixels, tuple[F32, F32]] = OrderedDict()
        self._use(settings)

    def apply_settings(self, settings: GroundSettings, *, cell_m: float) -> None:
        """Replace the settings; cached rays are kept.

        Raises:
            ConfigError: the ground source is a height map and none is given.
        """
        if (settings, cell_m) != (self._settings, self._cell_m):
            self._cell_m = cell_m
            self._points.clear()
            self._use(settings)

    def project(
        self,
        camera: CameraModel,
        geometry: TensorGeometry,
        *,
        grid_T_camera: Transform,
        grid_T_base: Transform,
        measured: GroundMeasurement | None = None,
    ) -> GroundView:
        """Return where each tensor pixel meets the ground, in the grid's frame.

        Pixels beyond the limits keep their position, with the reason TOO_FAR; those above the
        horizon or outside the image are NaN and OUTSIDE_VIEW; those without a measurement are NaN
        and NO_DEPTH.

        Args:
            camera: the intrinsics.
            geometry: the mapping from tensor pixels to image pixels.
            grid_T_camera: the pose of the optical frame at the image's stamp.
            grid_T_base: the pose of the vehicle at the image's stamp.
            measured: the measurement of the ground taken with the image, if any.

        Raises:
            GeometryError: the camera is below the ground, or the size of the image or the depth
                image does not match the camera.
        """
        camera.check_image(geometry.image_width_px, geometry.image_height_px)
        poses = Poses(grid_T_camera, grid_T_base)
        return self._ground.view(self._pixels(camera, geometry), poses, measured)

    def points_optical(
        self,
        camera: CameraModel,
        geometry: TensorGeometry,
        *,
        height_px: int,
        width_px: int,
        grid_T_camera: Transform,
        grid_T_base: Transform,
        measured: GroundMeasurement | None = None,
    ) -> F32:
        """Return one ground point per pixel (height, width, 3), optical frame, read-only.

        The pixels cover the whole image, so a smaller height and width decimate it. Points are NaN
        where there is no ground or it is too far; the limits are those for the network's pixels,
        described by `geometry`.

        Raises:
            GeometryError: the size is empty, or the camera is below the ground.
        """
        if height_px < 1 or width_px < 1:
            raise GeometryError(
                f"points are requested at {width_px} x {height_px} px, expected at least 1 x 1; "
                "check points_decimation"
            )
        whole = _whole_image(camera, height_px, width_px)
        finer = max(geometry.scale_x / whole.scale_x, geometry.scale_y / whole.scale_y)
        pixels = Pixels(camera, whole, self._reach(finer, math.inf))
        depth_m = self._ground.depth_m(pixels, Poses(grid_T_camera, grid_T_base), measured)
        kept = self._points.get(pixels)
        if kept is not None and kept[0] is depth_m:
            return kept[1]
        rays = self._rays.of(pixels)
        points: F32 = np.stack([rays.x * depth_m, rays.y * depth_m, depth_m], axis=-1)
        points.setflags(write=False)
        keep(self._points, pixels, (depth_m, points))
        return points

    def residual(
        self,
        camera: CameraModel,
        geometry: TensorGeometry,
        measured: GroundMeasurement,
        *,
        grid_T_camera: Transform,
        grid_T_base: Transform,
    ) -> GroundResidual | None:
        """Return the height of measured ground above the plane.

        None if they do not overlap, or if the ground is not a plane independent of measurements.

        Raises:
            GeometryError: the camera is below the plane, or a depth image differs in size.
        """
        ground, settings = self._ground, self._settings
        if not isinstance(ground, PlaneGround) or settings.plane == "range_plane":
            return None
        poses = Poses(grid_T_camera, grid_T_base)
        if isinstance(measured, GroundPoint):
            return GroundResidual(ground.height_of(measured.point_m, poses), 1)
        pixels = self._pixels(camera, geometry)
        # A cloud is sparse, so all of its points are used.
        step = SAMPLED_PX if isinstance(measured, DepthImage) else 1
        every = (slice(None, None, step), slice(None, None, step))
        depth_m = measurement_to_depth(measured, pixels, self._rays, poses=poses).depth_m
        return depth_residual(
            depth_m[every],
            ground.depth_m(pixels, poses)[every],
            camera_height_m=ground.camera_height_m(poses),
        )

    def _use(self, settings: GroundSettings) -> None:
        self._settings = settings
        self._ground = self._make_ground(settings)

    def _make_ground(self, settings: GroundSettings) -> Ground:
        plane = PlaneGround(self._rays, plane=settings.plane, height_m=settings.plane_height_m)
        if settings.source == "plane":
            return plane
        if settings.source == "depth":
            noise = RangeNoise(settings.range_sigma_m, settings.range_sigma_per_m2)
            return DepthGround(self._rays, plane, noise)
        if self._heights is None:
            raise ConfigError(
                "ground.source is height_map but ground.height_map is empty; name a file"
            )
        return HeightMapGround(self._rays, plane, self._heights)

    def _pixels(self, camera: CameraModel, geometry: TensorGeometry) -> Pixels:
        return Pixels(camera, geometry, self._reach(1.0, self._cell_m))

    def _reach(self, finer: float, cell_m: float) -> Reach:
        """Return the reach of pixels that are `finer` times as fine as the network's."""
        settings = self._settings
        return Reach(settings.max_range_m, settings.trusted_sample_m / finer, cell_m)


def _whole_image(camera: CameraModel, height_px: int, width_px: int) -> TensorGeometry:
    return TensorGeometry(
        scale_x=camera.width_px / width_px,
        scale_y=camera.height_px / height_px,
        offset_x_px=0.0,
        offset_y_px=0.0,
        width_px=width_px,
        height_px=height_px,
        image_width_px=camera.width_px,
        image_height_px=camera.height_px,
    )
