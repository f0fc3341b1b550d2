"""What the viewer shows at one moment: arrays and texts, without ROS and without a browser."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.types import F32, F64, U8, CameraImage, Transform
from terrain_seg_ros.messages.diagnostics_message import Status
from terrain_seg_ros.messages.grid_map_message import GridLayers
from terrain_seg_ros.messages.grid_message import GridValues
from terrain_seg_ros.messages.landing_message import SeenSite


@dataclass(frozen=True)
class HealthPoint:
    """The counters of one diagnostics message, for the time series.

    Rates are per second, `dropped` and `refused` count since the node started; a latency is NaN
    where the message has none.
    """

    time_ns: int
    rate_in_hz: float
    rate_out_hz: float
    dropped: float
    refused: float
    median_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Delay:
    """The time from an image's stamp to the arrival, or recording, of its mask."""

    time_ns: int
    delay_ms: float


@dataclass(frozen=True)
class Moment:
    """Everything that is known at one moment; what has not been received is None or empty.

    A field keeps its identity from one moment to the next until a message changes it, so that a
    page can see what to draw again. All places are metres in `grid_frame`.

    Attributes:
        time_ns: time of recording of the newest message, or of its arrival.
        image: the camera image that belongs to the mask, else the newest.
        mask: (H, W) class ids, 255 unlabelled.
        confidence: (H, W) of the mask's stamp, probability times 255.
        class_names: by class id.
        camera: intrinsics of the image.
        camera_pose: `grid_T_camera`, of the camera's optical frame at the image's stamp.
        vehicle_pose: `grid_T_vehicle`, of the vehicle's base frame at the same stamp.
        path_xyz_m: (N, 3) places of the vehicle so far.
        hazard_points_m: (N, 3).
        statuses: of /diagnostics by name, this node's first.
        missing: full names of topics from which nothing has come.
        problems: what was wrong with messages that could not be used, by topic, the last of each.
    """

    time_ns: int = 0
    image: CameraImage | None = None
    mask: U8 | None = None
    confidence: U8 | None = None
    class_names: Mapping[int, str] = field(default_factory=dict)
    camera: CameraModel | None = None
    grid: GridValues | None = None
    reason: GridValues | None = None
    safe_map: GridValues | None = None
    layers: GridLayers | None = None
    hazard_points_m: F32 | None = None
    sites: tuple[SeenSite, ...] = ()
    camera_pose: Transform | None = None
    vehicle_pose: Transform | None = None
    path_xyz_m: F64 | None = None
    health: tuple[HealthPoint, ...] = ()
    delays: tuple[Delay, ...] = ()
    statuses: tuple[Status, ...] = ()
    missing: tuple[str, ...] = ()
    problems: Mapping[str, str] = field(default_factory=dict)

    @property
    def grid_frame(self) -> str:
        """Return the frame of the grid, empty until there is one."""
        return "" if self.grid is None else self.grid.frame_id
