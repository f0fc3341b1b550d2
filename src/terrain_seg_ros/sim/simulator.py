"""A simulated drive or descent: images and ground truth at each pose."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import TracebackType

import cv2
import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.geometry.camera import camera_from_field_of_view
from terrain_seg_ros.core.types import F64, U8, Transform
from terrain_seg_ros.messages.grid_message import GridValues
from terrain_seg_ros.parameters.node_settings import NodeSettings
from terrain_seg_ros.runtime.vehicle_pose import static_mounting
from terrain_seg_ros.score.paths import (
    DescentSettings,
    DriveSettings,
    PathPose,
    descend,
    drive,
)
from terrain_seg_ros.score.scenarios import MIN_HAZARD_M, MODES, perfect_mask
from terrain_seg_ros.score.truth_field import TruthField
from terrain_seg_ros.sim.mujoco_scene import MujocoScene
from terrain_seg_ros.sim.topics import CODED, IMAGES, PICTURE
from terrain_seg_ros.worlds.cast_rays import RayCast
from terrain_seg_ros.worlds.coded_image import CODED_SIDE_PX
from terrain_seg_ros.worlds.generate import generate_world
from terrain_seg_ros.worlds.settings import default_settings
from terrain_seg_ros.worlds.world import Body, World

CAMERA_FRAME = "navcam_optical"
MAX_RATE_HZ = 100.0
ENCODINGS = ("rgb8", "mono8")


@dataclass(frozen=True)
class SimSettings:
    """The settings of a simulation.

    `rate_hz` is the number of images per second of simulated time; `speed_mps` is the speed of a
    rover; a lander descends from `start_m` to `end_m` above the ground. `sun_elevation_rad` None
    uses the default of the body.
    """

    mode: str
    body: Body
    seed: int
    side_m: float
    spacing_m: float
    width_px: int
    height_px: int
    horizontal_fov_rad: float
    encoding: str
    rate_hz: float
    pictures: int
    speed_mps: float
    start_m: float
    end_m: float
    sun_elevation_rad: float | None = None

    def __post_init__(self) -> None:
        """Check the values that are not checked elsewhere."""
        if self.mode not in MODES:
            raise ConfigError(f"mode is {self.mode!r}, expected one of {list(MODES)}")
        if self.encoding not in ENCODINGS:
            raise ConfigError(f"encoding is {self.encoding!r}, expected one of {list(ENCODINGS)}")
        if not 0.0 < self.rate_hz <= MAX_RATE_HZ:
            raise ConfigError(
                f"rate is {self.rate_hz} Hz, expected more than 0, at most {MAX_RATE_HZ}"
            )
        if not (math.isfinite(self.speed_mps) and self.speed_mps > 0.0):
            raise ConfigError(f"speed is {self.speed_mps} m/s, expected more than 0")
        for name in ("width_px", "height_px"):
            if not 16 <= getattr(self, name) <= 4096:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected 16 to 4096")


@dataclass(frozen=True)
class SimFrame:
    """The state of the simulation at one stamp.

    `velocity_base` is linear (m/s) and angular (rad/s) in the vehicle's frame. `image`, `truth`
    and `coded` are None if they are not needed; `coded` is the truth of the coded image's pixels.
    """

    stamp_ns: int
    odom_T_base: Transform  # noqa: N815
    velocity_base: tuple[F64, F64]
    image: U8 | None
    truth: RayCast | None
    coded: RayCast | None
    coded_mask: U8 | None


class Simulator:
    """A simulation of a vehicle in a world; use it in a `with` statement, from one thread."""

    def __init__(self, settings: SimSettings, parameters: NodeSettings) -> None:
        """Make the world and the scene.

        Raises:
            ConfigError: a setting cannot be used, or MuJoCo or OpenGL is not available.
            GeometryError: the camera or the path cannot be used.
        """
        self.settings = settings
        self.parameters = parameters
        self.camera, self.coded_camera = (
            camera_from_field_of_view(
                width_px=width_px,
                height_px=height_px,
                horizontal_fov_rad=settings.horizontal_fov_rad,
            )
            for width_px, height_px in (
                (settings.width_px, settings.height_px),
                (CODED_SIDE_PX, CODED_SIDE_PX),
            )
        )
        self.base_T_camera = static_mounting(parameters)
        self.world = _world(settings)
        self.path = _path(self.world, settings)
        self._scene = MujocoScene(self.world, (self.camera, self.coded_camera))

    def __enter__(self) -> Simulator:
        """Return the simulator."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Free the scene."""
        self._scene.close()

    @property
    def frames(self) -> tuple[str, str]:
        """Return the names of the odometry's frame, which is the world's, and the vehicle's."""
        return self.parameters.pipeline.grid.frame_id, self.parameters.pipeline.ground.base_frame

    def run(self, wants: Callable[[str], bool]) -> Iterator[SimFrame]:
        """Yield the frames of the path; only what is needed is rendered.

        Args:
            wants: returns whether the topic with a name is currently needed.
        """
        before: PathPose | None = None
        for pose in self.path:
            yield self._frame(pose, before, wants)
            before = pose

    def hazard_map(self) -> GridValues:
        """Return the true hazards of the world, in cells of the node's grid."""
        parameters = self.parameters
        field = TruthField(
            self.world,
            cell_m=parameters.pipeline.grid.resolution_m,
            min_hazard_m=MIN_HAZARD_M,
            max_slope_rad=math.radians(parameters.pipeline.slope.max_slope_deg),
            baseline_m=parameters.pipeline.slope.baseline_m,
        )
        corner_m = -field.half_cells * field.cell_m
        return GridValues(
            values=np.where(field.hazard, 100, 0).astype(np.int8),
            resolution_m=field.cell_m,
            origin_x_m=corner_m,
            origin_y_m=corner_m,
            frame_id=self.frames[0],
            stamp_ns=self.path[0].stamp_ns,
        )

    def _frame(
        self, pose: PathPose, before: PathPose | None, wants: Callable[[str], bool]
    ) -> SimFrame:
        world_T_camera = pose.world_T_base @ self.base_T_camera
        wanted = {name for name in (*PICTURE, *CODED) if wants(name)}
        image = truth = coded = coded_mask = None
        if wanted & set(IMAGES):
            image = self._scene.image(self.camera, world_T_camera)
            if self.settings.encoding == "mono8":
                image = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        if wanted & {"depth", "truth/mask"}:
            truth = self._scene.truth(self.camera, world_T_camera)
        if wanted & set(CODED):
            same = self.coded_camera == self.camera and truth is not None
            coded = truth if same else self._scene.truth(self.coded_camera, world_T_camera)
        if coded is not None:
            coded_mask = perfect_mask(self.world, coded, min_hazard_m=MIN_HAZARD_M)
        return SimFrame(
            stamp_ns=pose.stamp_ns,
            odom_T_base=pose.world_T_base,
            velocity_base=_velocity(before, pose),
            image=image,
            truth=truth,
            coded=coded,
            coded_mask=coded_mask,
        )


def _world(settings: SimSettings) -> World:
    ground = default_settings(settings.body)
    if settings.sun_elevation_rad is not None:
        ground = replace(ground, sun_elevation_rad=settings.sun_elevation_rad)
    return generate_world(
        settings.body,
        settings.seed,
        side_m=settings.side_m,
        spacing_m=settings.spacing_m,
        settings=ground,
    )


def _path(world: World, settings: SimSettings) -> tuple[PathPose, ...]:
    period_s = 1.0 / settings.rate_hz
    if settings.mode == "rover":
        driving = DriveSettings(
            count=settings.pictures, step_m=settings.speed_mps * period_s, period_s=period_s
        )
        return drive(world, driving, seed=settings.seed)
    descent = DescentSettings(
        count=settings.pictures,
        period_s=period_s,
        start_m=settings.start_m,
        end_m=settings.end_m,
    )
    return descend(world, descent, seed=settings.seed)


def _velocity(before: PathPose | None, now: PathPose) -> tuple[F64, F64]:
    """Return linear and angular velocity since the previous pose, in the vehicle's frame."""
    if before is None:
        return np.zeros(3), np.zeros(3)
    seconds = (now.stamp_ns - before.stamp_ns) / 1e9
    step = before.world_T_base.inverse() @ now.world_T_base
    turn = cv2.Rodrigues(step.rotation)[0].ravel()
    return step.translation_m / seconds, np.asarray(turn, dtype=np.float64) / seconds
